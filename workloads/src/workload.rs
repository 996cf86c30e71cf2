//! Defines what a workload is: generators for each phase of a run, and the checks for its history.

use crate::generator::BoxGenerator;
use crate::key_choice::KeyChoice;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use checker::{History, Limits, Verdict};

/// A kind of traffic and the claims it can test.
pub trait Workload: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// One sentence: what clients do and what the checks judge.
    fn doc(&self) -> &'static str;
    /// The object its calls operate on; a system without that object cannot run the workload.
    fn object(&self) -> Object;
    /// The functions its main phase calls, sorted by name.
    fn function_names(&self) -> &'static [&'static str];
    /// The checks for histories whose reads have this consistency, by the names that
    /// `harness check --model` takes.
    fn check_names(&self, consistency: ReadConsistency) -> &'static [&'static str];
    /// Whether it draws its keys as a [`KeyChoice`] says.
    fn takes_key_choice(&self) -> bool {
        false
    }
    /// The generators of one run. Its calls depend on the seed, the contexts and the replies alone.
    fn make_traffic(&self, rng: Rng, config: &TrafficConfig) -> Traffic;

    /// Judges a history of this workload.
    fn check_history(
        &self,
        history: &History,
        limits: &Limits<'_>,
        consistency: ReadConsistency,
    ) -> Vec<Verdict> {
        let judge = |name: &&str| checker::check_by_name(history, name, limits);
        self.check_names(consistency).iter().map(judge).collect()
    }
}

/// The facts about a run that shape its traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficConfig {
    /// The number of replicas; thread `t` talks to replica `t % replicas`.
    pub replicas: usize,
    /// Which keys are used, by the workloads that take such a choice.
    pub keys: KeyChoice,
}

impl TrafficConfig {
    /// Traffic for so many replicas, over the keys that the workload chooses.
    pub fn new(replicas: usize) -> Self {
        Self { replicas, keys: KeyChoice::default() }
    }
}

/// The generators of one run, by phase.
pub struct Traffic {
    /// The operations invoked while faults are injected.
    pub main: BoxGenerator,
    /// The operations each replica must complete after all faults have healed: one update and one
    /// read, with a new generator per replica.
    pub recovery: GeneratorFactory,
    /// The final reads of each replica, which expose lost writes.
    pub final_reads: GeneratorFactory,
}

/// Makes the generator for one replica, which a single thread follows.
pub type GeneratorFactory = Box<dyn FnMut() -> BoxGenerator + Send>;
