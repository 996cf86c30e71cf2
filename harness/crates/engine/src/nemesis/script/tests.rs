//! Writes schedules and parses them, and expects an invalid one to be rejected at the right place.

use super::*;
use crate::nemesis::regime::{Pace, list_paces};
use crate::nemesis::schedule::{ScheduleContext, plan_schedule};
use crate::nemesis::{NEMESES, parse_request};
use proptest::prelude::*;
use workloads::Rng;

const CONTEXT: ScriptContext<'_> =
    ScriptContext { hosts: 5, limit_ms: 30_000, functions: &["cas", "read", "write"] };

fn rejection_text(text: &str) -> String {
    parse_script(text, &CONTEXT).expect_err("it is rejected").to_string()
}

#[test]
fn a_script_written_by_hand_is_parsed() {
    let text = "# a story\n\nat 3.2s partition leader | rest for 2s  # cut it off\n\
                after 100 ok writes kill leader\n\tat 700ms pause n1 n3 for 1m\n";
    let schedule = parse_script(text, &ScriptContext { limit_ms: 120_000, ..CONTEXT })
        .expect("it can be done");
    insta::assert_snapshot!(write_script(&schedule), @r"
    at 3.2s partition leader|rest for 2s
    after 100 ok writes kill leader for 2s
    at 0.7s pause n1 n3 for 60s
    ");
}

#[test]
fn an_invalid_line_is_rejected_with_place_reason_and_remedy() {
    let faults = "there are: bit-rot, clock, crash-loop, disk-error, disk-full, kill, lost-write, \
                  membership, misdirected-write, packet, partition, pause, power-loss, replace, \
                  slow-disk, starve, transfer, truncate";
    for (text, place, message) in [
        ("kill leader", "1:1", format!("a line begins with `at` or `after`; {FORM}")),
        (
            "\nat soon kill leader",
            "2:4",
            "\"soon\" is no duration; write for example 3.2s, 700ms or 1m".to_owned(),
        ),
        ("at 1s", "1:6", format!("\"nothing\" is no fault; {faults}")),
        ("at 1s fire n1", "1:7", format!("\"fire\" is no fault; {faults}")),
        (
            "at 1s kill n1 for 2s please",
            "1:22",
            format!("\"please\" is more than a line can have; {FORM}"),
        ),
        (
            "after 5 ok dances kill n1",
            "1:12",
            "this workload has no such operation; count cas, reads, writes or operations"
                .to_owned(),
        ),
        (
            "after 5 writes kill n1",
            "1:9",
            format!("`ok` is missing: only operations that succeeded are counted; {FORM}"),
        ),
    ] {
        assert_eq!(rejection_text(text), format!("{place}: {message}"), "{text:?}");
    }
}

#[test]
fn an_aim_that_hits_no_host_is_rejected_at_its_place() {
    let no_host = "there is no host \"n9\"; there are n1 to n5 (--nodes 5)";
    let packet = "or say clients, links, all, followers, leader, majority, minority, one";
    assert_eq!(rejection_text("at 1s kill n9"), format!("1:12: {no_host}"));
    assert_eq!(rejection_text("at 1s partition n1|n9 for 1s"), format!("1:17: {no_host}"));
    assert_eq!(rejection_text("at 1s packet slow n9 for 1s"), format!("1:14: {no_host}; {packet}"));
    assert_eq!(
        rejection_text("at 1s kill two"),
        "1:12: nemesis \"kill\" has no variant \"two\"; it has: all, followers, leader, majority, \
         minority, one, staggered, or hosts by name (`n1 n3`)"
    );
}

#[test]
fn a_fault_outside_the_main_phase_or_over_another_is_rejected() {
    for (text, message) in [
        ("at 1s kill n1 for 0s", "1:19: a fault of no duration does nothing; give it 1ms at least"),
        (
            "at 29s kill n1 for 2s",
            "1:1: this fault would end after the main phase, which lasts 30s; \
             shorten it, or make the main phase longer with --time-limit",
        ),
        (
            "at 31s kill n1",
            "1:4: the main phase is over after 30s; \
             begin earlier, or make it longer with --time-limit",
        ),
        (
            "at 2s kill n1 for 2s\nat 1s kill n2 for 1.5s",
            "1:1: a kill begins during the one of line 2, and two of a kind undo each other; \
             begin it later, or shorten the other",
        ),
    ] {
        assert_eq!(rejection_text(text), message, "{text:?}");
    }
}

#[test]
fn times_are_exact_or_rejected() {
    let read = |text| parse_ms(text);
    assert_eq!((read("3.207s"), read("0.5m"), read("12ms")), (Some(3_207), Some(30_000), Some(12)));
    for text in [
        "3",
        "s",
        ".s",
        "1.s",
        "1.5ms",
        "1.0001s",
        "-1s",
        "1..2s",
        "99999999999999999999s",
        "9999999m",
    ] {
        assert_eq!(read(text), None, "{text:?}");
    }
}

#[test]
fn every_planned_schedule_is_parsed_back_unchanged() {
    let names: Vec<&str> =
        NEMESES.iter().map(|it| it.name()).filter(|name| *name != "none").collect();
    let requested = parse_request(&names.join(",")).expect("all of them exist");
    for (pace, seed) in list_paces().into_iter().flat_map(|pace| (0..100).map(move |s| (pace, s))) {
        let context = ScheduleContext {
            hosts: 5,
            limit_ms: 30_000,
            pace: Pace::find(pace).expect("it is listed"),
            system: "raft",
            workload: "register",
        };
        let planned = plan_schedule(&requested, &context, &Rng::new(seed));
        let parsed = parse_script(&write_script(&planned), &CONTEXT);
        assert_eq!(parsed, Ok(planned), "{pace}, seed {seed}");
    }
}

/// One entry at its own time, so that none collides with another.
fn arbitrary_fault() -> impl Strategy<Value = ScheduledFault> {
    let when = prop_oneof![
        Just(When::At(0)),
        (1..9_999_u64, prop::sample::select(vec![None, Some("cas"), Some("read"), Some("write")]))
            .prop_map(|(count, name)| When::After { count, function: name.map(str::to_owned) }),
    ];
    let target = prop::sample::select(vec![
        ("kill", "leader"),
        ("kill", "n2 n5"),
        ("pause", "leader n1"),
        ("pause", "followers"),
        ("clock", "strobe n1 leader"),
        ("crash-loop", "minority"),
        ("kill", "staggered"),
        ("packet", "slow leader n2"),
        ("packet", "hold clients"),
        ("partition", "halves"),
        ("partition", "leader|rest"),
        ("partition", "n1 n2 -/-> n3"),
    ]);
    (when, target, 1..500_u64).prop_map(|(when, (kind, aim), for_ms)| ScheduledFault {
        when,
        kind: kind.to_owned(),
        aim: aim.to_owned(),
        for_ms,
    })
}

proptest! {
    #[test]
    fn every_written_schedule_is_parsed_back_unchanged(
        mut schedule in prop::collection::vec(arbitrary_fault(), 0..20),
        jitter in 0..500_u64,
    ) {
        for (place, entry) in (0..).zip(&mut schedule) {
            if let When::At(at_ms) = &mut entry.when {
                *at_ms = place * 1_000 + jitter;
            }
        }
        prop_assert_eq!(parse_script(&write_script(&schedule), &CONTEXT), Ok(schedule));
    }

    #[test]
    fn any_text_is_parsed_or_rejected_without_a_panic(text in "[a-z0-9.|#>/ \n-]{0,60}") {
        if let Ok(schedule) = parse_script(&text, &CONTEXT) {
            prop_assert_eq!(parse_script(&write_script(&schedule), &CONTEXT), Ok(schedule));
        }
    }
}
