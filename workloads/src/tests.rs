//! Runs every workload against simulated correct and buggy systems.

use crate::call::Call;
use crate::generator::{Context, Next};
use crate::key_choice::{KeyChoice, Skew};
use crate::read_consistency::{READ_CONSISTENCIES, ReadConsistency};
use crate::registry::WORKLOADS;
use crate::reply::Reply;
use crate::rng::Rng;
use crate::simulate::{Execution, SeededBug, simulate_workload};
use crate::workload::{TrafficConfig, Workload};
use checker::{Limits, Validity, Verdict};
use std::collections::{BTreeMap, BTreeSet};

const SEEDS: std::ops::Range<u64> = 0..5;

#[test]
fn names_are_unique_sorted_kebab_case_and_documented() {
    let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name()).collect();
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    for workload in WORKLOADS {
        assert!(workload.name().chars().all(|c| c.is_ascii_lowercase() || c == '-'));
        assert!(workload.doc().len() > 20, "{} lacks a description", workload.name());
    }
}

#[test]
fn a_workload_calls_exactly_its_functions_on_its_object() {
    for workload in WORKLOADS {
        let mut main = workload.make_traffic(Rng::new(1), &TrafficConfig::new(3)).main;
        let mut called = BTreeSet::new();
        for number in 0..2000 {
            let context = Context { thread: number % 10, time: number as u64 * 5_000_000 };
            if let Next::Call(call) = main.next_call(&context) {
                assert_eq!(call.object(), workload.object(), "{call:?}");
                called.insert(call.function_name());
                main.observe_reply(context.thread, &call, &Reply::ok());
            }
        }
        let declared = workload.function_names().iter().copied().collect();
        assert_eq!(called, declared, "{}", workload.name());
    }
}

/// How often each key is used by the first calls with this choice of keys.
fn count_key_uses(workload: &dyn Workload, keys: KeyChoice) -> BTreeMap<String, usize> {
    let config = TrafficConfig { keys, ..TrafficConfig::new(3) };
    let mut main = workload.make_traffic(Rng::new(1), &config).main;
    let mut uses = BTreeMap::new();
    // So few that hardly any key is retired.
    for _ in 0..60 {
        let Next::Call(call) = main.next_call(&Context { thread: 0, time: 0 }) else { continue };
        let keys: Vec<String> = match &call {
            Call::Read { key } | Call::Write { key, .. } | Call::Cas { key, .. } => {
                vec![key.clone()]
            }
            Call::Txn { ops, .. } => ops.iter().map(|op| op.key().to_string()).collect(),
            other => panic!("{other:?} has no key"),
        };
        keys.into_iter().for_each(|key| *uses.entry(key).or_default() += 1);
        main.observe_reply(0, &call, &Reply::ok());
    }
    uses
}

#[test]
fn a_workload_uses_as_many_keys_as_often_as_it_is_told() {
    for workload in WORKLOADS.iter().filter(|it| it.takes_key_choice()) {
        let name = workload.name();
        let uses = |count, skew| count_key_uses(*workload, KeyChoice { count: Some(count), skew });
        assert!(uses(1, None).len() <= 3, "{name}: one key at a time");
        assert!(uses(20, Some(Skew::Uniform)).len() >= 15, "{name}: twenty at a time");
        let hot = uses(20, Some(Skew::Hot));
        let (most, all) = (hot.values().max().copied(), hot.values().sum::<usize>());
        assert!(most > Some(all / 3), "{name}: {hot:?}");
    }
    let takers = WORKLOADS.iter().filter(|it| it.takes_key_choice()).count();
    assert!(takers >= 3, "{takers}");
}

/// The workloads, once every check they name is known to exist.
fn workloads_with_known_checks() -> &'static [&'static dyn Workload] {
    for workload in WORKLOADS {
        for check in READ_CONSISTENCIES
            .iter()
            .flat_map(|(consistency, _)| workload.check_names(*consistency))
        {
            assert!(checker::registry::known_names().contains(check), "no check is named {check}");
        }
    }
    WORKLOADS
}

