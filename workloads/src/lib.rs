//! Says what clients do to a system under test, and which checks judge what came of it.
//!
//! A [`Workload`] makes the [`Traffic`] of a run: [`generator`]s, values that are asked for the next [`Call`] of a
//! thread and told each [`Reply`]; whoever owns the clock decides when. Nothing here does I/O, reads a clock or
//! starts a task: the same seed, turns and replies give the same calls.

#![forbid(unsafe_code)]

mod append;
mod bank;
mod broadcast;
mod call;
mod cas;
mod counter;
mod echo;
mod eventual_counter;
mod follower_reads;
mod g_set;
pub mod generator;
mod kafka;
mod keys;
mod lock;
mod long_fork;
mod manners;
mod monotonic;
mod queue;
mod register;
mod rng;
mod same;
mod set;
mod settle;
#[cfg(test)]
mod simulate;
mod unique_ids;
mod wr;

pub use call::{Call, FRESHNESS, Freshness, Micro, Object, Outcome, Reply};
pub use generator::{Generator, Next, Turn};
pub use manners::{OUT_OF_PLACE, mannered};
pub use rng::Rng;

use checker::{History, Limits, Verdict};
use generator::{Any, phases, until_ok};

/// A kind of traffic and the claims it can test.
pub trait Workload: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// What it does and what it proves, in a sentence.
    fn doc(&self) -> &'static str;
    /// What its calls are about; a system that keeps nothing of the kind cannot run it.
    fn object(&self) -> Object;
    /// The functions its main phase calls, in order of name.
    fn functions(&self) -> &'static [&'static str];
    /// The checks that judge its histories where reads are that fresh, as `harness check --model` takes them.
    fn checks(&self, freshness: Freshness) -> &'static [&'static str];
    /// The calls of one run, decided by the stream, the turns and the replies alone.
    fn traffic(&self, rng: Rng, scene: &Scene) -> Traffic;

    /// Judges a history of this workload.
    fn check(&self, history: &History, limits: &Limits<'_>, freshness: Freshness) -> Vec<Verdict> {
        let judge = |name: &&str| checker::check_by_name(history, name, limits);
        self.checks(freshness).iter().map(judge).collect()
    }
}

/// What a workload has to know of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scene {
    /// How many replicas there are; thread `t` speaks to replica `t % replicas`.
    pub replicas: usize,
}

/// The calls of one run, phase by phase.
pub struct Traffic {
    /// What clients do while things go wrong.
    pub main: Any,
    /// What each replica must answer once everything is healed: a change and a look, made anew for each.
    pub recovery: Part,
    /// What each replica is asked at the end, so that what was lost is seen to be lost.
    pub finale: Part,
}

/// Makes the generator of one replica, which has one thread.
pub type Part = Box<dyn FnMut() -> Any + Send>;

/// Every workload, in order of name.
pub const WORKLOADS: &[&dyn Workload] = &[
    &append::Append,
    &bank::Bank,
    &broadcast::Broadcast,
    &cas::Cas,
    &counter::Counter,
    &echo::Echo,
    &follower_reads::FollowerReads,
    &eventual_counter::G_COUNTER,
    &g_set::GSet,
    &kafka::Kafka,
    &same::LIN_KV,
    &lock::Lock,
    &long_fork::LongFork,
    &monotonic::Monotonic,
    &eventual_counter::PN_COUNTER,
    &queue::Queue,
    &register::Register,
    &set::Set,
    &same::TXN_LIST_APPEND,
    &same::TXN_RW_REGISTER,
    &unique_ids::UniqueIds,
    &wr::Wr,
];

/// The workload of that name.
pub fn workload(name: &str) -> Option<&'static dyn Workload> {
    WORKLOADS.iter().copied().find(|workload| workload.name() == name)
}

/// One after another, each until it is answered.
fn each_until_ok(parts: impl IntoIterator<Item = Any>) -> Any {
    phases(parts.into_iter().map(until_ok))
}

#[cfg(test)]
mod tests;
