//! Tries scenarios without playing them: the registry, and what logs and histories are read as.

use super::trace::{self, RunTrace};
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

fn logged_changes(replica: &str, lines: &[(i64, &str)]) -> Vec<trace::RoleChange> {
    let stamp = |at: i64| jiff::Timestamp::from_millisecond(ZERO_MS + at).expect("a time");
    let line = |(at, text): &(i64, &str)| format!("{} {replica} {text}\n", stamp(*at));
    trace::parse_role_changes(&lines.iter().map(line).collect::<String>(), ZERO_MS)
}

/// A leader cut off from 2 s to 5 s, which believes that it leads until `stepped_down`.
fn cut_off(stepped_down: i64) -> RunTrace {
    let mut turns = logged_changes(
        "n1",
        &[(-9, "starts as a member of n1,n2,n3"), (100, "term=1 became leader")],
    );
    turns.extend(logged_changes(
        "n1",
        &[(stepped_down, "term=1 became follower"), (5_100, "term=2 became follower of n2")],
    ));
    turns.extend(logged_changes(
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
    RunTrace { role_changes: turns, operations: Vec::new(), faults: vec![fault] }
}

fn history_operations(lines: &[(u64, &str, u64, &str, &str, &str)]) -> Vec<trace::ClientOperation> {
    let line = |(ms, kind, process, f, value, node): &(u64, &str, u64, &str, &str, &str)| {
        format!(
            "{{\"index\":0,\"time\":{},\"type\":\"{kind}\",\"process\":{process},\
             \"f\":\"{f}\",\"value\":{value},\"node\":\"{node}\"}}",
            ms * 1_000_000
        ) + "\n"
    };
    trace::parse_operations(&lines.iter().map(line).collect::<String>())
}

#[test]
fn a_succession_is_read_out_of_logs() {
    let trace = cut_off(2_300);
    assert_eq!(trace.role_changes.len(), 8);
    let told = claim::successor_elected(&trace).expect("n2 was elected");
    assert!(told.starts_with("n1 led term 1; n2 leads term 2, 0.420 s after"), "{told}");
    assert!(told.ends_with("it was pre-candidate, then candidate, then leader"), "{told}");
    assert!(claim::old_leader_follows(&trace).is_ok());
    assert!(claim::two_leaders(&trace).is_err(), "n1 stepped down before n2 led");
    let mut alone = trace;
    alone.role_changes.retain(|turn| turn.replica == "n1");
    assert!(claim::leader_changed(&alone).is_err(), "no other leader");
}

#[test]
fn two_leaders_are_told_by_how_long_and_an_acknowledged_write_refutes() {
    let mut trace = cut_off(4_420);
    let told = claim::two_leaders(&trace).expect("both led");
    assert!(told.starts_with("for 2.000 s n1"), "{told}");
    assert!(claim::only_new_leader_acks(&trace).is_err(), "no writes");
    let write = |node| {
        [
            (3_000, "invoke", 1, "write", r#"["x",1]"#, node),
            (3_010, "ok", 1, "write", r#"["x",1]"#, node),
        ]
    };
    trace.operations = history_operations(&write("n2"));
    assert!(claim::only_new_leader_acks(&trace).is_ok());
    trace.operations.extend(history_operations(&write("n1")));
    assert!(claim::only_new_leader_acks(&trace).is_err());
}

#[test]
fn a_write_without_a_majority_must_not_be_read() {
    let mut trace = cut_off(2_300);
    assert!(claim::minority_writes_lost(&trace).is_err(), "no write was under way");
    let value = r#"["x",7]"#;
    trace.operations = history_operations(&[
        (2_050, "invoke", 1, "write", value, "n1"),
        (3_100, "info", 1, "write", value, "n1"),
    ]);
    assert!(claim::minority_writes_lost(&trace).is_ok());
    let read = [
        (6_000, "invoke", 2, "read", r#"["x",null]"#, "n3"),
        (6_001, "ok", 2, "read", value, "n3"),
    ];
    trace.operations.extend(history_operations(&read));
    assert!(claim::minority_writes_lost(&trace).is_err());
}

#[test]
fn a_won_election_is_no_split_vote() {
    assert!(claim::split_vote(&cut_off(2_300)).is_err());
    let mut trace = cut_off(2_300);
    for turn in &mut trace.role_changes {
        if turn.role == "leader" && turn.term == 2 {
            turn.at_ms = 5_500;
        }
    }
    trace.role_changes.extend(logged_changes("n3", &[(2_600, "term=1 became pre-candidate")]));
    trace.role_changes.sort_by_key(|turn| turn.at_ms);
    assert!(claim::split_vote(&trace).is_ok());
}
