//! Synthetic runs for tests, the same every time.

use super::run::Run;
use checker::History;
use checker::history::{Event, Kind, Process, Value};
use records::record::{
    Candidate, CheckRecord, Config, Counts, Coverage, FORMAT, FaultRecord, FaultState, Latency,
    Machine, Net, OutcomeCounts, PrefixOperation, Reason, Replica, ReplicaExit, RunRecord, Timings,
    Validity, VerdictRecord, Witness,
};
use records::replica_log::{
    ClockDeviation, Observation, ObservationRecord, ProcessState, ReplicaTelemetry, ReportedStatus,
};
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;

const LANES: &str = r#"key "k3", before: 4
    w 5 ok
c2  ├───────┤
                ✗ r 4 ok
c7              ├────────┤
          cas [1 2] ?
c9        ├╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
"#;

/// A run that owns everything a report borrows.
pub struct Sample {
    /// `run.json`.
    pub record: RunRecord,
    /// `verdict.json`.
    pub verdict: VerdictRecord,
    /// Every operation.
    pub history: History,
    /// Observations of the replicas.
    pub observed: ReplicaTelemetry,
}

impl Sample {
    /// The input of a report.
    pub fn run(&self) -> Run<'_> {
        Run {
            record: &self.record,
            verdict: &self.verdict,
            history: &self.history,
            observed: &self.observed,
            check_names: &["cas-register"],
            directory: "results/raft-register/42",
        }
    }
}

/// A valid run of `operations` operations over half a minute.
pub fn valid(operations: u64) -> Sample {
    let history = history(operations);
    let counts = counts(&history);
    Sample { record: record(), verdict: verdict(counts), history, observed: sample_telemetry() }
}

/// A run with a stale read.
pub fn invalid(operations: u64) -> Sample {
    let mut sample = valid(operations);
    let sentence = "client 7 read 4 from n2, but write 5 had already completed";
    let verdict = &mut sample.verdict;
    (verdict.validity, verdict.exit) = (Validity::Invalid, 1);
    verdict.sentence = sentence.into();
    verdict.reasons = vec![reason(Validity::Invalid, sentence)];
    verdict.checks = vec![CheckRecord {
        name: "linearizable".into(),
        validity: Validity::Invalid,
        sentence: sentence.into(),
        witness: Some(witness()),
        findings: Vec::new(),
        measured: std::collections::BTreeMap::new(),
    }];
    verdict.deaths = vec![ReplicaExit {
        replica: "n4".into(),
        how: "exit code 101".into(),
        log: vec![
            "term 9: became follower".into(),
            "thread 'main' panicked: log has a gap at 812".into(),
        ],
    }];
    verdict.bugs = vec!["stale-reads".into()];
    sample.record.config.bugs.clone_from(&verdict.bugs);
    sample
}

/// An interrupted run whose faults are not confirmed.
pub fn unknown(operations: u64) -> Sample {
    let mut sample = valid(operations);
    let verdict = &mut sample.verdict;
    (verdict.validity, verdict.exit, verdict.interrupted) = (Validity::Unknown, 130, true);
    verdict.sentence =
        "no violation found, but the run was interrupted and 1 fault was not confirmed.".into();
    verdict.reasons = vec![
        reason(
            Validity::Unknown,
            "fault #2 was applied, but no evidence confirms that it took effect",
        ),
        reason(Validity::Unknown, "only 41 operations succeeded: too few to judge"),
    ];
    verdict.faults[1].state = FaultState::Unwitnessed;
    verdict.faults[1].evidence = "it answered".into();
    verdict.faults[3].ended = None;
    sample.record.net = Net {
        backend: "proxy".into(),
        description: "user-space proxies on loopback".into(),
        why: Some(
            "this kernel refuses unprivileged user namespaces (kernel.unprivileged_userns_clone=0)"
                .into(),
        ),
    };
    sample
}

/// A run in which every text is the given hostile one.
pub fn hostile(text: &str) -> Sample {
    let mut sample = invalid(20);
    let all = serde_json::to_value((&sample.record, &sample.verdict)).expect("records are JSON");
    let (record, verdict) =
        serde_json::from_value(replace_texts(all, text)).expect("still records");
    (sample.record, sample.verdict) = (record, verdict);
    sample.observed = hostile_telemetry(text);
    sample.verdict.counts.functions =
        BTreeMap::from([(text.to_owned(), OutcomeCounts { ok: 1, ..OutcomeCounts::default() })]);
    sample.history =
        History::new(events(0, (text, 5, 9), Kind::Info).to_vec()).expect("well-formed");
    sample
}

