//! Lists every check by name, and runs one of them.
//!
//! A new check is one file and one line in [`CHECKS`].

use crate::history::History;
use crate::linear::{self, Linearization};
use crate::model;
use crate::property::{self, queue::Delivery, set_full::ReadGuarantee};
use crate::session;
use crate::txn::{self, UnknownWriters};
use crate::verdict::{Check, LINEARIZABLE, Limits, SEQUENTIAL, Verdict};

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
