//! Tries the simulator: the same seed is the same run, sound brains are acquitted, seeded bugs are found.

use super::plan::Plan;
use super::story::Story;
use super::{Outcome, SECOND, Setting, run, shrink};
use node::raft::{BUGS, Bug};

fn setting(bugs: &[Bug]) -> Setting {
    let workload = workloads::find_workload("register").expect("it exists");
    Setting { nodes: 5, span: 30 * SECOND, workload, bugs: bugs.to_vec() }
}

fn told(seed: u64) -> (Outcome, String) {
    let (setting, mut story) = (setting(&[]), Story::told());
    let outcome = run(&setting, &Plan::new(&setting, seed), &mut story);
    (outcome, story.text().to_owned())
}

#[test]
fn a_seed_is_one_run_to_the_last_byte() {
    let (first, second) = (told(7), told(7));
    assert!(first == second, "one seed, two runs");
    assert_ne!(first.0.digest, told(8).0.digest);
}

#[test]
fn whether_the_story_is_written_changes_nothing() {
    let setting = setting(&[]);
    let plan = Plan::new(&setting, 11);
    assert_eq!(run(&setting, &plan, &mut Story::default()), told(11).0);
}

#[test]
fn a_sound_brain_is_acquitted_and_kept_busy() {
    let setting = setting(&[]);
    let mut changed = 0;
    for seed in 0..40 {
        let outcome = run(&setting, &Plan::new(&setting, seed), &mut Story::default());
        assert_eq!(outcome.harm, None, "seed {seed}");
        assert!(outcome.faults >= 8 && outcome.operations >= 1000, "seed {seed}: {outcome:?}");
        changed += usize::from(outcome.leaders > 1);
    }
    assert!(changed >= 34, "the leader changed in {changed} of 40 seeds");
}

/// The first seed in which a bug does harm.
fn found(bug: Bug, most: u64) -> Option<(Plan, super::Harm)> {
    let setting = setting(&[bug]);
    (0..most).find_map(|seed| {
        let plan = Plan::new(&setting, seed);
        run(&setting, &plan, &mut Story::default()).harm.map(|harm| (plan, harm))
    })
}

/// The rare ones take thousands of seeds: `.ci/run` asks `harness sim` for them.
#[test]
fn seeded_bugs_are_found() {
    let rare = [Bug::ForgetVote, Bug::CommitOldTerm, Bug::NoFsync];
    // These break no promise, they only keep everybody waiting: real cuts of long standing show them.
    let idle = [Bug::LoneHeartbeats, Bug::NoCheckQuorum];
    let sought = |bug: &Bug| !rare.contains(bug) && !idle.contains(bug);
    for (bug, name, _) in BUGS.iter().filter(|(bug, ..)| sought(bug)) {
        assert!(found(*bug, 300).is_some(), "{name} did no harm in 300 seeds");
    }
}

#[test]
fn a_failing_seed_shrinks_to_few_faults() {
    let (plan, harm) = found(Bug::StaleReads, 300).expect("found above");
    let faults = plan.faults.len();
    let setting = setting(&[Bug::StaleReads]);
    let (small, still) = shrink::shrink(&setting, plan, harm.clone());
    assert_eq!(still.promise, harm.promise);
    assert!(small.faults.len() < faults && small.faults.len() <= 4, "{:?}", small.faults);
}
