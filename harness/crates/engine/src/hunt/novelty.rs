//! The states that a run was in, as far as they show from outside, without instrumentation. Pure.
//!
//! A state is a short text without names and numbers, so that runs can be compared: templates of
//! log lines, changes of leader, the cluster's condition, calls under way and kinds of answers,
//! each with the kinds of fault that were active. Replicas are alike, so their names are left out.

use super::mask::mask_text;
use super::redact::Redactor;
use records::record::{FaultRecord, LeaderChange, VerdictRecord};
use records::replica_log::{Observation, ObservationRecord, ProcessState, ReportedStatus};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a run left behind.
pub struct RunTraces<'a> {
    /// The verdict, with faults and leaders.
    pub verdict: &'a VerdictRecord,
    /// The text of the history.
    pub history: &'a str,
    /// The log of each replica.
    pub logs: Vec<&'a str>,
    /// What was observed of the replicas.
    pub observations: &'a [ObservationRecord],
}

/// The states that a run was in.
pub fn observe_states(run: &RunTraces<'_>, redactor: &Redactor) -> BTreeSet<String> {
    let faults = ActiveFaults(&run.verdict.faults);
    let mut states = BTreeSet::new();
    for log in &run.logs {
        states.extend(log_states(log, redactor));
    }
    states.extend(leader_states(&run.verdict.led, &faults));
    states.extend(cluster_states(run.observations, &faults));
    states.extend(client_states(run.history, &faults));
    states
}

/// The faults of a run by time.
struct ActiveFaults<'a>(&'a [FaultRecord]);

impl ActiveFaults<'_> {
    /// The kinds that are active at a time, or `calm`.
    fn describe_at(&self, time: u64) -> String {
        let is_active = |fault: &&FaultRecord| {
            fault.started.is_some_and(|start| start <= time)
                && fault.ended.is_none_or(|end| time < end)
        };
        let active = self.0.iter().filter(is_active).map(|fault| fault.kind.as_str());
        let kinds: BTreeSet<&str> = active.collect();
        if kinds.is_empty() {
            return "calm".to_owned();
        }
        kinds.into_iter().collect::<Vec<_>>().join("+")
    }
}

/// Each template of a replica's log, with how often it came.
fn log_states(log: &str, redactor: &Redactor) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in redactor.clean_lines(log) {
        *counts.entry(mask_text(line)).or_default() += 1;
    }
    let often = |count| match count {
        1 => "once",
        2..10 => "some",
        _ => "many",
    };
    counts.into_iter().map(|(template, count)| format!("log {} {template}", often(count))).collect()
}

/// Each change of leader: to the same or another one, over how many terms, during which faults.
fn leader_states(led: &[LeaderChange], faults: &ActiveFaults<'_>) -> BTreeSet<String> {
    let change = |pair: &[LeaderChange]| {
        let (before, after) = (&pair[0], &pair[1]);
        let to = match (&before.leader, &after.leader) {
            (_, None) => "none",
            (Some(before), Some(after)) if before == after => "same",
            _ => "other",
        };
        let terms = bucket(after.term.saturating_sub(before.term));
        format!("leader {to} after {terms} terms during {}", faults.describe_at(after.at))
    };
    led.windows(2).map(change).collect()
}

/// The condition of all replicas together, after each observation.
fn cluster_states(
    observations: &[ObservationRecord],
    faults: &ActiveFaults<'_>,
) -> BTreeSet<String> {
    let mut replicas: BTreeMap<&str, (Option<ProcessState>, ReportedStatus)> = BTreeMap::new();
    let mut states = BTreeSet::new();
    for record in observations {
        let (process, status) = replicas.entry(&record.replica).or_default();
        match &record.observation {
            Observation::Process(state) => *process = Some(*state),
            Observation::Says(says) => *status = says.clone().unwrap_or_default(),
            Observation::Clock(_) | Observation::Log(_) => continue,
        }
        let running = replicas.values().filter(|(state, _)| *state == Some(ProcessState::Up));
        let statuses: Vec<&ReportedStatus> = running.map(|(_, status)| status).collect();
        let is_leader = |status: &&&ReportedStatus| status.role.as_deref() == Some("leader");
        let leaders = statuses.iter().filter(is_leader).count();
        let missing = replicas.len() - statuses.len();
        let spread = |value: fn(&ReportedStatus) -> Option<u64>| {
            let values = || statuses.iter().filter_map(|status| value(status));
            bucket(values().max().unwrap_or(0) - values().min().unwrap_or(0))
        };
        states.insert(format!(
            "cluster {leaders} leaders, {missing} missing, {} terms apart, {} entries apart, {}",
            spread(|status| status.term),
            spread(|status| status.commit),
            faults.describe_at(record.time)
        ));
    }
    states
}

/// An event of the history, as far as it matters here.
#[derive(Deserialize)]
struct HistoryEvent {
    time: u64,
    #[serde(rename = "type")]
    kind: String,
    process: serde_json::Value,
    f: String,
    #[serde(default)]
    error: Option<serde_json::Value>,
}

