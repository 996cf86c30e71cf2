//! Writes and reads schedules back, and expects nonsense to be refused at its place.

use super::*;
use crate::nemesis::{NEMESES, schedule::schedule, wanted};
use proptest::prelude::*;
use workloads::Rng;

const SETTING: Setting<'_> =
    Setting { hosts: 5, limit_ms: 30_000, functions: &["cas", "read", "write"] };

fn refusal(text: &str) -> String {
    parse(text, &SETTING).expect_err("it is nonsense").to_string()
}

#[test]
fn what_is_written_by_hand_is_read() {
    let text = "# a story\n\nat 3.2s partition leader | rest for 2s  # cut it off\nafter 100 ok writes kill leader\n\
                \tat 700ms pause n1 n3 for 1m\n";
    let schedule = parse(text, &Setting { limit_ms: 120_000, ..SETTING }).expect("it can be done");
    insta::assert_snapshot!(write(&schedule), @r"
    at 3.2s partition leader|rest for 2s
    after 100 ok writes kill leader for 2s
    at 0.7s pause n1 n3 for 60s
    ");
}

#[test]
fn nonsense_is_refused_with_place_reason_and_remedy() {
    insta::assert_snapshot!(refusal("kill leader"), @"1:1: a line begins with `at` or `after`; write `at 3.2s partition leader|rest for 2s` or `after 100 ok writes kill leader`");
    insta::assert_snapshot!(refusal("\nat soon kill leader"), @r#"2:4: "soon" is no duration; write for example 3.2s, 700ms or 1m"#);
    insta::assert_snapshot!(refusal("at 1s"), @r#"1:6: "nothing" is no fault; there are: bit-rot, clock, crash-loop, disk-error, disk-full, kill, lost-write, membership, misdirected-write, packet, partition, pause, power-loss, replace, slow-disk, starve, transfer, truncate"#);
    insta::assert_snapshot!(refusal("at 1s fire n1"), @r#"1:7: "fire" is no fault; there are: bit-rot, clock, crash-loop, disk-error, disk-full, kill, lost-write, membership, misdirected-write, packet, partition, pause, power-loss, replace, slow-disk, starve, transfer, truncate"#);
    insta::assert_snapshot!(refusal("at 1s kill n6"), @r#"1:12: there is no host "n6"; there are n1 to n5 (--nodes 5)"#);
    insta::assert_snapshot!(refusal("at 1s kill two"), @r#"1:12: nemesis "kill" has no variant "two"; it has: all, followers, leader, majority, minority, one, staggered, or hosts by name (`n1 n3`)"#);
    insta::assert_snapshot!(refusal("at 1s partition n1|n9 for 1s"), @r#"1:17: there is no host "n9"; there are n1 to n5 (--nodes 5)"#);
    insta::assert_snapshot!(refusal("at 1s packet slow n9 for 1s"), @r#"1:14: there is no host "n9"; there are n1 to n5 (--nodes 5); or say clients, links, all, followers, leader, majority, minority, one"#);
    insta::assert_snapshot!(refusal("at 1s kill n1 for 2s please"), @r#"1:22: "please" says more than a line can; write `at 3.2s partition leader|rest for 2s` or `after 100 ok writes kill leader`"#);
    insta::assert_snapshot!(refusal("at 1s kill n1 for 0s"), @"1:19: a fault that does not last does nothing; give it 1ms at least");
    insta::assert_snapshot!(refusal("at 29s kill n1 for 2s"), @"1:1: this fault would end after the main phase, which lasts 30s; shorten it, or give more with --time-limit");
    insta::assert_snapshot!(refusal("at 31s kill n1"), @"1:4: the main phase is over after 30s; begin earlier, or give it more with --time-limit");
    insta::assert_snapshot!(refusal("after 5 ok dances kill n1"), @"1:12: clients of this workload do none of these; count cas, reads, writes or operations");
    insta::assert_snapshot!(refusal("after 5 writes kill n1"), @"1:9: only operations that succeeded are counted; write `at 3.2s partition leader|rest for 2s` or `after 100 ok writes kill leader`");
    insta::assert_snapshot!(refusal("at 2s kill n1 for 2s\nat 1s kill n2 for 1.5s"), @"1:1: a kill begins while the one of line 2 lasts, and two of a kind undo each other; let it begin later, or shorten the other");
}

#[test]
fn time_is_exact_or_refused() {
    let read = |text| milliseconds(text);
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
fn every_schedule_of_the_planner_is_read_back_as_it_was() {
    let names: Vec<&str> =
        NEMESES.iter().map(|it| it.name()).filter(|name| *name != "none").collect();
    let wanted = wanted(&names.join(",")).expect("all of them exist");
    for seed in 0..200 {
        let planned = schedule(&wanted, 5, 30_000, &Rng::new(seed));
        assert_eq!(parse(&write(&planned), &SETTING), Ok(planned), "seed {seed}");
    }
}

/// One entry at its own time, so that none collides with another.
fn entry() -> impl Strategy<Value = Entry> {
    let when = prop_oneof![
        Just(When::At(0)),
        (1..9_999_u64, prop::sample::select(vec![None, Some("cas"), Some("read"), Some("write")]))
            .prop_map(|(count, name)| When::After { count, function: name.map(str::to_owned) }),
    ];
    let whom = prop::sample::select(vec![
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
    (when, whom, 1..500_u64).prop_map(|(when, (kind, aim), for_ms)| Entry {
        when,
        kind: kind.to_owned(),
        aim: aim.to_owned(),
        for_ms,
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_as_it_was(mut schedule in prop::collection::vec(entry(), 0..20), jitter in 0..500_u64) {
        for (place, entry) in (0..).zip(&mut schedule) {
            if let When::At(at_ms) = &mut entry.when {
                *at_ms = place * 1_000 + jitter;
            }
        }
        prop_assert_eq!(parse(&write(&schedule), &SETTING), Ok(schedule));
    }

    #[test]
    fn whatever_is_read_is_refused_or_understood_but_never_a_panic(text in "[a-z0-9.|#>/ \n-]{0,60}") {
        if let Ok(schedule) = parse(&text, &SETTING) {
            prop_assert_eq!(parse(&write(&schedule), &SETTING), Ok(schedule));
        }
    }
}
