//! Plays one plan and judges what came of it.

use super::outcome::{Failure, Outcome};
use super::plan::Plan;
use super::setting::{Micros, Setting};
use super::trace::Trace;
use super::world::World;
use checker::{Limits, Validity};
use workloads::ReadConsistency;

/// Plays a plan. A trace that records keeps a line for everything that happens.
pub fn run(setting: &Setting, plan: &Plan, trace: &mut Trace) -> Outcome {
    let mut world = World::new(setting, plan, trace);
    let failure = world.play().err();
    let (mut outcome, history) = world.close();
    outcome.failure = failure.or_else(|| judge(setting, &history, outcome.simulated));
    outcome
}

fn judge(setting: &Setting, history: &checker::History, at: Micros) -> Option<Failure> {
    let verdicts =
        setting.workload.check(history, &Limits::default(), ReadConsistency::Linearizable);
    let wrong = verdicts.into_iter().find(|verdict| verdict.validity == Validity::Invalid)?;
    Some(Failure { property: wrong.check, message: wrong.message, at })
}
