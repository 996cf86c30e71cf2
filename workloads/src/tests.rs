//! Plays every workload against systems that are right and against one that lies.

use super::*;
use crate::simulate::{Lie, Manner, history};
use checker::Validity;
use std::collections::BTreeSet;

const SEEDS: std::ops::Range<u64> = 0..5;

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
fn a_workload_calls_all_its_functions_on_its_object_and_nothing_else() {
    for workload in WORKLOADS {
        let mut main = workload.traffic(Rng::new(1), &Scene { replicas: 3 }).main;
        let mut called = BTreeSet::new();
        for number in 0..2000 {
            let turn = Turn { thread: number % 10, time: number as u64 * 5_000_000 };
            if let Next::Call(call) = main.next(&turn) {
                assert_eq!(call.object(), workload.object(), "{call:?}");
                called.insert(call.function());
                main.observe(turn.thread, &call, &Reply::ok());
            }
        }
        let declared = workload.functions().iter().copied().collect();
        assert_eq!(called, declared, "{}", workload.name());
    }
}

/// The workloads whose checks are all there.
fn judged() -> &'static [&'static dyn Workload] {
    for workload in WORKLOADS {
        for check in FRESHNESS.iter().flat_map(|(freshness, _)| workload.checks(*freshness)) {
            assert!(checker::registry::known_names().contains(check), "there is no check {check}");
        }
    }
    WORKLOADS
}

fn verdicts(workload: &dyn Workload, seed: u64, manner: (Manner, Option<Lie>)) -> Vec<Verdict> {
    let history = history(workload, seed, 600, manner);
    workload.check(&history, &Limits::default(), Freshness::Linearizable)
}

#[test]
fn a_system_without_fault_is_not_convicted() {
    for workload in judged() {
        for seed in SEEDS {
            for manner in [Manner::Perfect, Manner::Slow, Manner::Crashing] {
                for verdict in verdicts(*workload, seed, (manner, None)) {
                    let name = workload.name();
                    assert_eq!(
                        verdict.validity,
                        Validity::Valid,
                        "{name} {manner:?} seed {seed}: {}",
                        verdict.message
                    );
                }
            }
        }
    }
}

/// The lies that each workload sees through.
const SEEN_THROUGH: &[(&str, &[Lie])] = &[
    ("append", &[Lie::Forget, Lie::Fork, Lie::Past]),
    ("bank", &[Lie::Half]),
    ("broadcast", &[Lie::Forget]),
    ("cas", &[Lie::Forget, Lie::Past]),
    ("counter", &[Lie::Forget, Lie::Past]),
    ("echo", &[Lie::Repeat]),
    ("follower-reads", &[Lie::Forget, Lie::Past]),
    ("g-counter", &[Lie::Forget]),
    ("g-set", &[Lie::Forget]),
    ("kafka", &[Lie::Forget]),
    ("lin-kv", &[Lie::Forget, Lie::Past]),
    ("lock", &[Lie::Forget, Lie::Repeat]),
    ("long-fork", &[Lie::Fork]),
    ("monotonic", &[Lie::Past]),
    ("pn-counter", &[Lie::Forget]),
    ("queue", &[Lie::Forget, Lie::Repeat]),
    ("register", &[Lie::Forget, Lie::Past]),
    ("set", &[Lie::Forget, Lie::Past]),
    ("txn-list-append", &[Lie::Forget, Lie::Fork, Lie::Past]),
    ("txn-rw-register", &[Lie::Forget, Lie::Fork, Lie::Past]),
    ("unique-ids", &[Lie::Repeat]),
    ("wr", &[Lie::Forget, Lie::Fork, Lie::Past]),
];

#[test]
fn every_workload_sees_through_its_lies() {
    let names: Vec<&str> = SEEN_THROUGH.iter().map(|(name, _)| *name).collect();
    assert!(WORKLOADS.iter().map(|workload| workload.name()).eq(names));
    for (name, lies) in SEEN_THROUGH {
        let Some(workload) = judged().iter().find(|it| it.name() == *name) else { continue };
        for lie in *lies {
            for seed in SEEDS {
                let verdicts = verdicts(*workload, seed, (Manner::Slow, Some(*lie)));
                let worst = verdicts.iter().map(|verdict| verdict.validity).max();
                assert_eq!(
                    worst,
                    Some(Validity::Invalid),
                    "{name} {lie:?} seed {seed}: {verdicts:?}"
                );
            }
        }
    }
}

#[test]
fn a_seed_decides_a_whole_history() {
    for workload in WORKLOADS {
        let made = |seed| history(*workload, seed, 300, (Manner::Crashing, None)).events().to_vec();
        assert_eq!(made(1), made(1), "{}", workload.name());
        assert_ne!(made(1), made(2), "{}", workload.name());
    }
}
