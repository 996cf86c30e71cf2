//! Turns a schedule into steps: the faults that begin and end at each moment. Pure.
//!
//! All that a [`Step`] ends and begins is applied as one change, so that a partition can turn
//! straight into another. Faults that wait for operations are released once so many have succeeded.

use super::schedule::{Schedule, ScheduledFault, When};
use std::collections::BTreeMap;

/// How many operations have succeeded in the main phase, by function.
pub(crate) type SuccessCounts = BTreeMap<String, u64>;

/// What begins and ends at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Milliseconds since the main phase began.
    pub(crate) at_ms: u64,
    /// The faults that end, by number.
    pub(crate) end: Vec<u32>,
    /// The faults that begin.
    pub(crate) begin: Vec<PlannedFault>,
}

/// A fault of the schedule that is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedFault {
    /// From 1, its place in the schedule.
    pub(crate) id: u32,
    /// The nemesis's name.
    pub(crate) kind: String,
    /// How it aims.
    pub(crate) variant: String,
    /// How long it lasts, in milliseconds.
    pub(crate) for_ms: u64,
}

/// The steps still to be done.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    steps: BTreeMap<u64, Step>,
    waiting: Vec<(u32, ScheduledFault)>,
}

impl Timeline {
    /// All steps of the schedule.
    pub(crate) fn new(schedule: &Schedule) -> Self {
        let mut timeline = Self::default();
        for (id, entry) in (1..).zip(schedule) {
            match entry.when {
                When::At(at_ms) => timeline.insert_fault(id, entry, at_ms),
                When::After { .. } => timeline.waiting.push((id, entry.clone())),
            }
        }
        timeline
    }

    fn insert_fault(&mut self, id: u32, entry: &ScheduledFault, at_ms: u64) {
        let planned = plan_fault(id, entry);
        self.step_at(at_ms).begin.push(planned);
        self.step_at(at_ms.saturating_add(entry.for_ms)).end.push(id);
    }

    fn step_at(&mut self, at_ms: u64) -> &mut Step {
        self.steps.entry(at_ms).or_insert_with(|| Step { at_ms, ..Step::default() })
    }

    /// Has the faults begin now that waited for as many operations as have succeeded.
    pub(crate) fn release_triggered(&mut self, succeeded: &SuccessCounts, now_ms: u64) {
        let waiting = std::mem::take(&mut self.waiting);
        for (id, entry) in waiting {
            match &entry.when {
                When::After { count, function }
                    if count_successes(succeeded, function.as_ref()) < *count =>
                {
                    self.waiting.push((id, entry));
                }
                _ => self.insert_fault(id, &entry, now_ms),
            }
        }
    }

    /// Moves the end of a fault that began late, whether it was still to come or is past already.
    pub(crate) fn move_end(&mut self, id: u32, at_ms: u64) {
        self.steps.values_mut().for_each(|step| step.end.retain(|other| *other != id));
        self.steps.retain(|_, step| !step.begin.is_empty() || !step.end.is_empty());
        self.step_at(at_ms).end.push(id);
    }

    /// Whether some fault waits for operations.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When the next step is due.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.steps.keys().next().copied()
    }

    /// The next step, if it is due by then.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Option<Step> {
        let next = self.steps.first_entry()?;
        (*next.key() <= now_ms).then(|| next.remove())
    }

    /// The faults that did not begin: they waited for operations, or their step was not reached.
    pub(crate) fn unstarted_faults(&self) -> Vec<(PlannedFault, When)> {
        let waited =
            self.waiting.iter().map(|(id, entry)| (plan_fault(*id, entry), entry.when.clone()));
        let late = self.steps.values().flat_map(|step| {
            step.begin.iter().map(|planned| (planned.clone(), When::At(step.at_ms)))
        });
        waited.chain(late).collect()
    }
}

fn plan_fault(id: u32, entry: &ScheduledFault) -> PlannedFault {
    let (kind, variant) = (entry.kind.clone(), entry.aim.clone());
    PlannedFault { id, kind, variant, for_ms: entry.for_ms }
}

/// How many operations of the function, or of any, have succeeded.
pub(crate) fn count_successes(succeeded: &SuccessCounts, function: Option<&String>) -> u64 {
    match function {
        Some(function) => succeeded.get(function).copied().unwrap_or(0),
        None => succeeded.values().sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheduled_fault(when: When) -> ScheduledFault {
        ScheduledFault { when, kind: "kill".to_owned(), aim: "one".to_owned(), for_ms: 500 }
    }

    fn fault_after(count: u64, function: Option<&str>) -> ScheduledFault {
        scheduled_fault(When::After { count, function: function.map(str::to_owned) })
    }

    fn take_step_ids(timeline: &mut Timeline, now_ms: u64) -> (Vec<u32>, Vec<u32>) {
        let step = timeline.take_due(now_ms).expect("a step is due");
        (step.end, step.begin.iter().map(|planned| planned.id).collect())
    }

    #[test]
    fn what_ends_and_begins_at_one_moment_is_one_step() {
        let mut timeline = Timeline::new(&vec![
            scheduled_fault(When::At(1_000)),
            scheduled_fault(When::At(1_500)),
        ]);
        assert_eq!(timeline.take_due(999), None);
        assert_eq!(take_step_ids(&mut timeline, 1_000), (vec![], vec![1]));
        assert_eq!(take_step_ids(&mut timeline, 1_500), (vec![1], vec![2]));
        assert_eq!((timeline.next_ms(), timeline.has_waiting()), (Some(2_000), false));
    }

    #[test]
    fn the_end_of_a_fault_moves_with_its_beginning_and_leaves_no_empty_step() {
        let mut timeline = Timeline::new(&vec![scheduled_fault(When::At(1_000))]);
        assert_eq!(take_step_ids(&mut timeline, 1_000), (vec![], vec![1]));
        timeline.move_end(1, 1_900);
        assert_eq!(timeline.next_ms(), Some(1_900));
        assert_eq!(take_step_ids(&mut timeline, 1_900), (vec![1], vec![]));
        timeline.move_end(1, 2_500);
        assert_eq!(take_step_ids(&mut timeline, 2_500), (vec![1], vec![]));
    }

    #[test]
    fn a_fault_waits_for_operations_of_its_function_and_lasts_from_then_on() {
        let mut timeline =
            Timeline::new(&vec![fault_after(3, Some("write")), fault_after(100, None)]);
        let mut succeeded = SuccessCounts::from([("write".to_owned(), 2), ("read".to_owned(), 50)]);
        timeline.release_triggered(&succeeded, 700);
        assert_eq!(timeline.take_due(u64::MAX), None, "three writes have not succeeded yet");
        succeeded.insert("write".to_owned(), 3);
        timeline.release_triggered(&succeeded, 800);
        assert_eq!(take_step_ids(&mut timeline, 800), (vec![], vec![1]));
        assert_eq!(timeline.next_ms(), Some(1_300));
        let never: Vec<u32> =
            timeline.unstarted_faults().iter().map(|(planned, _)| planned.id).collect();
        assert_eq!(never, [2]);
    }
}
