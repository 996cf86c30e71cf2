//! Plans many schedules, and checks what holds for all of them.

use super::*;
use crate::nemesis::parse_request;
use crate::nemesis::regime::list_paces;
use crate::nemesis::script::write_script;
use crate::nemesis::timeline::{Step, Timeline};
use std::collections::{BTreeMap, BTreeSet};

fn make_context(pace: &str, limit_ms: u64) -> ScheduleContext<'static> {
    let pace = Pace::find(pace).expect("this pace exists");
    ScheduleContext { hosts: 5, limit_ms, pace, system: "raft", workload: "register" }
}

fn plan_at_pace(pace: &str, text: &str, limit_ms: u64, seed: u64) -> Schedule {
    let requested = parse_request(text).expect("these nemeses exist");
    plan_schedule(&requested, &make_context(pace, limit_ms), &Rng::new(seed))
}

fn plan_for_seed(text: &str, limit_ms: u64, seed: u64) -> Schedule {
    plan_at_pace("calm", text, limit_ms, seed)
}

/// Begin and end of a planned fault.
fn span_ms(fault: &ScheduledFault) -> (u64, u64) {
    match fault.when {
        When::At(at_ms) => (at_ms, at_ms + fault.for_ms),
        When::After { .. } => panic!("a planned fault has a time"),
    }
}

fn list_steps(schedule: &Schedule) -> Vec<Step> {
    let mut timeline = Timeline::new(schedule);
    std::iter::from_fn(|| timeline.take_due(u64::MAX)).collect()
}

#[test]
fn a_seed_decides_the_schedule() {
    assert_eq!(
        plan_for_seed("partition,kill", 30_000, 1),
        plan_for_seed("partition,kill", 30_000, 1)
    );
    assert_ne!(
        plan_for_seed("partition,kill", 30_000, 1),
        plan_for_seed("partition,kill", 30_000, 2)
    );
}

#[test]
fn every_kind_occurs_at_every_pace_however_short_the_run() {
    for (pace, limit_ms) in
        list_paces().into_iter().flat_map(|pace| [3_000, 8_000, 30_000].map(|ms| (pace, ms)))
    {
        for seed in 0..50 {
            let kinds: BTreeSet<String> =
                plan_at_pace(pace, "partition,kill,pause", limit_ms, seed)
                    .iter()
                    .map(|entry| entry.kind.clone())
                    .collect();
            assert_eq!(kinds.len(), 3, "{pace}, {limit_ms} ms, seed {seed}: {kinds:?}");
        }
    }
    for seed in 0..50 {
        for pace in ["dense", "mixed", "bursts"] {
            let kinds: BTreeSet<String> =
                plan_at_pace(pace, "all", 30_000, seed).into_iter().map(|it| it.kind).collect();
            assert_eq!(kinds.len(), parse_request("all").expect("a word").len(), "{pace} {seed}");
        }
    }
}

#[test]
fn faults_end_within_the_main_phase_and_two_of_a_kind_never_overlap() {
    for (pace, seed) in list_paces().into_iter().flat_map(|pace| (0..200).map(move |s| (pace, s))) {
        let context = format!("{pace}, seed {seed}");
        let mut active = BTreeMap::new();
        for step in list_steps(&plan_at_pace(pace, "partition,kill,pause", 30_000, seed)) {
            assert!(step.at_ms <= 30_000, "{context}: {step:?}");
            for id in &step.end {
                let (begun, _) = active.remove(id).expect("it had begun");
                assert!(step.at_ms > begun, "{context}: fault {id} lasts");
            }
            for planned in step.begin {
                assert!(
                    active.values().all(|(_, kind)| *kind != planned.kind),
                    "{context}: two faults of kind {} at {} ms",
                    planned.kind,
                    step.at_ms
                );
                active.insert(planned.id, (step.at_ms, planned.kind));
            }
        }
        assert!(active.is_empty(), "{context}: {active:?} never ends");
    }
}

