//! Checks objects under one budget on several threads. Neither a hard object nor the number of
//! threads affects what is decided about the others.
//!
//! An object without a monitor whose history can be split ([`segments`]) is checked segment by
//! segment; it is illegal if one segment is. Each task gets a small number of steps first, and
//! undecided ones get more in the next round. A round is always completed, so the result after it
//! depends on the history alone; after a violation there is no further round. Each task may use the
//! same share of memory, however many run at once. Tasks that need more get all memory, one after
//! the other, at the end. Only the time limit can interrupt a round; what was not decided by then
//! is unknown.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::engine::{Budget, BudgetExceeded, Stop};
use super::monitor;
use super::partition::ObjectHistory;
use super::search::{OrderOutcome, SearchQuery};
use super::segments::{self, Segment};
use crate::history::Value;
use crate::model::Model;
use crate::verdict::{Algorithm, Limits};

/// Configurations that a task may explore in the first round, and the factor for each later round.
const FIRST_STEPS: usize = 1 << 16;
const STEP_FACTOR: usize = 8;

/// The number of equal shares of memory, and the most tasks that run at once.
const MEMORY_SHARES: usize = 8;

/// What is checked, and how.
struct ObjectScheduler<'a> {
    model: &'a dyn Model,
    initial: &'a [Value],
    jobs: usize,
    /// The fewest operations of a segment.
    min_ops: usize,
}

/// A segment of one object's history, and its outcome so far.
struct SegmentTask<'a> {
    object: usize,
    segment: Segment<'a>,
    outcome: OrderOutcome,
}

