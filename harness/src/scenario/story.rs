//! Reads the roles and terms of replicas from their logs, and responses from the history. Pure.
//!
//! Times are milliseconds of the run's clock. Logs have wall-clock times, which are converted.

use records::record::FaultRecord;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A change of role that a replica logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Turn {
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
pub(crate) struct Reign {
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
pub(crate) struct Answer {
    /// The replica that received the request.
    pub(crate) node: String,
    /// The function.
    pub(crate) f: String,
    /// The argument, or the result of what succeeded.
    pub(crate) value: serde_json::Value,
    /// The time of the request.
    pub(crate) asked_ms: i64,
    /// The time of the response.
    pub(crate) told_ms: i64,
    /// `ok`, `fail`, or `info` (unknown).
    pub(crate) outcome: String,
}

/// The trace of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Story {
    /// In order of time.
    pub(crate) turns: Vec<Turn>,
    /// In order of completion.
    pub(crate) answers: Vec<Answer>,
    /// The faults.
    pub(crate) faults: Vec<FaultRecord>,
}

/// The role changes in a replica's log; `zero_ms` is the wall clock at time zero of the run.
pub(crate) fn turns(log: &str, zero_ms: i64) -> Vec<Turn> {
    log.lines().filter_map(|line| turn(line, zero_ms)).collect()
}

fn turn(line: &str, zero_ms: i64) -> Option<Turn> {
    let (stamp, rest) = line.split_once(' ')?;
    let (replica, text) = rest.split_once(' ')?;
    let at_ms = stamp.parse::<jiff::Timestamp>().ok()?.as_millisecond() - zero_ms;
    let replica = replica.to_owned();
    if text.starts_with("starts as a member") {
        return Some(Turn { at_ms, replica, term: 0, role: "started".to_owned(), leader: None });
    }
    let (term, became) = text.strip_prefix("term=")?.split_once(" became ")?;
    let (role, leader) = match became.split_once(" of ") {
        Some((role, leader)) => (role, Some(leader.to_owned())),
        None => (became, None),
    };
    Some(Turn { at_ms, replica, term: term.parse().ok()?, role: role.to_owned(), leader })
}

/// The fields of a history line that are needed here.
#[derive(Deserialize)]
struct Line {
    time: u64,
    #[serde(rename = "type")]
    kind: String,
    process: serde_json::Value,
    f: String,
    value: serde_json::Value,
    node: Option<String>,
}

/// The completed requests of clients, from the lines of a history.
pub(crate) fn answers(history: &str) -> Vec<Answer> {
    let mut asked = BTreeMap::new();
    let mut answers = Vec::new();
    let lines = history.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    for line in lines.filter(|line| line.process.is_u64()) {
        let at_ms = millis(line.time);
        if line.kind == "invoke" {
            asked.insert(line.process.to_string(), at_ms);
        } else if let (Some(asked_ms), Some(node)) =
            (asked.remove(&line.process.to_string()), line.node)
        {
            let (f, value, outcome) = (line.f, line.value, line.kind);
            answers.push(Answer { node, f, value, asked_ms, told_ms: at_ms, outcome });
        }
    }
    answers
}

/// Nanoseconds as milliseconds.
pub(crate) fn millis(ns: u64) -> i64 {
    i64::try_from(ns / 1_000_000).unwrap_or(i64::MAX)
}

impl Story {
    /// The leaders over time, as the replicas logged them.
    pub(crate) fn reigns(&self) -> Vec<Reign> {
        let began = |(place, turn): (usize, &Turn)| {
            let later = self.turns[place + 1..].iter().find(|next| next.replica == turn.replica);
            (turn.role == "leader").then(|| Reign {
                leader: turn.replica.clone(),
                term: turn.term,
                from_ms: turn.at_ms,
                to_ms: later.map(|next| next.at_ms),
            })
        };
        self.turns.iter().enumerate().filter_map(began).collect()
    }

    /// When the first fault began and ended.
    pub(crate) fn fault(&self) -> Option<(i64, i64)> {
        let fault = self.faults.first()?;
        Some((millis(fault.started?), millis(fault.ended?)))
    }

    /// The leader at the start of the first fault, and the next leader of a higher term.
    pub(crate) fn change(&self) -> Option<(Reign, Reign)> {
        let (began, _) = self.fault()?;
        let reigns = self.reigns();
        let old = reigns.iter().rfind(|reign| reign.from_ms < began)?.clone();
        let new = reigns.into_iter().find(|reign| reign.term > old.term)?;
        Some((old, new))
    }

    /// The trace as lines: role changes, faults, and the outcomes of requests by replica.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<(i64, String)> = self.turns.iter().map(told).collect();
        for fault in &self.faults {
            let what = format!("{} {}", fault.kind, fault.target);
            lines.extend(fault.started.map(|at| (millis(at), format!("-- {what} begins --"))));
            lines.extend(fault.ended.map(|at| (millis(at), format!("-- {what} ends --"))));
        }
        lines.sort_by_key(|(at_ms, _)| *at_ms);
        let mut text: Vec<String> =
            lines.iter().map(|(at_ms, line)| format!("{:>8}  {line}", seconds(*at_ms))).collect();
        text.extend(self.meanwhile());
        text
    }

    /// The outcomes of requests during the first fault.
    fn meanwhile(&self) -> Vec<String> {
        let Some((began, ended)) = self.fault() else { return Vec::new() };
        let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
        let during = |answer: &&Answer| (began..ended).contains(&answer.asked_ms);
        for answer in self.answers.iter().filter(during) {
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

fn told(turn: &Turn) -> (i64, String) {
    let Turn { replica, term, role, .. } = turn;
    let text = match (&turn.leader, role.as_str()) {
        (_, "started") => format!("{replica} starts"),
        (Some(leader), _) => format!("{replica} follows {leader} at term {term}"),
        (None, _) => format!("{replica} is {role} at term {term}"),
    };
    (turn.at_ms, text)
}

/// Milliseconds as seconds.
pub(crate) fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}.{:03} s", ms.abs() / 1_000, ms.abs() % 1_000)
}
