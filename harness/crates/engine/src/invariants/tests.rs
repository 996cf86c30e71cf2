//! Histories of traces, reports and logs that must convict, and ones that must not.

use super::*;
use records::record::{FaultRecord, FaultState, Validity};
use records::replica_log::{Observation, ObservationRecord, ReportedStatus};
use serde_json::json;

fn no_sources() -> Sources<'static> {
    Sources {
        logs: &[],
        traces: &[],
        observations: &[],
        faults: &[],
        bugs: &[],
        log_rules: LogRules::default(),
        one_leader_per_term: true,
    }
}

/// Lines of `replica`: each is its term and the event.
fn trace(replica: &str, events: &[(u64, serde_json::Value)]) -> ReplicaFile {
    let line = |(term, event): &(u64, serde_json::Value)| {
        let mut line = event.clone();
        line["replica"] = replica.into();
        line["term"] = (*term).into();
        line["us"] = 1.into();
        line.to_string() + "\n"
    };
    ReplicaFile {
        host: replica.to_owned(),
        name: format!("{replica}.jsonl"),
        text: events.iter().map(line).collect(),
        is_cut: false,
    }
}

fn vote(candidate: &str, sequence: u64) -> serde_json::Value {
    json!({"event": "vote", "for": candidate, "sequence": sequence})
}

fn role(role: &str) -> serde_json::Value {
    json!({"event": "role", "role": role, "leader": null})
}

fn append(from: u64, entries: &[&str], sequence: u64) -> serde_json::Value {
    json!({"event": "append", "from": from, "entries": entries, "sequence": sequence})
}

fn commit(from: u64, entries: &[&str]) -> serde_json::Value {
    json!({"event": "commit", "from": from, "entries": entries})
}

fn durable(sequence: u64) -> serde_json::Value {
    json!({"event": "durable", "sequence": sequence})
}

fn start(to: u64, of: u64) -> serde_json::Value {
    json!({"event": "start", "from": 0, "to": to, "of": of})
}

fn judge_traces(traces: &[ReplicaFile]) -> CheckRecord {
    check_invariants(&Sources { traces, ..no_sources() }).remove(0)
}

/// A correct run: n1 leads term 1, n2 takes over in term 2.
fn correct_traces() -> Vec<ReplicaFile> {
    vec![
        trace(
            "n1",
            &[
                (0, start(0, 0)),
                (1, role("leader")),
                (1, append(1, &["1:aa", "1:bb"], 1)),
                (1, durable(1)),
                (1, commit(1, &["1:aa", "1:bb"])),
                (1, append(3, &["1:cc"], 2)),
                (1, start(2, 1)),
                (2, role("follower")),
                (2, append(3, &["2:dd"], 1)),
                (2, durable(1)),
                (2, commit(3, &["2:dd"])),
            ],
        ),
        trace(
            "n2",
            &[
                (0, start(0, 0)),
                (1, vote("n1", 1)),
                (1, role("follower")),
                (1, append(1, &["1:aa", "1:bb"], 1)),
                (1, durable(1)),
                (1, commit(1, &["1:aa"])),
                (2, vote("n2", 1)),
                (2, role("leader")),
                (2, append(3, &["2:dd"], 2)),
                (2, durable(2)),
                (2, commit(2, &["1:bb", "2:dd"])),
            ],
        ),
    ]
}

#[test]
fn a_correct_trace_holds_whatever_is_missing_at_its_end() {
    let whole = judge_traces(&correct_traces());
    assert_eq!(whole.validity, Validity::Valid, "{}", whole.sentence);
    assert!(whole.sentence.contains("2 terms") && whole.sentence.contains("3 committed"));
    let traces = correct_traces();
    for cut in 0..traces[0].text.len() {
        let text = traces[0].text[..cut].to_owned();
        let cut_off = [ReplicaFile { text, ..traces[0].clone() }, traces[1].clone()];
        let checks = check_invariants(&Sources { traces: &cut_off, ..no_sources() });
        assert!(checks.iter().all(|check| check.validity == Validity::Valid), "cut at {cut}");
    }
}

/// Adds events to the correct traces, and expects this invariant to be broken, with these words.
#[track_caller]
fn assert_broken(invariant: &str, replica: usize, events: &[(u64, serde_json::Value)], word: &str) {
    let mut traces = correct_traces();
    let name = ["n1", "n2"][replica];
    traces[replica].text += &trace(name, events).text;
    let check = judge_traces(&traces);
    assert_eq!(check.validity, Validity::Invalid, "{}", check.sentence);
    let names: Vec<&str> = check.findings.iter().map(|finding| finding.name.as_str()).collect();
    assert_eq!(names, [invariant], "{}", check.sentence);
    assert!(check.sentence.contains(word), "{}", check.sentence);
}

