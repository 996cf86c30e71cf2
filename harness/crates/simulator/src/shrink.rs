//! Finds the smallest plan that still fails: fewer faults, fewer calls, a shorter span.
//!
//! Every step is a run of its own: a smaller plan is taken only if it violates the same property.

use super::outcome::Failure;
use super::plan::Plan;
use super::run::run_simulation;
use super::setting::{SECOND, SimConfig};
use super::trace::Trace;

/// How many runs a shrinking may take.
const MAX_RUNS: usize = 300;

/// The smallest plan found that breaks the same property, and how.
pub fn shrink_plan(setting: &SimConfig, plan: Plan, failure: Failure) -> (Plan, Failure) {
    let mut search = Shrinker { setting, plan, failure, runs: 0 };
    search.shorten_span();
    search.remove_faults();
    search.reduce_rate();
    search.remove_faults();
    (search.plan, search.failure)
}

struct Shrinker<'a> {
    setting: &'a SimConfig,
    plan: Plan,
    failure: Failure,
    runs: usize,
}

impl Shrinker<'_> {
    /// Takes the plan if it goes wrong in the same way.
    fn try_plan(&mut self, plan: Plan) -> bool {
        self.runs += 1;
        if self.runs > MAX_RUNS {
            return false;
        }
        let failure = run_simulation(self.setting, &plan, &mut Trace::default()).failure;
        match failure {
            Some(failure) if failure.property == self.failure.property => {
                (self.plan, self.failure) = (plan, failure);
                true
            }
            _ => false,
        }
    }

    /// Leaves out what comes after the failure, then halves.
    fn shorten_span(&mut self) {
        let ends = [self.failure.at + SECOND / 10, self.plan.span / 2, self.plan.span / 4];
        for end in ends {
            if end >= self.plan.span {
                continue;
            }
            let mut plan = self.plan.clone();
            plan.span = end;
            plan.faults.retain(|fault| fault.at < end);
            plan.faults.iter_mut().for_each(|fault| fault.until = fault.until.min(end));
            self.try_plan(plan);
        }
    }

    /// Leaves out halves of the faults, then quarters, then each (Zeller's ddmin).
    fn remove_faults(&mut self) {
        let mut size = self.plan.faults.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.plan.faults.len() {
                let mut plan = self.plan.clone();
                plan.faults.drain(from..(from + size).min(plan.faults.len()));
                if !self.try_plan(plan) {
                    from += size;
                }
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
    }

    fn reduce_rate(&mut self) {
        while self.plan.rate > 1 {
            let rate = self.plan.rate / 2;
            if !self.try_plan(Plan { rate, ..self.plan.clone() }) {
                return;
            }
        }
    }
}
