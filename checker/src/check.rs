//! States verdicts: what was checked, what came of it, and the evidence.
//!
//! A budget that is spent gives [`Validity::Unknown`] with its reason, never a guess; a No that was
//! found before the budget was spent stands.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::finding::Finding;
use crate::history::{History, Value};
use crate::linear::{self, Linearization, Window};
use crate::model;
use crate::property::{self, queue::Delivery, set_full::Promise};
use crate::session;
use crate::txn::{self, World};

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
    pub sentence: String,
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

/// Every check, in order of name.
pub const CHECKS: &[&dyn Check] = &[
    &property::bank::Bank,
    &property::causal::Causal,
    &property::causal_reverse::CausalReverse,
    &property::counter_bounds::CounterBounds,
    &property::echo::Echo,
    &property::eventual_counter::EventualCounter,
    &property::eventual_set::EventualSet,
    &property::fenced_lock::FencedLock,
    &txn::Isolation,
    &property::kafka::Kafka,
    &txn::ListAppend,
    &property::long_fork::LongFork,
    &property::monotonic::Monotonic,
    &property::queue::Queue(Delivery::ExactlyOnce),
    &txn::RwRegister(World::Open),
    &txn::RwRegister(World::Closed),
    &session::Session,
    &property::set_final::SetFinal,
    &property::set_full::SetFull(Promise::Eventual),
    &property::set_full::SetFull(Promise::Linearizable),
    &property::stats::Stats,
    &property::queue::Queue(Delivery::AtLeastOnce),
    &property::unique_ids::UniqueIds,
];

/// Every name that [`judge`] knows: the models, then the checks.
pub fn names() -> Vec<&'static str> {
    model::names().into_iter().chain(CHECKS.iter().map(|check| check.name())).collect()
}

/// Says whether a model or check can be asked for a level, and if not, which there are.
pub fn level(name: &str, consistency: Option<&str>) -> Result<(), String> {
    let Some(level) = consistency else { return Ok(()) };
    let check = CHECKS.iter().find(|check| check.name() == name);
    let levels = match check {
        Some(check) => check.levels(),
        None => model::named(name)
            .map_or_else(Vec::new, |_| vec![linear::NAME, linear::sequential::NAME]),
    };
    if levels.contains(&level) {
        return Ok(());
    }
    Err(match levels.as_slice() {
        [] => format!("{name} has no consistency levels to choose from"),
        _ => format!("{name} has no consistency level {level:?}; there are: {}", levels.join(", ")),
    })
}

/// Judges a history by the model or the check of that name; a model asks for linearizability, unless the limits ask for
/// sequential consistency.
pub fn judge(history: &History, name: &str, limits: &Limits<'_>) -> Verdict {
    if let Some(verdict) = untimed(history, name).filter(|_| name != txn::Isolation.name()) {
        return verdict;
    }
    match CHECKS.iter().find(|check| check.name() == name) {
        Some(check) => check.check(history, limits),
        None => match (limits.consistency, model::named(name)) {
            (Some(linear::sequential::NAME), Some(model)) => {
                linear::sequential::check(history, model, limits)
            }
            _ => check_linearizable(history, name, limits),
        },
    }
}

/// The answer to a question about time, where a history says nothing of that.
fn untimed(history: &History, name: &str) -> Option<Verdict> {
    let why = format!(
        "the history does not say when its operations took place, and {name} asks for that; isolation does not"
    );
    (!history.is_timed()).then(|| Verdict::unknown(why))
}

/// Says whether one correct copy of the model, doing one operation at a time at some moment between
/// its invocation and its completion, could have given every answer in the history.
pub fn check_linearizable(history: &History, model: &str, limits: &Limits<'_>) -> Verdict {
    if let Some(verdict) = untimed(history, model) {
        return verdict;
    }
    match model::named(model) {
        Some(model) => linear::check(history, model, limits),
        None => Verdict::unknown(format!(
            "there is no model {model:?}; the models are {}",
            model::names().join(", ")
        )),
    }
}

/// The proof of a Yes: for each object an order of its operations. A verdict, if there is none.
pub fn linearize(
    history: &History,
    model: &str,
    limits: &Limits<'_>,
) -> Result<Vec<Linearization>, Box<Verdict>> {
    match model::named(model).filter(|_| history.is_timed()) {
        Some(model) => linear::linearize(history, model, limits),
        None => Err(Box::new(check_linearizable(history, model, limits))),
    }
}

impl Verdict {
    pub(crate) fn unknown(sentence: String) -> Self {
        Self {
            check: linear::NAME.to_owned(),
            validity: Validity::Unknown,
            sentence,
            witness: None,
            findings: Vec::new(),
            measured: BTreeMap::new(),
            stats: Stats::default(),
        }
    }
}