#[test]
fn every_invariant_can_be_broken() {
    assert_broken("election safety", 0, &[(2, role("leader"))], "n1 and n2 both led term 2");
    assert_broken(
        "one vote in a term",
        1,
        &[(2, vote("n3", 3)), (2, durable(3))],
        "n2 voted for n2 and n3 in term 2",
    );
    assert_broken(
        "log matching",
        0,
        &[(2, append(4, &["1:ff"], 2)), (2, append(1, &["1:ee"], 3))],
        "entry 1 of term 1 differs",
    );
    assert_broken(
        "state machine safety",
        0,
        &[(3, append(4, &["3:ab"], 2)), (3, commit(3, &["3:dd"]))],
        "committed an entry 3 of term 3",
    );
    assert_broken(
        "leader append-only",
        1,
        &[(2, append(3, &["2:dd"], 3))],
        "n2 led term 2 and replaced entry 3",
    );
    assert_broken(
        "leader completeness",
        0,
        &[(3, append(3, &["3:ab"], 2)), (3, role("leader"))],
        "n1 led term 3 without committed entry 3",
    );
    assert_broken("durability", 0, &[(2, start(2, 1))], "entry 3 had been durable");
    let lost = json!({"event": "lost", "peer": "n1", "acknowledged": 3, "rejected": 2});
    assert_broken("durability", 1, &[(2, lost)], "n1 had acknowledged entry 3");
    let config = |index: u64, voters: &[u64]| {
        let none: [u64; 0] = [];
        json!({ "index": index, "voters": voters, "outgoing": none })
    };
    let mut first = commit(4, &["2:11"]);
    first["configs"] = json!([config(4, &[1, 2, 3])]);
    let mut second = commit(5, &["2:12"]);
    second["configs"] = json!([config(5, &[4, 5])]);
    assert_broken(
        "membership safety",
        1,
        &[(2, append(4, &["2:11", "2:12"], 3)), (2, first), (2, second)],
        "entry 5 follows that of entry 4",
    );
}

#[test]
fn entries_that_replace_what_recovery_found_stand_at_their_index() {
    let mut traces = correct_traces();
    // Recovery finds the old entry 3 of term 1: the crash came before its replacement was durable.
    traces[1] = trace(
        "n2",
        &[
            (0, start(0, 0)),
            (1, append(1, &["1:aa", "1:bb", "1:cc"], 1)),
            (1, durable(1)),
            (2, append(3, &["2:dd"], 2)),
            (1, start(3, 1)),
            (2, append(3, &["2:dd", "2:ee"], 1)),
            (3, role("leader")),
        ],
    );
    traces[0].text += &trace("n1", &[(2, append(4, &["2:ee"], 2)), (2, commit(4, &["2:ee"]))]).text;
    let check = judge_traces(&traces);
    assert_eq!(check.validity, Validity::Valid, "{}", check.sentence);
}

#[test]
fn a_vote_that_was_never_durable_may_be_forgotten() {
    let check = judge_traces(&[trace(
        "n1",
        &[
            (1, role("leader")),
            (2, vote("n2", 3)),
            (1, start(0, 0)),
            (2, vote("n3", 1)),
            (2, durable(1)),
        ],
    )]);
    assert_eq!(check.validity, Validity::Valid, "{}", check.sentence);
}

#[test]
fn a_write_under_way_may_be_lost_in_a_crash() {
    let check = judge_traces(&[trace(
        "n1",
        &[
            (1, role("leader")),
            (1, append(1, &["1:aa", "1:bb"], 1)),
            (1, durable(1)),
            (2, append(2, &["2:cc"], 2)),
            (2, start(1, 1)),
        ],
    )]);
    assert_eq!(check.validity, Validity::Valid, "{}", check.sentence);
}

fn fault(kind: &str, host: &str) -> FaultRecord {
    FaultRecord {
        id: 3,
        kind: kind.to_owned(),
        variant: "one".to_owned(),
        target: host.to_owned(),
        cut: Vec::new(),
        hosts: vec![host.to_owned()],
        majority: Vec::new(),
        started: Some(1),
        ended: Some(2),
        state: FaultState::Witnessed,
        evidence: String::new(),
    }
}

#[test]
fn after_a_disk_was_corrupted_nothing_is_concluded() {
    let traces = [trace("n1", &[(2, role("leader"))]), trace("n2", &[(2, role("leader"))])];
    for (kind, expected) in [("bit-rot", Validity::Unknown), ("kill", Validity::Invalid)] {
        let faults = [fault(kind, "n1")];
        let check = check_invariants(&Sources { traces: &traces, faults: &faults, ..no_sources() });
        assert_eq!(check[0].validity, expected, "{}", check[0].sentence);
    }
}

