//! Minimizes a failing schedule: fewer faults, a shorter run. Pure: the caller runs each candidate.
//!
//! A smaller candidate is accepted only after it failed, so the result has failed, too.

use crate::nemesis::schedule::{Schedule, When};

/// Time after the last fault, so that its effect can be observed.
const AFTERMATH_MS: u64 = 2_000;

/// A schedule and run length that may fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its faults.
    pub schedule: Schedule,
    /// How long its main phase lasts, in milliseconds.
    pub limit_ms: u64,
}

/// The smallest candidate that failed, given one that failed. `fails` runs a candidate; `None` ends
/// the search.
pub fn shrink_schedule(
    start: Candidate,
    fails: &mut dyn FnMut(&Candidate) -> Option<bool>,
) -> Candidate {
    let mut search = Search { best: start, fails };
    // If the time ends during a step, the best candidate so far is the result.
    let _ended: Option<()> = search.remove_faults().and_then(|()| search.shorten_run());
    search.best
}

struct Search<'a> {
    best: Candidate,
    fails: &'a mut dyn FnMut(&Candidate) -> Option<bool>,
}

impl Search<'_> {
    fn try_candidate(&mut self, candidate: Candidate) -> Option<bool> {
        let fails = (self.fails)(&candidate)?;
        if fails {
            self.best = candidate;
        }
        Some(fails)
    }

    /// Removes halves of the faults, the later ones first, then quarters, then each (Zeller's
    /// ddmin).
    fn remove_faults(&mut self) -> Option<()> {
        let mut size = self.best.schedule.len().div_ceil(2);
        while size > 0 {
            let mut end = self.best.schedule.len();
            while end > 0 {
                let from = end.saturating_sub(size);
                let mut candidate = self.best.clone();
                candidate.schedule.drain(from..end);
                self.try_candidate(candidate)?;
                end = from;
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        Some(())
    }

    /// Ends soon after the last fault, then after half of the time, as far as the faults let it.
    fn shorten_run(&mut self) -> Option<()> {
        let Some(last_ms) = last_ms(&self.best.schedule) else { return Some(()) };
        let needed_ms = last_ms + AFTERMATH_MS;
        if needed_ms < self.best.limit_ms {
            let limit_ms = needed_ms;
            self.try_candidate(Candidate { limit_ms, ..self.best.clone() })?;
        }
        self.shift_faults()
    }

    /// Starts the first fault at once, and shifts the others by the same time.
    fn shift_faults(&mut self) -> Option<()> {
        let starts = self.best.schedule.iter().filter_map(|entry| match entry.when {
            When::At(at_ms) => Some(at_ms),
            When::After { .. } => None,
        });
        let earlier_ms = starts.min().unwrap_or(0).saturating_sub(1_000);
        if earlier_ms > 0 {
            let mut candidate = self.best.clone();
            candidate.limit_ms = candidate.limit_ms.saturating_sub(earlier_ms);
            for entry in &mut candidate.schedule {
                if let When::At(at_ms) = &mut entry.when {
                    *at_ms -= earlier_ms;
                }
            }
            self.try_candidate(candidate)?;
        }
        Some(())
    }
}

/// When the last fault ends; `None` if it is triggered by an event.
fn last_ms(schedule: &Schedule) -> Option<u64> {
    let ends = schedule.iter().map(|entry| match entry.when {
        When::At(at_ms) => Some(at_ms + entry.for_ms),
        When::After { .. } => None,
    });
    ends.collect::<Option<Vec<u64>>>().map(|ends| ends.into_iter().max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nemesis::schedule::ScheduledFault;

    fn make_candidate(starts: &[u64]) -> Candidate {
        let entry = |at_ms: &u64| ScheduledFault {
            when: When::At(*at_ms),
            kind: "kill".into(),
            aim: at_ms.to_string(),
            for_ms: 500,
        };
        Candidate { schedule: starts.iter().map(entry).collect(), limit_ms: 30_000 }
    }

    /// The names of a candidate's faults.
    fn fault_aims(candidate: &Candidate) -> Vec<&str> {
        candidate.schedule.iter().map(|entry| entry.aim.as_str()).collect()
    }

    fn start_times() -> Vec<u64> {
        (2..26).map(|s| s * 1_000).collect()
    }

    #[test]
    fn only_the_faults_that_are_needed_remain() {
        for needed in [&["5000"][..], &["5000", "20000"], &["2000", "3000", "25000"], &[]] {
            let mut tries = 0;
            let small = shrink_schedule(make_candidate(&start_times()), &mut |candidate| {
                tries += 1;
                Some(needed.iter().all(|aim| fault_aims(candidate).contains(aim)))
            });
            assert_eq!(fault_aims(&small), needed);
            assert!(tries < 80, "{tries}");
        }
    }

    #[test]
    fn time_that_is_not_needed_goes_from_both_ends() {
        let small = shrink_schedule(make_candidate(&start_times()), &mut |candidate| {
            Some(fault_aims(candidate).contains(&"9000"))
        });
        assert_eq!(small.schedule[0].when, When::At(1_000));
        assert_eq!(small.limit_ms, 1_000 + 500 + AFTERMATH_MS);
    }

    #[test]
    fn an_end_of_the_search_leaves_the_last_that_failed() {
        let mut tries = 0;
        let small = shrink_schedule(make_candidate(&start_times()), &mut |candidate| {
            tries += 1;
            (tries <= 3).then(|| fault_aims(candidate).contains(&"5000"))
        });
        assert!(fault_aims(&small).contains(&"5000") && small.schedule.len() < 24);
        let start = make_candidate(&start_times());
        assert_eq!(
            shrink_schedule(start.clone(), &mut |_| Some(false)),
            start,
            "what never fails is not taken"
        );
    }
}
