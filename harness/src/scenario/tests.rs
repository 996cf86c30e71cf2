//! Tries scenarios without playing them: the registry, and what logs and histories are read as.

use super::story::{self, Story};
use super::{SCENARIOS, claim};
use engine::nemesis::script::{self, ScriptContext};
use records::record::{FaultRecord, FaultState};

/// The wall clock when the run began.
const ZERO_MS: i64 = 1_795_448_000_000;

#[test]
fn scenarios_are_sorted_and_their_schedules_can_be_carried_out() {
    assert!(SCENARIOS.windows(2).all(|pair| pair[0].name < pair[1].name));
    for scenario in SCENARIOS {
        assert!(scenario.question.ends_with('?'), "{}", scenario.name);
        for act in scenario.acts {
            let hosts = if act.options.contains(&"4") { 4 } else { 5 };
            let setting = ScriptContext { hosts, limit_ms: 8_000, functions: &[] };
            let schedule = script::parse_script(act.schedule, &setting).expect(scenario.name);
            assert!(!schedule.is_empty() && !act.claims.is_empty(), "{}", scenario.name);
        }
    }
}

fn log(replica: &str, lines: &[(i64, &str)]) -> Vec<story::Turn> {
    let stamp = |at: i64| jiff::Timestamp::from_millisecond(ZERO_MS + at).expect("a time");
    let line = |(at, text): &(i64, &str)| format!("{} {replica} {text}\n", stamp(*at));
    story::turns(&lines.iter().map(line).collect::<String>(), ZERO_MS)
}

/// A leader cut off from 2 s to 5 s, which believes that it leads until `stepped_down`.
fn cut_off(stepped_down: i64) -> Story {
    let mut turns =
        log("n1", &[(-9, "starts as a member of n1,n2,n3"), (100, "term=1 became leader")]);
    turns.extend(log(
        "n1",
        &[(stepped_down, "term=1 became follower"), (5_100, "term=2 became follower of n2")],
    ));
    turns.extend(log(
        "n2",
        &[
            (101, "term=1 became follower of n1"),
            (2_400, "term=1 became pre-candidate"),
            (2_410, "term=2 became candidate"),
            (2_420, "term=2 became leader"),
            (2_430, "connected to n3"),
        ],
    ));
    turns.sort_by_key(|turn| turn.at_ms);
    let fault = FaultRecord {
        id: 1,
        kind: "partition".into(),
        variant: "leader".into(),
        target: "n1 | n2 n3".into(),
        hosts: Vec::new(),
        cut: vec![("n1".into(), "n2".into()), ("n1".into(), "n3".into())],
        majority: vec!["n2".into(), "n3".into()],
        started: Some(2_000_000_000),
        ended: Some(5_000_000_000),
        state: FaultState::Witnessed,
        evidence: String::new(),
    };
    Story { turns, answers: Vec::new(), faults: vec![fault] }
}

fn history(lines: &[(u64, &str, u64, &str, &str, &str)]) -> Vec<story::Answer> {
    let line = |(ms, kind, process, f, value, node): &(u64, &str, u64, &str, &str, &str)| {
        format!(
            "{{\"index\":0,\"time\":{},\"type\":\"{kind}\",\"process\":{process},\
             \"f\":\"{f}\",\"value\":{value},\"node\":\"{node}\"}}",
            ms * 1_000_000
        ) + "\n"
    };
    story::answers(&lines.iter().map(line).collect::<String>())
}

#[test]
fn a_succession_is_read_out_of_logs() {
    let story = cut_off(2_300);
    assert_eq!(story.turns.len(), 8);
    let told = claim::elected(&story).expect("n2 was elected");
    assert!(told.starts_with("n1 led term 1; n2 leads term 2, 0.420 s after"), "{told}");
    assert!(told.ends_with("it was pre-candidate, then candidate, then leader"), "{told}");
    assert!(claim::follows(&story).is_ok());
    assert!(claim::two_leaders(&story).is_err(), "n1 stepped down before n2 led");
    let mut alone = story;
    alone.turns.retain(|turn| turn.replica == "n1");
    assert!(claim::succession(&alone).is_err(), "no other leader");
}

#[test]
fn two_leaders_are_told_by_how_long_and_an_acknowledged_write_refutes() {
    let mut story = cut_off(4_420);
    let told = claim::two_leaders(&story).expect("both led");
    assert!(told.starts_with("for 2.000 s n1"), "{told}");
    assert!(claim::powerless(&story).is_err(), "no writes");
    let write = |node| {
        [
            (3_000, "invoke", 1, "write", r#"["x",1]"#, node),
            (3_010, "ok", 1, "write", r#"["x",1]"#, node),
        ]
    };
    story.answers = history(&write("n2"));
    assert!(claim::powerless(&story).is_ok());
    story.answers.extend(history(&write("n1")));
    assert!(claim::powerless(&story).is_err());
}

#[test]
fn a_write_without_a_majority_must_not_be_read() {
    let mut story = cut_off(2_300);
    assert!(claim::vanished(&story).is_err(), "no write was under way");
    let value = r#"["x",7]"#;
    story.answers = history(&[
        (2_050, "invoke", 1, "write", value, "n1"),
        (3_100, "info", 1, "write", value, "n1"),
    ]);
    assert!(claim::vanished(&story).is_ok());
    let read = [
        (6_000, "invoke", 2, "read", r#"["x",null]"#, "n3"),
        (6_001, "ok", 2, "read", value, "n3"),
    ];
    story.answers.extend(history(&read));
    assert!(claim::vanished(&story).is_err());
}

#[test]
fn a_won_election_is_no_split_vote() {
    assert!(claim::split_vote(&cut_off(2_300)).is_err());
    let mut story = cut_off(2_300);
    for turn in &mut story.turns {
        if turn.role == "leader" && turn.term == 2 {
            turn.at_ms = 5_500;
        }
    }
    story.turns.extend(log("n3", &[(2_600, "term=1 became pre-candidate")]));
    story.turns.sort_by_key(|turn| turn.at_ms);
    assert!(claim::split_vote(&story).is_ok());
}
