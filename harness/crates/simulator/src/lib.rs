//! Runs the brain of the node in a world made of numbers: network, disks, clocks and clients that a seed decides.
//!
//! The same seed gives the same run to the last byte, thousands of times faster than real time. After every step
//! an onlooker ([`watch`]) asserts Raft's safety properties; what the clients were told is judged by the workload's
//! own checks; and when everything has healed, a leader and answers must come within a bound. Each seed draws its
//! own mix of faults (swarm testing: Groce et al., ISSTA 2012), so that no kind of trouble hides another.
//!
//! [`plan`] is pure data, [`World`] carries it out, [`shrink`] finds the smallest plan that still goes wrong.

mod ask;
mod clients;
mod faults;
mod machine;
mod members;
mod network;
pub mod plan;
pub mod shrink;
pub mod story;
#[cfg(test)]
mod tests;
mod watch;
mod world;

use checker::{Limits, Validity};
pub use node::raft::{BUGS, Bug};
use plan::Plan;
use workloads::{ReadConsistency, Workload};
use world::World;

/// A moment of simulated time, in microseconds.
type Micros = u64;

/// A second of it.
const SECOND: Micros = 1_000_000;

/// What every seed of a simulation has in common.
#[derive(Clone)]
pub struct Setting {
    /// How many servers.
    pub nodes: u64,
    /// How long clients and faults are at work.
    pub span: Micros,
    /// What clients do.
    pub workload: &'static dyn Workload,
    /// The bugs that are switched on.
    pub bugs: Vec<Bug>,
}

/// What came of one seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What went wrong, if anything did.
    pub harm: Option<Harm>,
    /// How many events there were.
    pub events: u64,
    /// How many operations clients called.
    pub operations: usize,
    /// How many of them were answered *ok*.
    pub ok: usize,
    /// How many times another server came to lead.
    pub leaders: usize,
    /// How many faults were carried out.
    pub faults: usize,
    /// How much simulated time passed.
    pub simulated: Micros,
    /// A digest of everything that happened, in order.
    pub digest: u64,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Harm {
    /// Which: a property of the paper, the name of a check, or `liveness`.
    pub promise: String,
    /// How.
    pub sentence: String,
    /// When it was seen.
    pub at: Micros,
}

/// Lives through a plan. The story is written along, if somebody wants to read it.
pub fn run(setting: &Setting, plan: &Plan, story: &mut story::Story) -> Outcome {
    let mut world = World::new(setting, plan, story);
    let harm = world.live().err();
    let (mut outcome, history) = world.close();
    outcome.harm = harm.or_else(|| judge(setting, &history, outcome.simulated));
    outcome
}

fn judge(setting: &Setting, history: &checker::History, at: Micros) -> Option<Harm> {
    let verdicts =
        setting.workload.check(history, &Limits::default(), ReadConsistency::Linearizable);
    let wrong = verdicts.into_iter().find(|verdict| verdict.validity == Validity::Invalid)?;
    Some(Harm { promise: wrong.check, sentence: wrong.message, at })
}