fn check_simulation(
    workload: &dyn Workload,
    seed: u64,
    execution: (Execution, Option<SeededBug>),
) -> Vec<Verdict> {
    let history = simulate_workload(workload, seed, 600, execution);
    workload.check_history(&history, &Limits::default(), ReadConsistency::Linearizable)
}

#[test]
fn a_correct_system_is_valid() {
    for workload in workloads_with_known_checks() {
        for seed in SEEDS {
            for execution in [Execution::Sequential, Execution::Concurrent, Execution::Crashing] {
                for verdict in check_simulation(*workload, seed, (execution, None)) {
                    let name = workload.name();
                    assert_eq!(
                        verdict.validity,
                        Validity::Valid,
                        "{name} {execution:?} seed {seed}: {}",
                        verdict.message
                    );
                }
            }
        }
    }
}

/// The seeded bugs that the checks of each workload detect.
const DETECTED_BUGS: &[(&str, &[SeededBug])] = &[
    ("append", &[SeededBug::LostUpdate, SeededBug::LongFork, SeededBug::StaleRead]),
    ("bank", &[SeededBug::HalfTransfer]),
    ("broadcast", &[SeededBug::LostUpdate]),
    ("cas", &[SeededBug::LostUpdate, SeededBug::StaleRead]),
    ("counter", &[SeededBug::LostUpdate, SeededBug::StaleRead]),
    ("echo", &[SeededBug::RepeatedReply]),
    ("follower-reads", &[SeededBug::LostUpdate, SeededBug::StaleRead]),
    ("g-counter", &[SeededBug::LostUpdate]),
    ("g-set", &[SeededBug::LostUpdate]),
    ("kafka", &[SeededBug::LostUpdate]),
    ("lin-kv", &[SeededBug::LostUpdate, SeededBug::StaleRead]),
    ("lock", &[SeededBug::LostUpdate, SeededBug::RepeatedReply]),
    ("long-fork", &[SeededBug::LongFork]),
    ("monotonic", &[SeededBug::StaleRead]),
    ("pn-counter", &[SeededBug::LostUpdate]),
    ("queue", &[SeededBug::LostUpdate, SeededBug::RepeatedReply]),
    ("register", &[SeededBug::LostUpdate, SeededBug::StaleRead]),
    ("set", &[SeededBug::LostUpdate, SeededBug::StaleRead]),
    ("txn-list-append", &[SeededBug::LostUpdate, SeededBug::LongFork, SeededBug::StaleRead]),
    ("txn-rw-register", &[SeededBug::LostUpdate, SeededBug::LongFork, SeededBug::StaleRead]),
    ("unique-ids", &[SeededBug::RepeatedReply]),
    ("wr", &[SeededBug::LostUpdate, SeededBug::LongFork, SeededBug::StaleRead]),
];

#[test]
fn every_workload_detects_its_seeded_bugs() {
    let names: Vec<&str> = DETECTED_BUGS.iter().map(|(name, _)| *name).collect();
    assert!(WORKLOADS.iter().map(|workload| workload.name()).eq(names));
    for (name, bugs) in DETECTED_BUGS {
        let Some(workload) = workloads_with_known_checks().iter().find(|it| it.name() == *name)
        else {
            continue;
        };
        for bug in *bugs {
            for seed in SEEDS {
                let verdicts =
                    check_simulation(*workload, seed, (Execution::Concurrent, Some(*bug)));
                let worst = verdicts.iter().map(|verdict| verdict.validity).max();
                assert_eq!(
                    worst,
                    Some(Validity::Invalid),
                    "{name} {bug:?} seed {seed}: {verdicts:?}"
                );
            }
        }
    }
}

#[test]
fn a_seed_determines_the_whole_history() {
    for workload in WORKLOADS {
        let made = |seed| {
            simulate_workload(*workload, seed, 300, (Execution::Crashing, None)).events().to_vec()
        };
        assert_eq!(made(1), made(1), "{}", workload.name());
        assert_ne!(made(1), made(2), "{}", workload.name());
    }
}
