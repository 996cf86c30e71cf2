//! Lists every check by name, and runs one of them.
//!
//! A new check is one file and one line in [`CHECKS`].

use crate::history::History;
use crate::linear::{self, Linearization};
use crate::model;
use crate::online::OnlineCheck;
use crate::property::online::{
    ObjectChecks, bank::OnlineBank, counter_bounds::OnlineCounter, echo::OnlineEcho,
    fenced_lock::OnlineLock, long_fork::OnlineForks, monotonic::OnlineMonotonic,
    queue::OnlineQueue, set::OnlineSet, unique_ids::OnlineIds,
};
use crate::property::{self, queue::Delivery, set_full::ReadGuarantee};
use crate::session;
use crate::txn::{self, UnknownWriters};
use crate::verdict::{Check, Keyed, LINEARIZABLE, Limits, SEQUENTIAL, Verdict};

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
    &txn::RwRegister(UnknownWriters::Allowed),
    &txn::RwRegister(UnknownWriters::Forbidden),
    &session::Session,
    &property::set_final::SetFinal,
    &property::set_full::SetFull(ReadGuarantee::Eventual),
    &property::set_full::SetFull(ReadGuarantee::Linearizable),
    &property::stats::FunctionStats,
    &property::queue::Queue(Delivery::AtLeastOnce),
    &property::unique_ids::UniqueIds,
];

/// The checks without an online form, in order of name, and why: a predicate of which the check is
/// the subject.
pub const OFFLINE_ONLY: &[(&str, &str)] = &[
    ("causal", "orders the operations of the whole history"),
    ("causal-reverse", "orders the operations of the whole history"),
    ("eventual-counter", "judges the last read of each replica, which only the end shows"),
    ("isolation", "searches for one order of the whole history"),
    ("kafka", "can tell a skipped message from a late one only once all are polled"),
    ("rw-register", "assumes unknown writers, and any later write may explain a read"),
    ("session", "searches for one order of the whole history"),
    ("set-final", "judges the last read, which only the end shows"),
    ("stats", "counts the outcomes of the whole history"),
];

/// How an online check is started.
type OnlineConstructor = fn(Keyed) -> Box<dyn OnlineCheck>;

/// Every check that can find violations while a history is recorded, in order of name. The models
/// have an online check of their own.
pub const ONLINE_CHECKS: &[(&str, OnlineConstructor)] = &[
    ("bank", |keyed| Box::new(ObjectChecks::new(keyed, OnlineBank::default))),
    ("counter-bounds", |keyed| Box::new(ObjectChecks::new(keyed, OnlineCounter::default))),
    ("echo", |_| Box::new(ObjectChecks::new(Keyed::No, OnlineEcho::default))),
    ("eventual-set", |_| Box::new(ObjectChecks::new(Keyed::No, OnlineSet::eventual))),
    ("fenced-lock", |keyed| Box::new(ObjectChecks::new(keyed, OnlineLock::default))),
    ("list-append", |_| txn::online::check_lists_online()),
    ("long-fork", |_| Box::new(ObjectChecks::new(Keyed::No, OnlineForks::default))),
    ("monotonic", |keyed| Box::new(ObjectChecks::new(keyed, OnlineMonotonic::default))),
    ("queue", |keyed| Box::new(ObjectChecks::new(keyed, OnlineQueue::exactly_once))),
    ("rw-register-closed", |_| txn::online::check_registers_online()),
    ("set-full", |keyed| Box::new(ObjectChecks::new(keyed, OnlineSet::eventual))),
    ("set-full-linearizable", |keyed| Box::new(ObjectChecks::new(keyed, OnlineSet::linearizable))),
    ("total-queue", |keyed| Box::new(ObjectChecks::new(keyed, OnlineQueue::at_least_once))),
    ("unique-ids", |keyed| Box::new(ObjectChecks::new(keyed, OnlineIds::default))),
];

/// Starts the online form of a model or a check; an error says why it has none.
pub fn start_online_check<'a>(
    name: &str,
    limits: Limits<'a>,
) -> Result<Box<dyn OnlineCheck + 'a>, String> {
    if let Some(level) = limits.consistency {
        return Err(format!("{name} cannot be checked online at the level {level}"));
    }
    if let Some(model) = model::find_model(name) {
        return Ok(Box::new(linear::online::OnlineChecker::new(model, limits)));
    }
    match ONLINE_CHECKS.iter().find(|(known, _)| *known == name) {
        Some((_, start)) => Ok(start(limits.keyed)),
        None => match OFFLINE_ONLY.iter().find(|(known, _)| *known == name) {
            Some((_, why)) => Err(format!("{name} {why}")),
            None => Err(format!("there is no check {name:?}")),
        },
    }
}

/// Every name that [`check_by_name`] accepts: the models, then the checks.
pub fn known_names() -> Vec<&'static str> {
    model::model_names().into_iter().chain(CHECKS.iter().map(|check| check.name())).collect()
}

/// Rejects a consistency level that the model or check does not offer, and lists those it does.
pub fn validate_level(name: &str, consistency: Option<&str>) -> Result<(), String> {
    let Some(level) = consistency else { return Ok(()) };
    let check = CHECKS.iter().find(|check| check.name() == name);
    let levels = match check {
        Some(check) => check.levels(),
        None => model::find_model(name).map_or_else(Vec::new, |_| vec![LINEARIZABLE, SEQUENTIAL]),
    };
    if levels.contains(&level) {
        return Ok(());
    }
    Err(match levels.as_slice() {
        [] => format!("{name} has no consistency levels to choose from"),
        _ => format!("{name} has no consistency level {level:?}; there are: {}", levels.join(", ")),
    })
}

/// Checks a history against the model or the check of that name. A model is checked for
/// linearizability, or for sequential consistency if [`Limits::consistency`] asks for it.
pub fn check_by_name(history: &History, name: &str, limits: &Limits<'_>) -> Verdict {
    if let Some(verdict) = no_real_time(history, name).filter(|_| name != txn::Isolation.name()) {
        return verdict;
    }
    match CHECKS.iter().find(|check| check.name() == name) {
        Some(check) => check.check(history, limits),
        None => match (limits.consistency, model::find_model(name)) {
            (Some(SEQUENTIAL), Some(model)) => linear::sequential::check(history, model, limits),
            _ => check_linearizable(history, name, limits),
        },
    }
}

/// *Unknown* for a history without a real-time order, which every check but isolation needs.
fn no_real_time(history: &History, name: &str) -> Option<Verdict> {
    let why = format!(
        "the history has no real-time order, which {name} needs; `isolation` works without it"
    );
    (!history.has_real_time()).then(|| Verdict::unknown(why))
}

/// Checks that every operation can take effect at one instant between its invocation and its
/// completion, so that the outputs are those of a single copy of the model.
pub fn check_linearizable(history: &History, model: &str, limits: &Limits<'_>) -> Verdict {
    if let Some(verdict) = no_real_time(history, model) {
        return verdict;
    }
    match model::find_model(model) {
        Some(model) => linear::check(history, model, limits),
        None => Verdict::unknown(format!(
            "there is no model {model:?}; the models are {}",
            model::model_names().join(", ")
        )),
    }
}

/// Returns the proof that a history is linearizable: an order of operations for each object.
/// Returns the verdict if there is no such order.
pub fn linearize(
    history: &History,
    model: &str,
    limits: &Limits<'_>,
) -> Result<Vec<Linearization>, Box<Verdict>> {
    match model::find_model(model).filter(|_| history.has_real_time()) {
        Some(model) => linear::linearize(history, model, limits),
        None => Err(Box::new(check_linearizable(history, model, limits))),
    }
}
