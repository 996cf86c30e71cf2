//! Defines what every check takes and returns: [`Limits`], [`Verdict`] and the trait [`Check`].
//!
//! A check that exhausts its budget returns [`Validity::Unknown`] with the reason. A violation that
//! it found before then stands.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::Finding;
use crate::history::{History, Value};
use crate::window::Window;

/// The name of the linearizability check, which every model has.
pub const LINEARIZABLE: &str = "linearizable";

/// The name of the sequential-consistency check, which every model has.
pub const SEQUENTIAL: &str = "sequential";

/// Whether the claim held. Of several the worst counts: `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    /// It held.
    Valid,
    /// Nobody knows, and the verdict says why.
    Unknown,
    /// It did not, and the verdict shows where.
    Invalid,
}

/// What a check may use.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Threads; the verdict is the same for any number.
    pub jobs: usize,
    /// Memory for what the search has seen, roughly, all threads together.
    pub memory_bytes: usize,
    /// Whether time is up. Asked often, so it should be cheap.
    pub expired: &'a (dyn Fn() -> bool + Sync),
    /// Whether values are `[key, value]`.
    pub keyed: Keyed,
    /// The level that must hold, of those that a check offers; `None` is its own.
    pub consistency: Option<&'a str>,
}

/// One thread, 1 GiB and all the time there is.
impl Default for Limits<'_> {
    fn default() -> Self {
        Self {
            jobs: 1,
            memory_bytes: 1 << 30,
            expired: &|| false,
            keyed: Keyed::Auto,
            consistency: None,
        }
    }
}

/// Whether values are `[key, value]`, so that each key can be judged by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keyed {
    /// If every value looks so, and every key is a plain value rather than a list.
    #[default]
    Auto,
    /// They are.
    Yes,
    /// They are not: the history is one object.
    No,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The check's name.
    pub check: String,
    /// Whether the claim held.
    pub validity: Validity,
    /// What was found, for someone who has read nothing else.
    #[serde(rename = "sentence")]
    pub message: String,
    /// The smallest evidence found for a No about one object.
    pub witness: Option<Window>,
    /// Evidence of other shapes, the worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// What was measured besides, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub measured: BTreeMap<String, Value>,
    /// How much was looked at.
    pub stats: Stats,
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Operations that had a say: neither plain failures nor reads of unknown result.
    pub operations: usize,
    /// Keys judged apart from each other; 1 if the history is one object.
    pub keys: usize,
    /// Keys found wrong.
    pub invalid_keys: usize,
    /// Keys without an answer.
    pub unknown_keys: usize,
    /// Combinations of a state and the operations that led to it.
    pub configurations: usize,
    /// What answered; of several keys, the last resort.
    pub algorithm: Algorithm,
}

/// What answered a question, the first resort first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Algorithm {
    /// Nothing had to be asked.
    #[default]
    None,
    /// A monitor: no search, because written values are distinct.
    Monitor,
    /// Just-in-time linearization, breadth first: every configuration, event by event.
    Breadth,
    /// Wing, Gong and Lowe's search, depth first.
    Depth,
    /// Components and cycles of the graph of who must come before whom.
    Graph,
}

/// A claim that is judged by an algorithm of its own rather than by a sequential model.
pub trait Check: Sync {
    /// Its name, as `harness check --model` takes it.
    fn name(&self) -> &'static str;
    /// What it proves of which histories, in a sentence.
    fn doc(&self) -> &'static str;
    /// Judges a history.
    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict;
    /// The levels that [`Limits::consistency`] can ask for; none, if there is only one.
    fn levels(&self) -> Vec<&'static str> {
        Vec::new()
    }
}

impl Verdict {
    pub(crate) fn unknown(message: String) -> Self {
        Self {
            check: LINEARIZABLE.to_owned(),
            validity: Validity::Unknown,
            message,
            witness: None,
            findings: Vec::new(),
            measured: BTreeMap::new(),
            stats: Stats::default(),
        }
    }
}
