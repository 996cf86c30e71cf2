//! Tests the simulator: a seed is one run, a correct core passes, seeded bugs are found.

use super::outcome::Outcome;
use super::plan::Plan;
use super::run::run_simulation;
use super::setting::{SECOND, SimConfig};
use super::shrink;
use super::trace::Trace;
use node::bug::{Bug, VariationSet};

fn make_setting(bugs: &[Bug]) -> SimConfig {
    let workload = workloads::find_workload("register").expect("it exists");
    SimConfig {
        nodes: 5,
        span: 30 * SECOND,
        workload,
        bugs: bugs.iter().copied().collect(),
        variations: VariationSet::default(),
    }
}

fn run_recorded(seed: u64) -> (Outcome, String) {
    let (setting, mut trace) = (make_setting(&[]), Trace::recording());
    let outcome = run_simulation(&setting, &Plan::new(&setting, seed), &mut trace);
    (outcome, trace.text().to_owned())
}

#[test]
fn a_seed_is_one_run_to_the_last_byte() {
    let (first, second) = (run_recorded(7), run_recorded(7));
    assert!(first == second, "one seed, two runs");
    assert_ne!(first.0.digest, run_recorded(8).0.digest);
}

#[test]
fn recording_a_trace_changes_nothing() {
    let setting = make_setting(&[]);
    let plan = Plan::new(&setting, 11);
    assert_eq!(run_simulation(&setting, &plan, &mut Trace::default()), run_recorded(11).0);
}

#[test]
fn a_correct_core_passes_and_is_kept_busy() {
    let setting = make_setting(&[]);
    let mut changed = 0;
    for seed in 0..40 {
        let outcome = run_simulation(&setting, &Plan::new(&setting, seed), &mut Trace::default());
        assert_eq!(outcome.failure, None, "seed {seed}");
        assert!(outcome.faults >= 8 && outcome.operations >= 1000, "seed {seed}: {outcome:?}");
        changed += usize::from(outcome.leader_changes > 1);
    }
    assert!(changed >= 34, "the leader changed in {changed} of 40 seeds");
}

/// The first seed in which a bug causes a failure.
fn find_failure(bug: Bug, most: u64) -> Option<(Plan, super::outcome::Failure)> {
    let setting = make_setting(&[bug]);
    (0..most).find_map(|seed| {
        let plan = Plan::new(&setting, seed);
        run_simulation(&setting, &plan, &mut Trace::default())
            .failure
            .map(|failure| (plan, failure))
    })
}

/// Rarer ones take thousands of seeds: `.ci/run` asks `harness sim` for them.
#[test]
fn seeded_bugs_are_found() {
    let frequent = [
        Bug::EarlyAck,
        Bug::FollowerReads,
        Bug::KeepTail,
        Bug::NoFsync,
        Bug::StaleReads,
        Bug::SwapVoters,
        Bug::VoteWithoutLogCheck,
    ];
    for bug in frequent {
        assert!(find_failure(bug, 300).is_some(), "{} failed in none of 300 seeds", bug.name());
    }
}

#[test]
fn a_failing_seed_shrinks_to_few_faults() {
    let (plan, failure) = find_failure(Bug::StaleReads, 300).expect("found above");
    let faults = plan.faults.len();
    let setting = make_setting(&[Bug::StaleReads]);
    let (small, still) = shrink::shrink_plan(&setting, plan, failure.clone());
    assert_eq!(still.property, failure.property);
    assert!(small.faults.len() < faults && small.faults.len() <= 4, "{:?}", small.faults);
}
