//! Decides linearizability and proves violations: splits a history by key, searches each object,
//! and reduces a violation to a window.
//!
//! [`check`] checks objects on several threads ([`objects`]). The verdict depends only on the
//! outcomes in the order of the objects, so it is the same for any number of threads. A [`Window`]
//! is returned only after it was replayed alone: illegal as it is, and legal without the accused
//! operation.

mod breadth;
mod case;
mod certificate;
mod depth;
mod engine;
mod explain;
mod frontier;
pub mod lanes;
mod mask;
mod model_cache;
mod monitor;
mod objects;
pub mod online;
mod open_ops;
mod partition;
mod plan;
mod search;
mod segments;
pub(crate) mod sequential;
mod shrink;
mod unknown_counts;

use std::sync::atomic::{AtomicUsize, Ordering};

pub use certificate::Linearization;

use self::case::{CheckCase, parse_initial_states};
use self::engine::{Budget, Stop};
use self::partition::ObjectHistory;
use self::search::{OrderOutcome, SearchQuery};
use crate::history::{History, Value};
use crate::model::{Model, with_article};
use crate::verdict::{Algorithm, Limits, Stats, Validity, Verdict};
use crate::window::Window;

/// Checks a history.
pub fn check(history: &History, model: &dyn Model, limits: &Limits<'_>) -> Verdict {
    let objects = partition::partition_on(history, model, limits.keyed, limits.jobs);
    let (objects, initial_states) =
        match objects.and_then(|it| Ok((it, parse_initial_states(history.initial(), model)?))) {
            Ok(both) => both,
            Err(why) => {
                let name = with_article(model.name());
                return Verdict::unknown(format!("not a history of {name}: {why}"));
            }
        };
    let outcomes = objects::check_objects(&objects, model, &initial_states, limits);
    let stats = Stats {
        operations: objects.iter().map(|object| object.ops.len()).sum(),
        keys: objects.len(),
        invalid_keys: count_where(&outcomes, |it| matches!(it.answer, Err(Stop::Illegal(_)))),
        unknown_keys: count_where(&outcomes, |it| matches!(it.answer, Err(Stop::OverBudget(_)))),
        configurations: outcomes.iter().map(|answer| answer.explored).sum(),
        algorithm: outcomes.iter().map(|it| it.algorithm).max().unwrap_or(Algorithm::None),
    };
    let polls = AtomicUsize::new(0);
    let grace = GRACE / stats.operations.max(1);
    let expired = || (limits.expired)() && polls.fetch_add(1, Ordering::Relaxed) > grace;
    let budget = Budget { expired: &expired, ..Budget::from_limits(limits) };
    let case = CheckCase { model, initial: &initial_states, limits, budget };
    let invalid =
        outcomes.iter().zip(&objects).find_map(|(outcome, object)| match outcome.answer {
            Err(Stop::Illegal(accused)) => Some(case.invalid_verdict(object, accused, stats)),
            _ => None,
        });
    invalid.unwrap_or_else(|| case.other_verdict(&outcomes, &objects, stats))
}

fn count_where(outcomes: &[OrderOutcome], is: impl Fn(&OrderOutcome) -> bool) -> usize {
    outcomes.iter().filter(|outcome| is(outcome)).count()
}

/// Finds a linear order for each object, or returns the verdict if there is none. Every order is
/// replayed before it is returned.
pub fn linearize(
    history: &History,
    model: &dyn Model,
    limits: &Limits<'_>,
) -> Result<Vec<Linearization>, Box<Verdict>> {
    let refused = |why: &str| Box::new(Verdict::unknown(why.to_owned()));
    let objects = partition::partition(history, model, limits.keyed);
    let (Ok(objects), Ok(initial_states)) =
        (objects, parse_initial_states(history.initial(), model))
    else {
        return Err(Box::new(check(history, model, limits)));
    };
    let budget = Budget::from_limits(limits);
    let mut found = Vec::with_capacity(objects.len());
    for object in &objects {
        let question = SearchQuery::new(model, &initial_states, &object.ops, budget);
        let outcome = SearchQuery { orders: true, ..question }.decide();
        if let Err(stop) = outcome.answer {
            return Err(match stop {
                Stop::Illegal(_) => Box::new(check(history, model, limits)),
                Stop::OverBudget(why) => refused(&why.to_string()),
            });
        }
        let order: Vec<u64> = outcome.order.iter().map(|op| object.ops[*op].invoked).collect();
        let explains = |start: &&Value| certificate::replays(model, start, &object.ops, &order);
        let Some(start) = initial_states.iter().find(explains).cloned() else {
            return Err(refused("the order that was found does not replay: this is a bug"));
        };
        found.push(Linearization { key: object.key.clone(), start, order });
    }
    Ok(found)
}

/// Operations that a proof may look at after the time limit. A verdict without reasons is worth
/// little, and finding the violation was the costly part.
const GRACE: usize = 1 << 22;

impl CheckCase<'_> {
    fn invalid_verdict(&self, object: &ObjectHistory<'_>, accused: usize, stats: Stats) -> Verdict {
        let witness = shrink::window(self, object, accused);
        let mut message = match &witness {
            Some(window) => window.message.clone(),
            None => explain::describe_accused(object, accused),
        };
        if stats.invalid_keys > 1 {
            message
                .push_str(&format!(" ({} of {} keys are wrong)", stats.invalid_keys, stats.keys));
        }
        make_verdict(Validity::Invalid, message, witness, stats)
    }

    fn other_verdict(
        &self,
        outcomes: &[OrderOutcome],
        objects: &[ObjectHistory<'_>],
        stats: Stats,
    ) -> Verdict {
        let spent = outcomes.iter().zip(objects).find_map(|(outcome, it)| match &outcome.answer {
            Err(Stop::OverBudget(why)) => Some((why, &it.key, outcome.explained, it.ops.len())),
            _ => None,
        });
        match spent {
            Some((why, key, explained, of)) => {
                let key = key.as_ref().map_or_else(String::new, |key| format!(", first key {key}"));
                let Stats { keys, unknown_keys, .. } = stats;
                let what = format!(
                    "{why}: undecided: {unknown_keys} of {}{key}; decided the first \
                     {explained} of {}",
                    plural(keys, "object"),
                    plural(of, "operation")
                );
                make_verdict(Validity::Unknown, what, None, stats)
            }
            None => make_verdict(Validity::Valid, self.valid_message(stats), None, stats),
        }
    }

    fn valid_message(&self, stats: Stats) -> String {
        let Stats { operations, keys, .. } = stats;
        match keys {
            0 => "no operations to check".to_owned(),
            1 => format!("linearizable: {}", plural(operations, "operation")),
            _ => format!("linearizable: {operations} operations on {keys} keys"),
        }
    }
}

fn plural(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn make_verdict(
    validity: Validity,
    message: String,
    witness: Option<Window>,
    stats: Stats,
) -> Verdict {
    Verdict { validity, witness, stats, ..Verdict::unknown(message) }
}

#[cfg(test)]
mod brute_force;
#[cfg(test)]
mod laws_tests;
#[cfg(test)]
mod many_clients_tests;
#[cfg(test)]
mod tests;

/// The number of cases of a random test, times `CHECKER_DEEP` from the environment.
#[cfg(test)]
fn deep(cases: u32) -> u32 {
    let times = std::env::var("CHECKER_DEEP").ok().and_then(|times| times.parse().ok());
    cases.saturating_mul(times.unwrap_or(1))
}