#[test]
fn a_replica_is_excused_for_what_a_fault_made_it_forget() {
    let forgets = |found: u64| {
        [trace(
            "n1",
            &[
                (1, role("leader")),
                (1, append(1, &["1:aa", "1:bb"], 1)),
                (1, durable(1)),
                (2, vote("n2", 2)),
                (2, durable(2)),
                (1, start(found, 1)),
                (2, vote("n3", 1)),
                (2, durable(1)),
            ],
        )]
    };
    for (kind, host, found, expected) in [
        ("truncate", "n1", 1, Validity::Valid),
        ("truncate", "n2", 1, Validity::Unknown),
        ("kill", "n1", 1, Validity::Invalid),
        ("replace", "n1", 0, Validity::Valid),
        ("replace", "n1", 1, Validity::Invalid),
    ] {
        let faults = [fault(kind, host)];
        let traces = forgets(found);
        let check = check_invariants(&Sources { traces: &traces, faults: &faults, ..no_sources() });
        let found = (kind, host, found);
        assert_eq!(check[0].validity, expected, "{found:?}: {}", check[0].sentence);
    }
}

fn says(time_ms: u64, replica: &str, role: &str, term: u64) -> ObservationRecord {
    let status = ReportedStatus {
        role: Some(role.to_owned()),
        term: Some(term),
        ..ReportedStatus::default()
    };
    ObservationRecord {
        time: time_ms * 1_000_000,
        replica: replica.to_owned(),
        observation: Observation::Says(Some(status)),
    }
}

#[test]
fn two_replicas_that_report_to_lead_one_term_convict() {
    let judge = |observations: &[ObservationRecord]| {
        check_invariants(&Sources { observations, ..no_sources() }).pop()
    };
    let lasting = [
        says(0, "n1", "leader", 4),
        says(100, "n2", "leader", 4),
        says(1_000, "n1", "follower", 5),
        says(1_000, "n2", "follower", 5),
    ];
    let check = judge(&lasting).expect("there were leaders");
    assert_eq!(check.validity, Validity::Invalid, "{}", check.sentence);
    // A role and a term that were read a moment apart.
    let passing = [
        says(0, "n1", "leader", 4),
        says(200, "n1", "leader", 4),
        says(300, "n2", "leader", 4),
        says(500, "n2", "follower", 4),
    ];
    let check = judge(&passing).expect("there was a leader");
    assert_eq!(check.validity, Validity::Valid, "{}", check.sentence);
    let other = Sources { observations: &lasting, one_leader_per_term: false, ..no_sources() };
    assert!(check_invariants(&other).is_empty());
}

fn judge_log(text: &str, faults: &[FaultRecord], log_rules: LogRules) -> CheckRecord {
    let logs = [ReplicaFile {
        host: "n1".into(),
        name: "n1.log".into(),
        text: text.to_owned(),
        is_cut: false,
    }];
    let bugs = ["panicked at ".to_owned()];
    let sources = Sources { logs: &logs, faults, log_rules, ..no_sources() };
    let named = Sources { bugs: &bugs, logs: &logs, ..no_sources() };
    let redacted = check_invariants(&named).pop().expect("there is a log");
    assert_eq!(redacted.validity, Validity::Valid, "the name of a bug was read");
    check_invariants(&sources).pop().expect("there is a log")
}

#[test]
fn a_line_that_is_never_normal_convicts_unless_a_disk_fault_explains_it() {
    let panic = "started\nthread 'main' panicked at src/main.rs:3:5:\nbad\n";
    let check = judge_log(panic, &[], LogRules::default());
    assert_eq!(check.validity, Validity::Invalid);
    assert!(check.sentence.contains("logs/n1.log:2"), "{}", check.sentence);
    let excused = judge_log(panic, &[fault("disk-error", "n1")], LogRules::default());
    assert_eq!(excused.validity, Validity::Unknown, "{}", excused.sentence);
    let other = judge_log(panic, &[fault("disk-error", "n2")], LogRules::default());
    assert_eq!(other.validity, Validity::Invalid);
    let rule = |text: &str| vec![regex_lite::Regex::new(text).expect("a pattern")];
    let allowed = LogRules { allow: rule("src/main.rs"), ..LogRules::default() };
    assert_eq!(judge_log(panic, &[], allowed).validity, Validity::Valid);
    let calm = "FATAL: the database system is starting up\n";
    assert_eq!(judge_log(calm, &[], LogRules::default()).validity, Validity::Valid);
    let own = LogRules { convict: rule("starting up$"), ..LogRules::default() };
    assert_eq!(judge_log(calm, &[], own).validity, Validity::Invalid);
}

#[test]
fn the_line_that_explains_an_exit_is_found() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let found = |text: &str| find_exit_line(&lines(text)).map(str::to_owned);
    let panic = "a\nthread 'x' panicked at src/a.rs:1:2:\nindex out of bounds\nnote: run\n";
    assert_eq!(found(panic).as_deref(), Some("thread 'x' panicked at src/a.rs:1:2:"));
    assert_eq!(found("ready\nerror: no disk\nbye\n").as_deref(), Some("error: no disk"));
    assert_eq!(found("ready\nbye\n\n").as_deref(), Some("bye"));
    assert_eq!(found("").as_deref(), None);
}
