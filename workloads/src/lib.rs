//! Says what clients do to a system under test, and which checks judge what came of it.
//!
//! A [`Workload`] is a factory of [`Generator`]s, values that are asked for the next [`Call`] and told each
//! [`Reply`]; whoever owns the clock decides when. Nothing here does I/O, reads a clock or starts a task: the
//! same seed and the same replies give the same calls.

#![forbid(unsafe_code)]

mod call;
mod register;
mod rng;

pub use call::{Call, Outcome, Reply};
pub use rng::Rng;

use checker::{History, Limits, Verdict};

/// A kind of traffic and the claims it can test.
pub trait Workload: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;
    /// What it does and what it proves, in a sentence.
    fn doc(&self) -> &'static str;
    /// The functions it calls; a system that lacks one cannot run it.
    fn functions(&self) -> &'static [&'static str];
    /// The model that judges its histories again, as `harness check --model` takes it.
    fn model(&self) -> &'static str;
    /// The calls of one run, decided by the stream and the replies alone.
    fn generator(&self, rng: Rng) -> Box<dyn Generator>;
    /// Judges a history of this workload.
    fn check(&self, history: &History, limits: &Limits<'_>) -> Vec<Verdict>;
}

/// The calls of one run.
pub trait Generator: Send {
    /// The next call of the main phase.
    fn next(&mut self) -> Call;
    /// What came of a call. Later calls may build on it (a compare-and-set wants a value that was seen).
    fn observe(&mut self, call: &Call, reply: &Reply);
    /// The write and the read that each replica must answer once everything is healed.
    fn recovery(&mut self) -> [Call; 2];
    /// The reads that every replica answers at the end, so that a lost write is seen to be lost.
    fn final_reads(&self) -> Vec<Call>;
}

/// Every workload, in order of name.
pub const WORKLOADS: &[&dyn Workload] = &[&register::Register];

/// The workload of that name.
pub fn workload(name: &str) -> Option<&'static dyn Workload> {
    WORKLOADS.iter().copied().find(|workload| workload.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_sorted_kebab_case_and_explained() {
        let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name()).collect();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        for workload in WORKLOADS {
            assert!(workload.name().chars().all(|c| c.is_ascii_lowercase() || c == '-'));
            assert!(workload.doc().len() > 20, "{} explains itself", workload.name());
        }
    }

    #[test]
    fn a_generator_calls_all_its_functions_and_nothing_else() {
        for workload in WORKLOADS {
            let mut generator = workload.generator(Rng::new(1));
            let mut called = std::collections::BTreeSet::new();
            for _ in 0..500 {
                let call = generator.next();
                called.insert(call.function());
                generator.observe(&call, &Reply::ok());
            }
            let declared = workload.functions().iter().copied().collect();
            assert_eq!(called, declared, "{}", workload.name());
        }
    }
}
