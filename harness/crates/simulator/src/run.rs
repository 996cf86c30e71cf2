//! Runs one plan and judges the result.

use super::outcome::{Failure, Outcome};
use super::plan::Plan;
use super::setting::{Micros, SimConfig};
use super::trace::Trace;
use super::world::World;
use checker::{Limits, Validity};
use workloads::ReadConsistency;

/// Runs a plan. A recording trace keeps a line for every event.
pub fn run_simulation(setting: &SimConfig, plan: &Plan, trace: &mut Trace) -> Outcome {
    let mut world = World::new(setting, plan, trace);
    let failure = world.run_plan().err();
    let (mut outcome, history) = world.into_results();
    outcome.failure = failure.or_else(|| check_history(setting, &history, outcome.simulated_time));
    outcome
}

fn check_history(setting: &SimConfig, history: &checker::History, at: Micros) -> Option<Failure> {
    let verdicts =
        setting.workload.check_history(history, &Limits::default(), ReadConsistency::Linearizable);
    let wrong = verdicts.into_iter().find(|verdict| verdict.validity == Validity::Invalid)?;
    Some(Failure { property: wrong.check, message: wrong.message, at })
}