/// The outcomes in the order of the objects.
pub(super) fn check_objects(
    objects: &[ObjectHistory<'_>],
    model: &dyn Model,
    initial: &[Value],
    limits: &Limits<'_>,
) -> Vec<OrderOutcome> {
    check_objects_by(objects, model, initial, (limits, segments::MIN_SEGMENT_OPS))
}

/// The same with segments of at least `min_ops` operations.
fn check_objects_by(
    objects: &[ObjectHistory<'_>],
    model: &dyn Model,
    initial: &[Value],
    (limits, min_ops): (&Limits<'_>, usize),
) -> Vec<OrderOutcome> {
    let whole = Budget::from_limits(limits);
    let scheduler =
        ObjectScheduler { model, initial, jobs: limits.jobs.clamp(1, MEMORY_SHARES), min_ops };
    let share = Budget { memory_bytes: limits.memory_bytes / MEMORY_SHARES, ..whole };
    let mut steps = FIRST_STEPS;
    let budget = if objects.len() == 1 { whole } else { Budget { steps, ..share } };
    let all: Vec<(usize, &ObjectHistory<'_>)> = objects.iter().enumerate().collect();
    let first =
        scheduler.run_all(&all, |(number, object)| scheduler.first_round(*number, object, budget));
    let mut tasks: Vec<SegmentTask<'_>> = first.into_iter().flatten().collect();
    let is_undecided = |task: &SegmentTask<'_>| task.outcome.algorithm == Algorithm::None;
    scheduler.search_again(&mut tasks, is_undecided, Budget { steps, ..share });
    while tasks.iter().any(exceeded(BudgetExceeded::Steps)) && !any_illegal(&tasks) {
        steps = steps.saturating_mul(STEP_FACTOR);
        scheduler.search_again(
            &mut tasks,
            exceeded(BudgetExceeded::Steps),
            Budget { steps, ..share },
        );
    }
    for place in 0..tasks.len() {
        if exceeded(BudgetExceeded::Memory)(&tasks[place]) && !any_illegal(&tasks) {
            tasks[place].outcome = scheduler.search_segment(&tasks[place].segment, whole);
        }
    }
    tasks.chunk_by(|one, other| one.object == other.object).map(merge_segments).collect()
}

/// The outcome of an object from those of its segments.
fn merge_segments(segments: &[SegmentTask<'_>]) -> OrderOutcome {
    let mut whole = OrderOutcome::default();
    for SegmentTask { segment, outcome, .. } in segments {
        whole.explored += outcome.explored;
        whole.algorithm = whole.algorithm.max(outcome.algorithm);
        if whole.answer.is_ok() {
            whole.explained += outcome.explained;
        }
        match &outcome.answer {
            Err(Stop::Illegal(op)) if !matches!(whole.answer, Err(Stop::Illegal(_))) => {
                whole.answer = Err(Stop::Illegal(segment.from + op));
            }
            Err(Stop::OverBudget(why)) if whole.answer.is_ok() => {
                whole.answer = Err(Stop::OverBudget(*why));
            }
            Ok(()) | Err(_) => {}
        }
    }
    whole
}

fn any_illegal(tasks: &[SegmentTask<'_>]) -> bool {
    tasks.iter().any(|task| matches!(task.outcome.answer, Err(Stop::Illegal(_))))
}

/// Whether a task ran out of this budget.
fn exceeded(what: BudgetExceeded) -> impl Fn(&SegmentTask<'_>) -> bool {
    move |task| task.outcome.answer == Err(Stop::OverBudget(what))
}

impl<'a> ObjectScheduler<'a> {
    /// The answer of a monitor if one applies. Otherwise the result of a search, or the segments
    /// left to search.
    fn first_round(
        &self,
        number: usize,
        object: &'a ObjectHistory<'_>,
        budget: Budget<'_>,
    ) -> Vec<SegmentTask<'a>> {
        let task = |segment, outcome| SegmentTask { object: number, segment, outcome };
        let whole = Segment { from: 0, ops: &object.ops, state: None };
        if let Some(known) = monitor::outcome(self.model, self.initial, &object.ops, budget) {
            return vec![task(whole, known)];
        }
        let shaped =
            || SearchQuery::new(self.model, self.initial, &object.ops, budget).static_facts_hold();
        let segments = segments::split_at_rest(self.model, &object.ops, self.min_ops, shaped);
        if let [segment] = segments.as_slice() {
            let outcome = self.search_whole(segment, budget);
            return vec![task(whole, outcome)];
        }
        let later = || OrderOutcome {
            answer: Err(Stop::OverBudget(BudgetExceeded::Steps)),
            ..OrderOutcome::default()
        };
        segments.into_iter().map(|segment| task(segment, later())).collect()
    }

    fn query<'q>(&'q self, segment: &'q Segment<'q>, budget: Budget<'q>) -> SearchQuery<'q> {
        SearchQuery::new(self.model, segment.initial(self.initial), segment.ops, budget)
    }

    fn search_whole(&self, segment: &Segment<'_>, budget: Budget<'_>) -> OrderOutcome {
        self.query(segment, budget).decide()
    }

    /// Searches one segment. One of many segments skips the narrowest walk: many short walks would
    /// find out again and again that it does not suffice.
    fn search_segment(&self, segment: &Segment<'_>, budget: Budget<'_>) -> OrderOutcome {
        if !segment.is_first() && (budget.expired)() {
            let (answer, algorithm) =
                (Err(Stop::OverBudget(BudgetExceeded::Time)), Algorithm::Breadth);
            return OrderOutcome { answer, algorithm, ..OrderOutcome::default() };
        }
        let question = self.query(segment, budget);
        if segment.is_first() { question } else { question.without_narrowest() }.decide()
    }

    /// Searches every task that matches.
    fn search_again(
        &self,
        tasks: &mut [SegmentTask<'_>],
        these: impl Fn(&SegmentTask<'_>) -> bool,
        budget: Budget<'_>,
    ) {
        let places: Vec<usize> = (0..tasks.len()).filter(|place| these(&tasks[*place])).collect();
        let outcome =
            self.run_all(&places, |place| self.search_segment(&tasks[*place].segment, budget));
        places.into_iter().zip(outcome).for_each(|(place, outcome)| tasks[place].outcome = outcome);
    }

    /// Runs a function on each item on several threads; the results are in the order of the items.
    fn run_all<T: Sync, A: Send>(&self, these: &[T], ask: impl Fn(&T) -> A + Sync) -> Vec<A> {
        let next = AtomicUsize::new(0);
        let outcome = Mutex::new(Vec::with_capacity(these.len()));
        let work = || {
            while let Some((number, it)) = claim_next(these, &next) {
                let answer = ask(it);
                outcome.lock().unwrap_or_else(PoisonError::into_inner).push((number, answer));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..self.jobs.min(these.len()) {
                // A thread that cannot be started is not needed: this one does all the work.
                drop(std::thread::Builder::new().spawn_scoped(scope, work));
            }
            work();
        });
        let mut outcome = outcome.into_inner().unwrap_or_else(PoisonError::into_inner);
        outcome.sort_by_key(|(number, _)| *number);
        outcome.into_iter().map(|(_, answer)| answer).collect()
    }
}

fn claim_next<'t, T>(these: &'t [T], next: &AtomicUsize) -> Option<(usize, &'t T)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    these.get(number).map(|it| (number, it))
}

#[cfg(test)]
mod tests;
