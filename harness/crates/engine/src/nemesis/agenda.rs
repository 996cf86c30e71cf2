//! Turns a schedule into what begins and ends at each moment, and lets what waits for operations begin in time. Pure.
//!
//! All that a [`Step`] ends and begins is applied as one change, so that a partition can turn straight into another.

use super::schedule::{Entry, Schedule, When};
use std::collections::BTreeMap;

/// How many operations have succeeded in the main phase, by function.
pub(crate) type Succeeded = BTreeMap<String, u64>;

/// What begins and ends at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Milliseconds since the main phase began.
    pub at_ms: u64,
    /// The faults that end, by number.
    pub end: Vec<u32>,
    /// The faults that begin.
    pub begin: Vec<Planned>,
}

/// A fault that is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Planned {
    /// From 1, its place in the schedule.
    pub id: u32,
    /// The nemesis's name.
    pub kind: String,
    /// How it aims.
    pub variant: String,
}

/// What is still to be done.
#[derive(Debug)]
pub(crate) struct Agenda {
    steps: BTreeMap<u64, Step>,
    waiting: Vec<(u32, Entry)>,
}

impl Agenda {
    /// Everything of the schedule.
    pub(crate) fn new(schedule: &Schedule) -> Self {
        let mut agenda = Self { steps: BTreeMap::new(), waiting: Vec::new() };
        for (id, entry) in (1..).zip(schedule) {
            match entry.when {
                When::At(at_ms) => agenda.begin(id, entry, at_ms),
                When::After { .. } => agenda.waiting.push((id, entry.clone())),
            }
        }
        agenda
    }

    fn begin(&mut self, id: u32, entry: &Entry, at_ms: u64) {
        let planned = planned(id, entry);
        self.step(at_ms).begin.push(planned);
        self.step(at_ms.saturating_add(entry.for_ms)).end.push(id);
    }

    fn step(&mut self, at_ms: u64) -> &mut Step {
        self.steps.entry(at_ms).or_insert_with(|| Step { at_ms, ..Step::default() })
    }

    /// Lets begin now what has waited for as many operations as have succeeded.
    pub(crate) fn heed(&mut self, succeeded: &Succeeded, now_ms: u64) {
        let waiting = std::mem::take(&mut self.waiting);
        for (id, entry) in waiting {
            match &entry.when {
                When::After { count, function }
                    if counted(succeeded, function.as_ref()) < *count =>
                {
                    self.waiting.push((id, entry));
                }
                _ => self.begin(id, &entry, now_ms),
            }
        }
    }

    /// Whether anything waits for operations.
    pub(crate) fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// When the next step is due.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.steps.keys().next().copied()
    }

    /// The next step, if it is due by then.
    pub(crate) fn take(&mut self, now_ms: u64) -> Option<Step> {
        let next = self.steps.first_entry()?;
        (*next.key() <= now_ms).then(|| next.remove())
    }

    /// What has waited for operations that never came, or was never reached.
    pub(crate) fn never_began(&self) -> Vec<(Planned, When)> {
        let waited =
            self.waiting.iter().map(|(id, entry)| (planned(*id, entry), entry.when.clone()));
        let late = self.steps.values().flat_map(|step| {
            step.begin.iter().map(|planned| (planned.clone(), When::At(step.at_ms)))
        });
        waited.chain(late).collect()
    }
}

fn planned(id: u32, entry: &Entry) -> Planned {
    Planned { id, kind: entry.kind.clone(), variant: entry.aim.clone() }
}

/// How many operations of the function, or of any, have succeeded.
pub(crate) fn counted(succeeded: &Succeeded, function: Option<&String>) -> u64 {
    match function {
        Some(function) => succeeded.get(function).copied().unwrap_or(0),
        None => succeeded.values().sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(when: When) -> Entry {
        Entry { when, kind: "kill".to_owned(), aim: "one".to_owned(), for_ms: 500 }
    }

    fn after(count: u64, function: Option<&str>) -> Entry {
        entry(When::After { count, function: function.map(str::to_owned) })
    }

    fn taken(agenda: &mut Agenda, now_ms: u64) -> (Vec<u32>, Vec<u32>) {
        let step = agenda.take(now_ms).expect("a step is due");
        (step.end, step.begin.iter().map(|planned| planned.id).collect())
    }

    #[test]
    fn what_ends_and_begins_at_one_moment_is_one_step() {
        let mut agenda = Agenda::new(&vec![entry(When::At(1_000)), entry(When::At(1_500))]);
        assert_eq!(agenda.take(999), None);
        assert_eq!(taken(&mut agenda, 1_000), (vec![], vec![1]));
        assert_eq!(taken(&mut agenda, 1_500), (vec![1], vec![2]));
        assert_eq!((agenda.next_ms(), agenda.waits()), (Some(2_000), false));
    }

    #[test]
    fn a_fault_waits_for_operations_of_its_function_and_lasts_from_then_on() {
        let mut agenda = Agenda::new(&vec![after(3, Some("write")), after(100, None)]);
        let mut succeeded = Succeeded::from([("write".to_owned(), 2), ("read".to_owned(), 50)]);
        agenda.heed(&succeeded, 700);
        assert_eq!(agenda.take(u64::MAX), None, "three writes have not succeeded yet");
        succeeded.insert("write".to_owned(), 3);
        agenda.heed(&succeeded, 800);
        assert_eq!(taken(&mut agenda, 800), (vec![], vec![1]));
        assert_eq!(agenda.next_ms(), Some(1_300));
        let never: Vec<u32> = agenda.never_began().iter().map(|(planned, _)| planned.id).collect();
        assert_eq!(never, [2]);
    }
}