/// Replaces every text except the names of enum variants.
fn replace_texts(value: serde_json::Value, text: &str) -> serde_json::Value {
    use serde_json::Value::{Array, Object, String};
    match value {
        String(word)
            if ["valid", "unknown", "invalid", "witnessed", "unwitnessed", "skipped"]
                .contains(&&*word) =>
        {
            String(word)
        }
        String(_) => String(text.to_owned()),
        Array(items) => Array(items.into_iter().map(|item| replace_texts(item, text)).collect()),
        Object(entries) => Object(
            entries.into_iter().map(|(key, item)| (key, replace_texts(item, text))).collect(),
        ),
        other => other,
    }
}

/// Observations of a leader that was killed for three seconds and whose clock was off for one.
fn sample_telemetry() -> ReplicaTelemetry {
    let observation = |seconds: u64, what| ObservationRecord {
        time: seconds * SECOND,
        replica: "n1".into(),
        observation: what,
    };
    let said = |role: &str, term, applied| {
        let role = Some(role.to_owned());
        Observation::Says(Some(ReportedStatus {
            role,
            term: Some(term),
            commit: Some(applied),
            applied: Some(applied),
        }))
    };
    let ahead = ClockDeviation { offset_ms: 500.0, ..ClockDeviation::default() };
    let observations = vec![
        observation(0, Observation::Process(ProcessState::Up)),
        observation(0, Observation::Log(10)),
        observation(0, said("leader", 1, 0)),
        observation(1, Observation::Log(27)),
        observation(5, said("leader", 1, 400)),
        observation(10, Observation::Process(ProcessState::Down)),
        observation(10, Observation::Says(None)),
        observation(13, Observation::Process(ProcessState::Up)),
        observation(14, said("follower", 2, 900)),
        observation(20, Observation::Clock(ahead)),
        observation(21, Observation::Clock(ClockDeviation::default())),
    ];
    let log = b"n1 starts\nn1 became leader\n".to_vec();
    ReplicaTelemetry { observations, logs: BTreeMap::from([("n1".to_owned(), log)]) }
}

/// Observations and a log that contain only this text, of a replica of that name.
fn hostile_telemetry(text: &str) -> ReplicaTelemetry {
    let said = ReportedStatus { role: Some(text.to_owned()), ..ReportedStatus::default() };
    let observation = ObservationRecord {
        time: 0,
        replica: text.to_owned(),
        observation: Observation::Says(Some(said)),
    };
    let logs = BTreeMap::from([(text.to_owned(), format!("{text}\n").into_bytes())]);
    ReplicaTelemetry { observations: vec![observation], logs }
}

fn candidate(index: u64, operation: &str, reason: &str) -> Candidate {
    Candidate { index: Some(index), operation: operation.into(), reason: reason.into() }
}

fn reason(validity: Validity, text: &str) -> Reason {
    Reason { validity, text: text.into() }
}

fn record() -> RunRecord {
    let replica = |n| Replica { name: format!("n{n}"), address: format!("10.7.0.{n}:8080") };
    RunRecord {
        format: FORMAT,
        harness: "0.1.0".into(),
        argv: ["harness", "test", "--nemesis", "partition,kill,pause"].map(String::from).to_vec(),
        config: config(),
        started: "2026-11-22T23:18:01Z".into(),
        machine: Machine { kernel: "Linux 6.12.9 x86_64".into(), cpus: 2, uid: 1000 },
        disks: None,
        net: Net {
            backend: "bridge".into(),
            description: "one network namespace per replica on a bridge, rootless".into(),
            why: None,
        },
        replicas: (1..=5).map(replica).collect(),
        timings: Timings {
            clock_unix_ms: Some(1_795_389_481_720),
            net_ms: 45,
            ready_ms: 720,
            first_op_ms: Some(733),
            history_ms: Some(31_020),
            judged_ms: Some(31_190),
        },
        drawn: Vec::new(),
        repro: "harness test --seed 42".into(),
    }
}

fn config() -> Config {
    let recorded = serde_json::json!({
        "system": "raft", "nodes": 5, "workload": "register",
        "nemesis": ["partition", "kill", "pause"], "time_limit_ms": 30_000, "concurrency": 10,
        "rate": 200, "seed": 42, "net": "auto", "unsafe": [],
    });
    serde_json::from_value(recorded).expect("every other key has a default")
}

fn verdict(counts: Counts) -> VerdictRecord {
    VerdictRecord {
        schema_version: FORMAT,
        format: FORMAT,
        validity: Validity::Valid,
        exit: 0,
        interrupted: false,
        stopped_early: None,
        bugs: Vec::new(),
        sentence: "5 replicas of raft behaved like one copy through 5 faults.".into(),
        reasons: Vec::new(),
        not_asked: Vec::new(),
        checks: vec![CheckRecord {
            name: "linearizable".into(),
            validity: Validity::Valid,
            sentence: "An order explains every operation on each of 8 keys.".into(),
            witness: None,
            findings: Vec::new(),
            measured: std::collections::BTreeMap::new(),
        }],
        faults: faults(),
        counts,
        latency: Latency { p50_us: 1_240, p95_us: 3_900, p99_us: 48_000, max_us: 1_980_000 },
        deaths: Vec::new(),
        coverage: Coverage::default(),
        led: Vec::new(),
    }
}

