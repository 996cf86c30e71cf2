//! Judges objects one by one under one budget, on several threads, so that neither a hard object nor the number of
//! threads decides what is found out about the others.
//!
//! Of several objects each gets a small number of steps first, and those that need more get more in the next round,
//! when all have had their turn. A round is always finished, so what is known after it depends on the history alone;
//! once an object is wrong there is no further round. Each may use the same share of the memory however many are judged
//! at the same time, and those that need more get all of it, one after the other, at last. Only time can still come
//! between: then what was not decided is unknown.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::engine::{Budget, Spent, Stop};
use super::monitor;
use super::partition::Object;
use super::search::{Outcome, Question};
use crate::check::Limits;
use crate::history::Value;
use crate::model::Model;

/// Configurations that an object may cost in the first round, and how many times as many in each later one.
const FIRST_STEPS: usize = 1 << 16;
const MORE: usize = 8;

/// The most objects that are judged at the same time, each with its share of the memory.
const SHARES: usize = 8;

/// What is judged, and how.
struct Docket<'a, 'h> {
    objects: &'a [Object<'h>],
    model: &'a dyn Model,
    initial: &'a [Value],
    jobs: usize,
}

/// The answers in the order of the objects.
pub(super) fn answers(
    objects: &[Object<'_>],
    model: &dyn Model,
    initial: &[Value],
    limits: &Limits<'_>,
) -> Vec<Outcome> {
    let whole = Budget::of(limits);
    let docket = Docket { objects, model, initial, jobs: limits.jobs.clamp(1, SHARES) };
    if let [object] = objects {
        return vec![docket.first(object, whole)];
    }
    let share = Budget { memory_bytes: limits.memory_bytes / SHARES, ..whole };
    let all: Vec<usize> = (0..objects.len()).collect();
    let mut steps = FIRST_STEPS;
    let budget = Budget { steps, ..share };
    let mut found = docket.round(&all, |object| docket.first(object, budget));
    loop {
        let again = undecided(&found, Spent::Steps);
        if again.is_empty() || somebody_is_wrong(&found) {
            break;
        }
        steps = steps.saturating_mul(MORE);
        let budget = Budget { steps, ..share };
        let round = docket.round(&again, |object| docket.search(object, budget));
        again.into_iter().zip(round).for_each(|(place, outcome)| found[place] = outcome);
    }
    for place in undecided(&found, Spent::Memory) {
        if somebody_is_wrong(&found) {
            break;
        }
        found[place] = docket.search(&objects[place], whole);
    }
    found
}

fn somebody_is_wrong(found: &[Outcome]) -> bool {
    found.iter().any(|outcome| matches!(outcome.answer, Err(Stop::Illegal(_))))
}

/// The places of those that had too little of this.
fn undecided(found: &[Outcome], want: Spent) -> Vec<usize> {
    let is = |outcome: &Outcome| outcome.answer == Err(Stop::Spent(want));
    found.iter().enumerate().filter(|(_, it)| is(it)).map(|(place, _)| place).collect()
}

impl Docket<'_, '_> {
    /// A monitor's answer, where one knows it; else the search's.
    fn first(&self, object: &Object<'_>, budget: Budget<'_>) -> Outcome {
        monitor::outcome(self.model, self.initial, &object.ops, budget)
            .unwrap_or_else(|| self.search(object, budget))
    }

    fn search(&self, object: &Object<'_>, budget: Budget<'_>) -> Outcome {
        Question::new(self.model, self.initial, &object.ops, budget).decide()
    }

    /// Judges the objects at these places; the answers come in that order, whichever thread found them.
    fn round(
        &self,
        places: &[usize],
        judge: impl Fn(&Object<'_>) -> Outcome + Sync,
    ) -> Vec<Outcome> {
        let next = AtomicUsize::new(0);
        let found = Mutex::new(Vec::with_capacity(places.len()));
        let work = || {
            while let Some((number, place)) = claim(places, &next) {
                let outcome = judge(&self.objects[place]);
                found.lock().unwrap_or_else(PoisonError::into_inner).push((number, outcome));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.jobs.min(places.len()) {
                // A thread that the machine refuses is done without: this one does the work of all.
                drop(std::thread::Builder::new().spawn_scoped(scope, work));
            }
            work();
        });
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|(number, _)| *number);
        found.into_iter().map(|(_, outcome)| outcome).collect()
    }
}

fn claim(places: &[usize], next: &AtomicUsize) -> Option<(usize, usize)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    places.get(number).map(|place| (number, *place))
}