/// Kinds of answers, and how many calls are under way when a fault begins.
fn client_states(history: &str, faults: &ActiveFaults<'_>) -> BTreeSet<String> {
    let mut states = BTreeSet::new();
    let mut answers = BTreeSet::new();
    let mut begins: Vec<&FaultRecord> = faults.0.iter().filter(|it| it.started.is_some()).collect();
    begins.sort_by_key(|fault| std::cmp::Reverse(fault.started));
    let mut open = 0_u64;
    for event in history.lines().filter_map(|line| serde_json::from_str::<HistoryEvent>(line).ok())
    {
        while let Some(fault) = begins.pop_if(|fault| fault.started < Some(event.time)) {
            let FaultRecord { kind, variant, .. } = fault;
            states.insert(format!("open {} when {kind}:{variant} begins", bucket(open)));
        }
        if !event.process.is_u64() {
            continue;
        }
        if event.kind == "invoke" {
            open += 1;
            continue;
        }
        open = open.saturating_sub(1);
        let error = event.error.map(|error| error.to_string().trim_matches('"').to_owned());
        answers.insert((event.f, event.kind, error, faults.describe_at(event.time)));
    }
    states.extend(answers.into_iter().map(|(function, kind, error, during)| {
        let error = error.map(|error| format!(" {}", mask_text(&error))).unwrap_or_default();
        format!("answer {function} {kind}{error} during {during}")
    }));
    states
}

/// A number by its order of magnitude.
fn bucket(number: u64) -> &'static str {
    match number {
        0 => "0",
        1 => "1",
        2..4 => "2+",
        4..16 => "4+",
        16..256 => "16+",
        _ => "256+",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::sample_verdict;
    use super::*;
    use records::record::{FaultState, Validity};

    fn sample_fault(kind: &str, started: u64, ended: u64) -> FaultRecord {
        FaultRecord {
            id: 1,
            kind: kind.to_owned(),
            variant: "leader".to_owned(),
            target: "n1".to_owned(),
            hosts: Vec::new(),
            cut: Vec::new(),
            majority: Vec::new(),
            started: Some(started),
            ended: Some(ended),
            state: FaultState::Witnessed,
            evidence: String::new(),
        }
    }

    fn sample_states(log: &str) -> BTreeSet<String> {
        let mut verdict = sample_verdict(Validity::Valid);
        verdict.faults = vec![sample_fault("kill", 100, 200), sample_fault("pause", 150, 250)];
        let led = |at, leader: Option<&str>, term| LeaderChange {
            at,
            leader: leader.map(str::to_owned),
            term,
        };
        verdict.led = vec![led(1, Some("n1"), 1), led(160, None, 1), led(210, Some("n2"), 3)];
        let history = r#"{"index":0,"time":10,"type":"invoke","process":0,"f":"read","value":null}
{"index":1,"time":20,"type":"ok","process":0,"f":"read","value":1}
{"index":2,"time":90,"type":"invoke","process":1,"f":"write","value":1}
{"index":3,"time":101,"type":"info","process":"nemesis","f":"begin","value":null}
{"index":4,"time":120,"type":"info","process":1,"f":"write","error":"refused (os error 111)"}
"#;
        let says = |time, replica: &str, observation| ObservationRecord {
            time,
            replica: replica.to_owned(),
            observation,
        };
        let leader = |term| {
            let role = Some("leader".to_owned());
            Observation::Says(Some(ReportedStatus { role, term: Some(term), ..Default::default() }))
        };
        let up = Observation::Process(ProcessState::Up);
        let observations = [
            says(1, "n1", up.clone()),
            says(1, "n2", up),
            says(170, "n1", leader(1)),
            says(180, "n2", leader(3)),
        ];
        let run =
            RunTraces { verdict: &verdict, history, logs: vec![log], observations: &observations };
        observe_states(&run, &Redactor::new(["stale-reads".to_owned()]))
    }

    #[test]
    fn names_every_kind_of_state() {
        let states = sample_states("n1 term=1 became leader\nn1 term=2 became leader\nn1 ends\n");
        let text = states.into_iter().collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(text, @r"
        answer read ok during calm
        answer write info refused (os error #) during kill
        cluster 0 leaders, 0 missing, 0 terms apart, 0 entries apart, calm
        cluster 1 leaders, 0 missing, 0 terms apart, 0 entries apart, kill+pause
        cluster 2 leaders, 0 missing, 2+ terms apart, 0 entries apart, kill+pause
        leader none after 0 terms during kill+pause
        leader other after 2+ terms during pause
        log once n# ends
        log some n# term=# became leader
        open 1 when kill:leader begins
        ");
    }

    #[test]
    fn names_of_seeded_bugs_make_no_state() {
        let plain = sample_states("n1 ends\n");
        assert_eq!(sample_states("n1 runs with stale-reads: answers alone\nn1 ends\n"), plain);
        assert_eq!(sample_states("argv --unsafe other\nn1 ends\n"), plain);
        assert_ne!(sample_states("n1 stale reads\nn1 ends\n"), plain);
    }
}