fn faults() -> Vec<FaultRecord> {
    let partition = |id, variant: &str, target: &str, at: (u64, u64)| {
        let sides = target.split_once(" | ").expect("two sides");
        let side = |names: &str| names.split(' ').map(String::from).collect::<Vec<_>>();
        let (minority, majority) = (side(sides.0), side(sides.1));
        let pairs = minority.iter().flat_map(|one| majority.iter().map(move |other| (one, other)));
        FaultRecord {
            cut: pairs.map(|(one, other)| (one.clone(), other.clone())).collect(),
            majority: majority.clone(),
            evidence: "412 packets dropped".into(),
            ..fault((id, "partition"), variant, target, at)
        }
    };
    let on = |id, kind, host: &str, at| FaultRecord {
        hosts: vec![host.to_owned()],
        evidence: format!("{host} did not answer for 2.9 s"),
        ..fault((id, kind), "leader", host, at)
    };
    let skipped = FaultRecord {
        started: None,
        ended: None,
        state: FaultState::Skipped,
        evidence: "no leader".into(),
        ..fault((5, "pause"), "leader", "-", (0, 0))
    };
    vec![
        partition(1, "halves", "n1 n2 | n3 n4 n5", (3, 7)),
        on(2, "kill", "n3", (10, 13)),
        on(3, "pause", "n2", (16, 18)),
        partition(4, "leader", "n2 | n1 n3 n4 n5", (21, 25)),
        skipped,
    ]
}

fn fault(
    (id, kind): (u32, &str),
    variant: &str,
    target: &str,
    (from, to): (u64, u64),
) -> FaultRecord {
    FaultRecord {
        id,
        kind: kind.into(),
        variant: variant.into(),
        target: target.into(),
        hosts: Vec::new(),
        cut: Vec::new(),
        majority: Vec::new(),
        started: Some(from * SECOND),
        ended: Some(to * SECOND),
        state: FaultState::Witnessed,
        evidence: String::new(),
    }
}

fn witness() -> Witness {
    Witness {
        key: Some("\"k3\"".into()),
        entry_states: vec!["4".into()],
        lanes: LANES.into(),
        operations: vec![0, 2, 4],
        accused: Some(2),
        order: vec![PrefixOperation {
            index: 0,
            operation: "w 5 ok by client 2".into(),
            before: vec!["4".into()],
        }],
        states_after: vec!["5".to_owned()],
        candidates: vec![
            candidate(2, "read by client 7", "it read 4, but the register holds 5"),
            candidate(4, "cas 1 -> 2 by client 9", "it needs 1, but the register holds 5"),
        ],
        file: "window.jsonl".into(),
        case: "{\"initial\":[4]}\n".into(),
    }
}

/// Operations spread over half a minute; those under a fault are slow, or fail, or are lost.
fn history(operations: u64) -> History {
    let mut log = Vec::new();
    for n in 0..operations {
        let start = n * 30 * SECOND / operations;
        let noise = n.wrapping_mul(2_654_435_761) >> 7;
        let broken = [(3, 5), (10, 11), (21, 23)]
            .iter()
            .any(|(from, to)| (from * SECOND..to * SECOND).contains(&start));
        let (kind, latency) = match (broken, noise % 20) {
            (true, 0..4) => (Kind::Info, 2 * SECOND),
            (true, 4..8) => (Kind::Fail, SECOND / 50 + noise % 9_000_000),
            (true, _) => (Kind::Ok, SECOND / 100 + noise % 400_000_000),
            (false, _) => (Kind::Ok, 700_000 + noise % 1_400_000 + noise % 17 * (noise % 90_000)),
        };
        log.extend(events(n, ("read", start, start + latency), kind));
    }
    log.sort_by_key(|event| (event.time, event.index));
    for (index, event) in (0..).zip(&mut log) {
        event.index = index;
    }
    History::new(log).expect("every operation has a process of its own")
}

fn events(n: u64, (f, start, end): (&str, u64, u64), kind: Kind) -> [Event; 2] {
    let invoke = Event {
        index: 2 * n,
        time: start,
        kind: Kind::Invoke,
        process: Process::Client(n),
        f: f.into(),
        value: Value::from(f),
        node: Some(f.into()),
        error: None,
    };
    let completion = Event { index: 2 * n + 1, time: end, kind, ..invoke.clone() };
    [invoke, completion]
}

fn counts(history: &History) -> Counts {
    let mut functions: BTreeMap<String, OutcomeCounts> = BTreeMap::new();
    for operation in history.operations() {
        let outcomes = functions.entry(operation.f.to_string()).or_default();
        match operation.kind() {
            Kind::Ok => outcomes.ok += 1,
            Kind::Fail => outcomes.fail += 1,
            Kind::Info | Kind::Invoke => outcomes.info += 1,
        }
    }
    Counts { functions, missed: 3 }
}
