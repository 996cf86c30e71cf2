//! Takes one property away from a complete run, and expects an objection.

use super::*;
use checker::history::{Event, Kind, Process, Value, jsonl};

const SECOND: u64 = 1_000_000_000;
const FUNCTIONS: &[&str] = &["cas", "read", "write"];

/// Thirty rounds of each function on `n1`, one operation per millisecond.
fn sample_history(skip: &str) -> History {
    let functions = FUNCTIONS.iter().filter(|function| **function != skip).cycle().take(90);
    let mut events = Vec::new();
    for (function, round) in functions.zip(0_u64..) {
        for (kind, offset) in [(Kind::Invoke, 0), (Kind::Ok, 1)] {
            events.push(Event {
                index: events.len() as u64,
                time: SECOND + round * 1_000_000 + offset,
                kind,
                process: Process::Client(0),
                f: (*function).into(),
                value: Value::Nil,
                node: Some("n1".into()),
                error: None,
            });
        }
    }
    History::new(events).expect("one process, one operation at a time")
}

fn sample_fault() -> FaultRecord {
    FaultRecord {
        id: 1,
        kind: "partition".to_owned(),
        variant: "one".to_owned(),
        target: "n5 | n1 n2 n3 n4".to_owned(),
        hosts: Vec::new(),
        cut: Vec::new(),
        majority: ["n1", "n2", "n3", "n4"].map(str::to_owned).to_vec(),
        started: Some(0),
        ended: Some(2 * SECOND),
        state: FaultState::Witnessed,
        evidence: "seen".to_owned(),
    }
}

fn sample_check(validity: Validity) -> CheckRecord {
    let sentence = format!("the check says {}", validity.name());
    CheckRecord {
        name: "linearizable".to_owned(),
        validity,
        sentence,
        witness: None,
        findings: Vec::new(),
        measured: std::collections::BTreeMap::new(),
    }
}

/// A run without objections, until a test changes it.
struct RunFacts {
    history: History,
    checks: Vec<CheckRecord>,
    faults: Vec<FaultRecord>,
    deaths: Vec<ReplicaExit>,
    doubtful: Vec<ReplicaExit>,
    kinds: Vec<&'static str>,
    main_end: u64,
    nemesis_error: Option<String>,
    heal_error: Option<String>,
    protocol_error: Option<String>,
    recovery: Option<Vec<bool>>,
    final_reads: Option<Vec<bool>>,
    interrupted: bool,
    unconfirmed: Option<String>,
    no_failover_reason: Option<&'static str>,
}

fn reason_texts(change: impl FnOnce(&mut RunFacts)) -> Vec<String> {
    let mut scene = RunFacts {
        history: sample_history(""),
        checks: vec![sample_check(Validity::Valid)],
        faults: vec![sample_fault()],
        deaths: Vec::new(),
        doubtful: Vec::new(),
        kinds: vec!["partition"],
        main_end: 2 * SECOND,
        nemesis_error: None,
        heal_error: None,
        protocol_error: None,
        recovery: Some(vec![false; 5]),
        final_reads: Some(vec![false; 5]),
        interrupted: false,
        unconfirmed: None,
        no_failover_reason: None,
    };
    change(&mut scene);
    let reasons = collect_objections(&Facts {
        history: &scene.history,
        checks: &scene.checks,
        faults: &scene.faults,
        deaths: &scene.deaths,
        doubtful: &scene.doubtful,
        kinds: scene.kinds,
        functions: FUNCTIONS,
        main_end: scene.main_end,
        nemesis_error: scene.nemesis_error,
        heal_error: scene.heal_error,
        protocol_error: scene.protocol_error,
        recovery: scene.recovery,
        final_reads: scene.final_reads,
        interrupted: scene.interrupted,
        unconfirmed: scene.unconfirmed,
        no_failover_reason: scene.no_failover_reason,
    });
    reasons
        .into_iter()
        .map(|reason| format!("{}: {}", reason.validity.name(), reason.text))
        .collect()
}

