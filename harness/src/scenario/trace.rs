//! Reads the roles and terms of replicas from their logs, and responses from the history. Pure.
//!
//! Times are milliseconds of the run's clock. Logs have wall-clock times, which are converted.

use records::record::FaultRecord;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A change of role that a replica logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleChange {
    /// The time.
    pub(crate) at_ms: i64,
    /// The replica.
    pub(crate) replica: String,
    /// The term; 0 at its start.
    pub(crate) term: u64,
    /// `leader`, `follower`, `pre-candidate`, `candidate`, or `started`.
    pub(crate) role: String,
    /// The leader that it follows.
    pub(crate) leader: Option<String>,
}

/// The time in which a replica acted as leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaderPeriod {
    /// The leader.
    pub(crate) leader: String,
    /// The term.
    pub(crate) term: u64,
    /// The start.
    pub(crate) from_ms: i64,
    /// The end; `None` if it never changed its role.
    pub(crate) to_ms: Option<i64>,
}

/// A request and its response.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientOperation {
    /// The replica that received the request.
    pub(crate) node: String,
    /// The function.
    pub(crate) f: String,
    /// The argument, or the result of what succeeded.
    pub(crate) value: serde_json::Value,
    /// The time of the request.
    pub(crate) invoked_ms: i64,
    /// The time of the response.
    pub(crate) completed_ms: i64,
    /// `ok`, `fail`, or `info` (unknown).
    pub(crate) outcome: String,
}

/// The trace of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunTrace {
    /// In order of time.
    pub(crate) role_changes: Vec<RoleChange>,
    /// In order of completion.
    pub(crate) operations: Vec<ClientOperation>,
    /// The faults.
    pub(crate) faults: Vec<FaultRecord>,
}

/// The role changes in a replica's log; `zero_ms` is the wall clock at time zero of the run.
pub(crate) fn parse_role_changes(log: &str, zero_ms: i64) -> Vec<RoleChange> {
    log.lines().filter_map(|line| parse_role_change(line, zero_ms)).collect()
}

fn parse_role_change(line: &str, zero_ms: i64) -> Option<RoleChange> {
    let (stamp, rest) = line.split_once(' ')?;
    let (replica, text) = rest.split_once(' ')?;
    let at_ms = stamp.parse::<jiff::Timestamp>().ok()?.as_millisecond() - zero_ms;
    let replica = replica.to_owned();
    if text.starts_with("starts as a member") {
        return Some(RoleChange {
            at_ms,
            replica,
            term: 0,
            role: "started".to_owned(),
            leader: None,
        });
    }
    let (term, became) = text.strip_prefix("term=")?.split_once(" became ")?;
    let (role, leader) = match became.split_once(" of ") {
        Some((role, leader)) => (role, Some(leader.to_owned())),
        None => (became, None),
    };
    Some(RoleChange { at_ms, replica, term: term.parse().ok()?, role: role.to_owned(), leader })
}

/// The fields of a history line that are needed here.
#[derive(Deserialize)]
struct HistoryLine {
    time: u64,
    #[serde(rename = "type")]
    kind: String,
    process: serde_json::Value,
    f: String,
    value: serde_json::Value,
    node: Option<String>,
}

/// The completed requests of clients, from the lines of a history.
pub(crate) fn parse_operations(history: &str) -> Vec<ClientOperation> {
    let mut asked = BTreeMap::new();
    let mut answers = Vec::new();
    let lines = history.lines().filter_map(|line| serde_json::from_str::<HistoryLine>(line).ok());
    for line in lines.filter(|line| line.process.is_u64()) {
        let at_ms = to_millis(line.time);
        if line.kind == "invoke" {
            asked.insert(line.process.to_string(), at_ms);
        } else if let (Some(asked_ms), Some(node)) =
            (asked.remove(&line.process.to_string()), line.node)
        {
            let (f, value, outcome) = (line.f, line.value, line.kind);
            answers.push(ClientOperation {
                node,
                f,
                value,
                invoked_ms: asked_ms,
                completed_ms: at_ms,
                outcome,
            });
        }
    }
    answers
}

/// Nanoseconds as milliseconds.
pub(crate) fn to_millis(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX)
}

impl RunTrace {
    /// The leaders over time, as the replicas logged them.
    pub(crate) fn leader_periods(&self) -> Vec<LeaderPeriod> {
        let began = |(place, turn): (usize, &RoleChange)| {
            let later =
                self.role_changes[place + 1..].iter().find(|next| next.replica == turn.replica);
            (turn.role == "leader").then(|| LeaderPeriod {
                leader: turn.replica.clone(),
                term: turn.term,
                from_ms: turn.at_ms,
                to_ms: later.map(|next| next.at_ms),
            })
        };
        self.role_changes.iter().enumerate().filter_map(began).collect()
    }

    /// When the first fault began and ended.
    pub(crate) fn first_fault(&self) -> Option<(i64, i64)> {
        let fault = self.faults.first()?;
        Some((to_millis(fault.started?), to_millis(fault.ended?)))
    }

    /// The leader at the start of the first fault, and the next leader of a higher term.
    pub(crate) fn leader_change(&self) -> Option<(LeaderPeriod, LeaderPeriod)> {
        let (began, _) = self.first_fault()?;
        let reigns = self.leader_periods();
        let old = reigns.iter().rfind(|reign| reign.from_ms < began)?.clone();
        let new = reigns.into_iter().find(|reign| reign.term > old.term)?;
        Some((old, new))
    }

    /// The trace as lines: role changes, faults, and the outcomes of requests by replica.
    pub(crate) fn to_lines(&self) -> Vec<String> {
        let mut lines: Vec<(i64, String)> =
            self.role_changes.iter().map(format_role_change).collect();
        for fault in &self.faults {
            let what = format!("{} {}", fault.kind, fault.target);
            lines.extend(fault.started.map(|at| (to_millis(at), format!("-- {what} begins --"))));
            lines.extend(fault.ended.map(|at| (to_millis(at), format!("-- {what} ends --"))));
        }
        lines.sort_by_key(|(at_ms, _)| *at_ms);
        let mut text: Vec<String> = lines
            .iter()
            .map(|(at_ms, line)| format!("{:>8}  {line}", format_seconds(*at_ms)))
            .collect();
        text.extend(self.outcomes_during_fault());
        text
    }

    /// The outcomes of requests during the first fault.
    fn outcomes_during_fault(&self) -> Vec<String> {
        let Some((began, ended)) = self.first_fault() else { return Vec::new() };
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        let during = |answer: &&ClientOperation| (began..ended).contains(&answer.invoked_ms);
        for answer in self.operations.iter().filter(during) {
            let place = ["ok", "fail", "info"].iter().position(|name| *name == answer.outcome);
            if let Some(place) = place {
                counts.entry(&answer.node).or_default()[place] += 1;
            }
        }
        let told = |(node, [ok, fail, info]): (&str, [usize; 3])| {
            format!("          clients of {node} meanwhile: {ok} ok, {fail} failed, {info} unknown")
        };
        counts.into_iter().map(told).collect()
    }
}

fn format_role_change(turn: &RoleChange) -> (i64, String) {
    let RoleChange { replica, term, role, .. } = turn;
    let text = match (&turn.leader, role.as_str()) {
        (_, "started") => format!("{replica} starts"),
        (Some(leader), _) => format!("{replica} follows {leader} at term {term}"),
        (None, _) => format!("{replica} is {role} at term {term}"),
    };
    (turn.at_ms, text)
}

/// Milliseconds as seconds.
pub(crate) fn format_seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03} s", ms.abs() / 1_000, ms.abs() % 1_000)
}
