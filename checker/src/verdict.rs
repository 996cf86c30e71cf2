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

/// Whether the claim holds. The worst of several is the `max`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Validity {
    /// The claim holds.
    Valid,
    /// Undecided; the message says why.
    Unknown,
    /// The claim is violated; the verdict shows where.
    Invalid,
}

/// The budget of a check, and how it reads the history.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Threads. The verdict is the same for any number.
    pub jobs: usize,
    /// Approximate memory for explored configurations, all threads together.
    pub memory_bytes: usize,
    /// Whether time is up. Polled often, so it must be cheap.
    pub expired: &'a (dyn Fn() -> bool + Sync),
    /// Whether values are `[key, value]`.
    pub keyed: Keyed,
    /// The consistency level that must hold, of those that the check offers; `None` is the check's
    /// default.
    pub consistency: Option<&'a str>,
}

/// One thread, 1 GiB and unlimited time.
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

/// Whether values are `[key, value]`, so that each key can be checked by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keyed {
    /// Yes, if every argument looks so and every key is a plain value rather than a list.
    #[default]
    Auto,
    /// Every value is `[key, value]`.
    Yes,
    /// The history is one object.
    No,
}

/// The result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The check's name.
    pub check: String,
    /// Whether the claim holds.
    pub validity: Validity,
    /// The result in one sentence.
    #[serde(rename = "sentence")]
    pub message: String,
    /// The smallest evidence found for a violation of one object's order.
    pub witness: Option<Window>,
    /// Evidence of other shapes, the worst first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Other measurements, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub measured: BTreeMap<String, Value>,
    /// The amount of work.
    pub stats: Stats,
}

/// The amount of work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stats {
    /// Operations that constrain the result: neither plain failures nor reads of unknown outcome.
    pub operations: usize,
    /// Keys checked independently; 1 if the history is one object.
    pub keys: usize,
    /// Keys with a violation.
    pub invalid_keys: usize,
    /// Keys without an answer.
    pub unknown_keys: usize,
    /// Explored pairs of a state and the operations that led to it.
    pub configurations: usize,
    /// The algorithm that decided; of several keys, the costliest.
    pub algorithm: Algorithm,
}

/// The algorithms, the cheapest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Algorithm {
    /// None was needed.
    #[default]
    None,
    /// A monitor: no search, because written values are distinct.
    Monitor,
    /// Just-in-time linearization, breadth first: every configuration, event by event.
    Breadth,
    /// Wing, Gong and Lowe's search, depth first.
    Depth,
    /// Components and cycles of a precedence graph.
    Graph,
}

/// A claim with an algorithm of its own instead of a sequential model.
pub trait Check: Sync {
    /// Its name, as `harness check --model` takes it.
    fn name(&self) -> &'static str;
    /// Which claim it checks on which histories, in one sentence.
    fn doc(&self) -> &'static str;
    /// Checks a history.
    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict;
    /// The levels that [`Limits::consistency`] may name; empty if there is only one.
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