#[test]
fn a_run_beyond_doubt_has_nothing_against_it() {
    assert_eq!(reason_texts(|_| ()), [""; 0]);
}

#[test]
fn invalid_comes_first() {
    let told = reason_texts(|run| {
        (run.history, run.checks) = (sample_history("cas"), vec![sample_check(Validity::Invalid)])
    });
    insta::assert_debug_snapshot!(told, @r#"
    [
        "invalid: the check says invalid",
        "unknown: only 0 cas operations succeeded; a verdict needs 20",
    ]
    "#);
}

#[test]
fn a_fault_without_evidence_is_missed_twice() {
    let faults = vec![FaultRecord { state: FaultState::Unwitnessed, ..sample_fault() }];
    insta::assert_debug_snapshot!(reason_texts(|run| run.faults = faults), @r#"
    [
        "unknown: fault 1 (partition:one) was not confirmed: seen",
        "unknown: no operation completed during a confirmed partition fault",
    ]
    "#);
}

#[test]
fn a_fault_that_met_no_operation_and_a_kind_that_never_came_are_missed() {
    let faults =
        vec![FaultRecord { started: Some(9 * SECOND), ended: Some(11 * SECOND), ..sample_fault() }];
    let early = reason_texts(|run| run.faults = faults);
    insta::assert_debug_snapshot!(early, @r#"
    [
        "unknown: no operation completed during a confirmed partition fault",
        "unknown: no write succeeded on the majority side of any fault",
    ]
    "#);
    let never = reason_texts(|run| run.kinds.push("kill"));
    assert_eq!(never, ["unknown: no operation completed during a confirmed kill fault"]);
}

#[test]
fn a_majority_that_accepted_no_write_is_missed() {
    let faults =
        vec![FaultRecord { majority: vec!["n2".to_owned(), "n3".to_owned()], ..sample_fault() }];
    let told = reason_texts(|run| run.faults = faults);
    assert_eq!(told, ["unknown: no write succeeded on the majority side of any fault"]);
}

#[test]
fn faults_too_short_for_an_election_need_no_write() {
    let short = |ended| FaultRecord {
        majority: vec!["n2".to_owned()],
        ended: Some(ended),
        ..sample_fault()
    };
    let told = |ended| reason_texts(|run| run.faults = vec![short(ended)]);
    assert_eq!(told(2 * SECOND - 1), [""; 0]);
    assert_eq!(told(2 * SECOND).len(), 1);
}

#[test]
fn silence_after_healing_is_an_anomaly_and_silence_at_the_end_is_doubt() {
    assert_eq!(
        reason_texts(|run| run.recovery = Some(vec![false, true, false, true, false])),
        ["invalid: after all faults were healed, n2, n4 did not answer a write and a read in time"]
    );
    assert_eq!(
        reason_texts(|run| run.final_reads = Some(vec![false, false, true, false, false])),
        ["unknown: n3 did not answer every final read"]
    );
    assert_eq!(
        reason_texts(|run| run.final_reads = None),
        ["unknown: the final reads did not run"]
    );
}

#[test]
fn what_happened_after_the_main_phase_does_not_make_up_for_it() {
    let told =
        reason_texts(|run| (run.main_end, run.faults, run.kinds) = (0, Vec::new(), Vec::new()));
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0], "unknown: only 0 cas operations succeeded; a verdict needs 20");
}

#[test]
fn a_nemesis_in_trouble_leaves_doubt() {
    let told =
        reason_texts(|run| run.nemesis_error = Some("n1 could not be started again".to_owned()));
    assert_eq!(told, ["unknown: n1 could not be started again"]);
}

#[test]
fn silence_after_a_failed_heal_is_unknown() {
    let told = reason_texts(|run| {
        run.heal_error = Some("n2 could not be started again".to_owned());
        run.recovery = Some(vec![false, true, false, false, false]);
    });
    insta::assert_debug_snapshot!(told, @r#"
    [
        "unknown: n2 did not answer a write and a read in recovery, but not all faults were healed",
        "unknown: n2 could not be started again",
    ]
    "#);
}

#[test]
fn replicas_that_break_the_protocol_leave_doubt() {
    let told =
        reason_texts(|run| run.protocol_error = Some("lines that were no messages: 3".to_owned()));
    assert_eq!(told, ["unknown: lines that were no messages: 3"]);
}

#[test]
fn an_unasked_exit_is_an_anomaly() {
    let deaths = vec![ReplicaExit {
        replica: "n3".to_owned(),
        how: "exit code 1".to_owned(),
        log: Vec::new(),
    }];
    assert_eq!(
        reason_texts(|run| run.deaths = deaths),
        ["invalid: n3 exited unexpectedly: exit code 1"]
    );
}

#[test]
fn who_stops_after_its_disk_was_damaged_may_have_had_to() {
    let stopped = || {
        vec![ReplicaExit {
            replica: "n3".to_owned(),
            how: "exit code 1".to_owned(),
            log: Vec::new(),
        }]
    };
    let silent = |n3, n4| {
        reason_texts(|run| {
            run.doubtful = stopped();
            run.recovery = Some(vec![false, false, n3, n4, false]);
        })
    };
    insta::assert_debug_snapshot!(silent(true, false), @r#"
    [
        "unknown: n3 exited unexpectedly: exit code 1; a fault had corrupted its disk",
        "unknown: n3 did not answer in recovery; a fault had corrupted its disk",
    ]
    "#);
    assert!(silent(true, true)[0].starts_with("invalid: after all faults were healed, n3, n4"));
}

#[test]
fn an_interrupted_run_is_never_green() {
    let told = reason_texts(|run| {
        run.interrupted = true;
        run.recovery = Some(vec![true; 5]);
        run.final_reads = None;
    });
    assert_eq!(told, ["unknown: the run was interrupted: the remaining phases were not checked"]);
}

/// A partition of 10 s from second 0, and writes to `n1` in seconds 6 to 7; the majority has `n1`.
fn long_cut() -> (History, FaultRecord) {
    let mut events = Vec::new();
    for (client, at) in (0..8).zip(6 * SECOND..) {
        for (kind, time) in [(Kind::Invoke, at), (Kind::Info, 7 * SECOND + at)] {
            events.push(Event {
                index: 0,
                time,
                kind,
                process: Process::Client(client),
                f: "write".into(),
                value: Value::Int(1),
                node: Some("n1".into()),
                error: None,
            });
        }
    }
    let history = |mut events: Vec<Event>| {
        events.sort_by_key(|event| event.time);
        events.iter_mut().zip(0..).for_each(|(event, index)| event.index = index);
        History::new(events).expect("an operation each")
    };
    (history(events), FaultRecord { ended: Some(10 * SECOND), ..sample_fault() })
}

#[test]
fn a_majority_that_serves_no_change_during_a_long_cut_is_an_anomaly() {
    let (history, fault) = long_cut();
    assert_eq!(
        liveness::stalled_majorities(&history, std::slice::from_ref(&fault)),
        ["n1, n2, n3, n4 completed none of 8 writes in 5.0 s of fault 1 (partition:one), \
             although they could reach a majority"]
    );
}

#[test]
fn repeats_of_one_reason_are_counted() {
    let exit = |replica: &str, how: &str| ReplicaExit {
        replica: replica.to_owned(),
        how: how.to_owned(),
        log: Vec::new(),
    };
    let told = reason_texts(|run| {
        let how = "exit status: 1";
        run.deaths =
            vec![exit("n1", how), exit("n3", how), exit("n2", "signal: 6"), exit("n1", how)];
    });
    assert_eq!(
        told,
        [
            "invalid: n1 exited unexpectedly: exit status: 1 (and 2 more such exits)",
            "invalid: n2 exited unexpectedly: signal: 6"
        ]
    );
}

#[test]
fn an_early_violation_that_is_not_confirmed_is_said_but_convicts_nothing() {
    let why = "internal error: --fail-fast stopped the run";
    let told = reason_texts(|run| run.unconfirmed = Some(why.to_owned()));
    assert_eq!(told, [format!("unknown: {why}")]);
}

#[test]
fn what_cannot_be_held_against_a_majority_is_not() {
    let (history, long) = long_cut();
    let silent = |faults: &[FaultRecord]| liveness::stalled_majorities(&history, faults).is_empty();
    assert!(silent(&[FaultRecord { ended: Some(liveness::GRACE), ..long.clone() }]), "too short");
    assert!(silent(&[FaultRecord { majority: Vec::new(), ..long.clone() }]), "no majority");
    assert!(
        silent(&[FaultRecord { majority: vec!["n2".to_owned()], ..long.clone() }]),
        "not asked"
    );
    assert!(silent(&[FaultRecord { state: FaultState::Unwitnessed, ..long.clone() }]), "unseen");
    let kill = FaultRecord { id: 2, kind: "kill".to_owned(), ..sample_fault() };
    assert!(silent(&[long.clone(), kill]), "another fault");
    let served = self::sample_history("");
    assert!(
        liveness::stalled_majorities(&served, &[long]).is_empty(),
        "nothing was asked in that time"
    );
}

#[test]
fn what_a_system_never_promised_is_not_asked_but_told() {
    let (long, cut) = long_cut();
    let told = |no_failover_reason| {
        reason_texts(|run| {
            (run.history, run.faults) = (long.clone(), vec![cut.clone()]);
            run.no_failover_reason = no_failover_reason;
        })
    };
    let without =
        |told: Vec<String>| told.into_iter().any(|it| it.contains("n1, n2, n3, n4 completed none"));
    let why = Some("one for ever");
    assert!(without(told(None)) && !without(told(why)));
    let faults = [sample_fault()];
    assert_eq!(
        unchecked_properties(why, &faults),
        ["whether a majority makes progress without its leader: one for ever"]
    );
    assert!(
        unchecked_properties(None, &faults).is_empty() && unchecked_properties(why, &[]).is_empty()
    );
    let calm = |no_failover_reason| {
        self::reason_texts(|run| {
            run.faults[0].majority = vec!["n4".to_owned()];
            run.no_failover_reason = no_failover_reason;
        })
    };
    assert_eq!(calm(None), ["unknown: no write succeeded on the majority side of any fault"]);
    assert_eq!(calm(why), [""; 0]);
}

#[test]
fn one_change_is_enough_to_acquit_a_majority() {
    let (history, fault) = long_cut();
    let mut events: Vec<Event> = history.events().to_vec();
    let last = events.iter_mut().find(|event| event.kind == Kind::Info);
    let last = last.expect("it ended");
    (last.kind, last.time) = (Kind::Ok, 8 * SECOND);
    events.sort_by_key(|event| event.time);
    events.iter_mut().zip(0..).for_each(|(event, index)| event.index = index);
    let history = History::new(events).expect("well-formed");
    assert!(liveness::stalled_majorities(&history, &[fault]).is_empty());
}

#[test]
fn a_malformed_reply_is_an_objection_in_old_histories_too() {
    let read_with = |error: &str| {
        let stored = format!(
            r#"{{"index":0,"time":0,"type":"invoke","process":0,"f":"read","value":["k0",null]}}
            {{"index":1,"time":1,"type":"info","process":0,"f":"read","error":"{error}"}}"#
        );
        malformed_replies(&jsonl::parse(stored).expect("a call and its end").history)
    };
    assert_eq!(read_with("timeout"), None);
    for prefix in ["malformed reply from the adapter", "the client's answer is out of place"] {
        let error = format!("{prefix}: read succeeded and returned nothing");
        let reason = read_with(&error).expect(prefix);
        assert_eq!(reason.validity, Validity::Unknown);
        let text = format!("1 replies do not match their calls; first: {error}");
        assert_eq!(reason.text, text);
    }
}
