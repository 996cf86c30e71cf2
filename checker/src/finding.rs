//! Shows evidence that is no single window: a cycle of transactions, a lost element, a read from the past.
//!
//! A check that is not about one object's order names each kind of wrong it met, counts it, and proves one case
//! step by step. Operations are named by the index of their invocation, so that a report can draw them.

use serde::Serialize;

/// One kind of wrong, and its smallest case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is called in the literature: `G1c`, `lost-update`, `stale-read`.
    pub name: String,
    /// How many cases there are.
    pub count: usize,
    /// The case that is shown, for someone who has read nothing else.
    #[serde(rename = "sentence")]
    pub message: String,
    /// Why it is one: in a cycle each edge in turn, the last ends in the contradiction.
    pub steps: Vec<Step>,
    /// The operations of the case, by index of their invocation, in the order the sentence tells.
    pub operations: Vec<u64>,
}

/// One link of an argument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The operation that comes first, by index of its invocation.
    pub from: u64,
    /// The one that must come later.
    pub to: u64,
    /// Why: `ww`, `wr`, `rw`, `process`, `realtime`.
    pub relation: String,
    /// The same in a sentence.
    #[serde(rename = "sentence")]
    pub message: String,
}
