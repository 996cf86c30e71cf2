//! Describes evidence that is not a window: a cycle of transactions, a lost element, a stale read.
//!
//! A check that is not about one object's order names each kind of anomaly, counts it, and proves
//! one case step by step. Operations are named by the index of their invocation, so that a report
//! can draw them.

use serde::Serialize;

/// One kind of anomaly, and its smallest case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its name in the literature: `G1c`, `lost-update`, `stale-read`.
    pub name: String,
    /// How many cases there are.
    pub count: usize,
    /// The case in one sentence.
    #[serde(rename = "sentence")]
    pub message: String,
    /// The proof: for a cycle each edge in turn, the last one ending in the contradiction.
    pub steps: Vec<Step>,
    /// The operations of the case, by index of their invocation, in the order of the message.
    pub operations: Vec<u64>,
}

/// One step of a proof.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The earlier operation, by index of its invocation.
    pub from: u64,
    /// The later operation.
    pub to: u64,
    /// Why it is later: `ww`, `wr`, `rw`, `process`, `realtime`.
    pub relation: String,
    /// The same in one sentence.
    #[serde(rename = "sentence")]
    pub message: String,
}