#[test]
fn a_calm_schedule_is_what_a_seed_gave_before_there_were_regimes() {
    let schedule = plan_for_seed("partition,kill,pause", 20_000, 7);
    insta::assert_snapshot!(write_script(&schedule), @r"
    at 1.265s partition bridge for 1.639s
    at 3.596s kill staggered for 2.24s
    at 7.54s pause all for 0.951s
    at 9.424s partition halves for 0.95s
    at 10.374s partition leader for 1.834s
    at 12.208s partition leader for 3.612s
    at 15.82s partition one-way for 2.785s
    ");
}

#[test]
fn a_dense_schedule_begins_a_short_fault_every_other_second_and_half_aims_at_the_leader() {
    let (mut count, mut aimed, mut overlaps) = (0, 0, 0);
    for seed in 0..50 {
        let schedule = plan_at_pace("dense", "partition,kill,pause", 30_000, seed);
        assert!((15..=30).contains(&schedule.len()), "seed {seed}: {} faults", schedule.len());
        assert!(schedule.iter().all(|fault| (300..1_200).contains(&fault.for_ms)));
        let spans: Vec<_> = schedule.iter().map(span_ms).collect();
        let starts_apart = |pair: &[(u64, u64)]| pair[1].0 - pair[0].0;
        assert!(spans.windows(2).all(|pair| (1_000..=2_000).contains(&starts_apart(pair))));
        overlaps += spans.windows(2).filter(|pair| pair[1].0 < pair[0].1).count();
        count += schedule.len();
        aimed += schedule.iter().filter(|fault| fault.aim.contains("leader")).count();
    }
    let percent = aimed * 100 / count;
    assert!((50..70).contains(&percent), "{percent} % of {count} aim at the leader");
    assert!(overlaps > 10, "{overlaps} overlap");
}

#[test]
fn a_long_schedule_has_one_long_fault_at_a_time_with_time_to_recover() {
    for seed in 0..50 {
        let schedule = plan_at_pace("long", "partition,kill,pause", 120_000, seed);
        assert!(schedule.iter().all(|fault| (8_000..20_000).contains(&fault.for_ms)));
        let spans: Vec<_> = schedule.iter().map(span_ms).collect();
        assert!(spans.windows(2).all(|pair| pair[1].0 >= pair[0].1 + 5_000), "seed {seed}");
    }
}

#[test]
fn a_burst_is_followed_by_recovery() {
    for seed in 0..50 {
        let schedule = plan_at_pace("bursts", "partition,kill,pause,clock", 60_000, seed);
        let mut gaps = 0;
        let mut on_until = 0;
        for (begin_ms, end_ms) in schedule.iter().map(span_ms) {
            gaps += usize::from(on_until > 0 && begin_ms >= on_until + 4_000);
            on_until = on_until.max(end_ms);
        }
        assert!(gaps >= 4 && schedule.len() >= 3 * gaps, "seed {seed}: {gaps} gaps");
    }
}

#[test]
fn numbers_of_a_person_replace_those_of_the_pace() {
    for pace in list_paces() {
        let mut context = make_context(pace, 60_000);
        context.pace = context.pace.with_numbers(Some(4_000), Some(2_000));
        let requested = parse_request("kill,pause").expect("both exist");
        let schedule = plan_schedule(&requested, &context, &Rng::new(3));
        let within = |fault: &&ScheduledFault| (1_500..=2_500).contains(&fault.for_ms);
        let short = schedule.len() - schedule.iter().filter(within).count();
        // The end of a phase cuts a fault short, and one that joins another is shorter.
        assert!(short <= schedule.len() / 2, "{pace}: {short} of {}", schedule.len());
        let most = if pace == "bursts" { 60 } else { 20 };
        assert!((4..=most).contains(&schedule.len()), "{pace}: {} faults", schedule.len());
    }
}

#[test]
fn workloads_and_systems_meet_different_faults_except_in_calm_runs() {
    let plan = |pace: &str, system, workload| {
        let context = ScheduleContext { system, workload, ..make_context(pace, 30_000) };
        plan_schedule(&parse_request("kill,pause").expect("they exist"), &context, &Rng::new(1))
    };
    for pace in list_paces() {
        let one = plan(pace, "raft", "register");
        assert_eq!(one, plan(pace, "raft", "register"));
        let is_same = [plan(pace, "raft", "append"), plan(pace, "etcd", "register")]
            .map(|other| one == other);
        assert_eq!(is_same, [pace == "calm"; 2], "{pace}");
    }
}

#[test]
fn without_a_way_to_know_the_leader_no_fault_aims_at_it() {
    let mut requested = parse_request("partition,kill,clock,packet").expect("they exist");
    requested.iter_mut().for_each(|one| one.leader_unknown = true);
    for pace in list_paces() {
        let schedule = plan_schedule(&requested, &make_context(pace, 60_000), &Rng::new(1));
        let needs_leader = |fault: &ScheduledFault| {
            fault.aim.contains("leader") || fault.aim.contains("followers")
        };
        assert!(!schedule.iter().any(needs_leader), "{pace}: {schedule:?}");
    }
}

#[test]
fn some_partitions_turn_straight_into_the_next() {
    let chained = (0..20).flat_map(|seed| list_steps(&plan_for_seed("partition", 60_000, seed)));
    let chained = chained.filter(|step| !step.begin.is_empty() && !step.end.is_empty()).count();
    assert!(chained > 20, "{chained}");
}

#[test]
fn a_named_variant_is_the_only_one() {
    let schedule = plan_for_seed("partition:leader", 60_000, 1);
    assert!(schedule.iter().all(|entry| entry.aim == "leader"));
}

#[test]
fn no_request_is_no_schedule() {
    assert_eq!(plan_for_seed("none", 30_000, 1), Vec::new());
}
