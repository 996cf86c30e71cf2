//! Checks what replicas must never do, from what they write and report themselves.
//!
//! The sources are the replicas' logs, their protocol traces and their status. None of them decides
//! consistency: each invariant is a check with a name of its own beside the checks of the history.
//! One invariant = one file + one line in [`INVARIANTS`].

mod log_lines;
mod log_rules;
mod one_leader;
mod raft_trace;
mod replica_trace;
mod trace_line;

pub use log_rules::LogRules;
pub(crate) use log_rules::find_exit_line;

use crate::nemesis::{Nemesis, Requirement, find_nemesis};
use records::record::{CheckRecord, FaultRecord, FaultState, Finding, Validity};
use records::replica_log::ObservationRecord;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What is known of the replicas of a run.
pub(crate) struct Sources<'a> {
    /// The logs of the replicas.
    pub(crate) logs: &'a [LogFile],
    /// The protocol trace of each host whose system writes one: the file's name and its text.
    pub(crate) traces: &'a [(String, String)],
    /// The status that replicas reported.
    pub(crate) observations: &'a [ObservationRecord],
    /// All faults of the run.
    pub(crate) faults: &'a [FaultRecord],
    /// The names of seeded bugs, which no invariant may read.
    pub(crate) bugs: &'a [String],
    /// What may not stand in a log.
    pub(crate) log_rules: LogRules,
    /// Whether the system elects at most one leader in a term.
    pub(crate) one_leader_per_term: bool,
}

/// What a replica wrote to one file of its logs.
pub(crate) struct LogFile {
    /// The host of the replica.
    pub(crate) host: String,
    /// The name of the file.
    pub(crate) name: String,
    /// What it wrote.
    pub(crate) text: String,
}

impl LogFile {
    /// Reads all logs of a run, in order of name: `n1.log`, and `n1-NAME` of a file that the
    /// replica wrote itself.
    pub(crate) fn read_all(directory: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let read = |entry: std::fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let host = name.split(['.', '-']).next()?.to_owned();
            let text = String::from_utf8_lossy(&std::fs::read(entry.path()).ok()?).into_owned();
            Some(Self { host, name, text })
        };
        let mut files: Vec<Self> = entries.filter_map(read).collect();
        files.sort_by(|one, other| one.name.cmp(&other.name));
        files
    }
}

/// Every invariant; `None` where a run has nothing to check it on.
const INVARIANTS: &[fn(&Sources<'_>) -> Option<CheckRecord>] =
    &[raft_trace::check_traces, one_leader::check_reported_leaders, log_lines::check_logs];

/// Checks every invariant that this run has sources for.
pub(crate) fn check_invariants(sources: &Sources<'_>) -> Vec<CheckRecord> {
    INVARIANTS.iter().filter_map(|check| check(sources)).collect()
}

impl Sources<'_> {
    /// The hosts whose disk a fault disturbed: their replicas may stop, and say why.
    fn disturbed_hosts(&self) -> BTreeSet<&str> {
        self.hosts_hit_by(|nemesis| nemesis.requirements().contains(&Requirement::Disks))
    }

    /// The hosts of faults of some kind of nemesis that were applied.
    fn hosts_hit_by(&self, is_such: fn(&dyn Nemesis) -> bool) -> BTreeSet<&str> {
        let applied = self.faults.iter().filter(|fault| fault.state != FaultState::Skipped);
        let such = applied.filter(|fault| find_nemesis(&fault.kind).is_some_and(is_such));
        such.flat_map(|fault| &fault.hosts).map(String::as_str).collect()
    }

    /// The hosts whose replica may have lost what it had made durable.
    fn damaged_hosts(&self) -> BTreeSet<&str> {
        self.hosts_hit_by(|nemesis| nemesis.corrupts_data())
    }

    /// The hosts whose replica may have started again from nothing.
    fn emptied_hosts(&self) -> BTreeSet<&str> {
        self.hosts_hit_by(|nemesis| nemesis.empties_disk())
    }

    /// The first fault that corrupted what a replica had synced. Raft promises nothing after that.
    fn first_corruption(&self) -> Option<&FaultRecord> {
        let applied = self.faults.iter().filter(|fault| fault.state != FaultState::Skipped);
        applied
            .into_iter()
            .find(|fault| find_nemesis(&fault.kind).is_some_and(|nemesis| nemesis.corrupts_data()))
    }
}

/// A way in which an invariant was broken, and an example.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Breach {
    /// The invariant's name.
    invariant: &'static str,
    /// What was seen first.
    example: String,
}

/// Collects what was broken: one example of each invariant, and how often.
#[derive(Debug, Default)]
struct Breaches {
    found: Vec<(Breach, usize)>,
}

impl Breaches {
    fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    fn add_breach(&mut self, invariant: &'static str, example: String) {
        match self.found.iter_mut().find(|(breach, _)| breach.invariant == invariant) {
            Some((_, count)) => *count += 1,
            None => self.found.push((Breach { invariant, example }, 1)),
        }
    }

    /// The result of a check that found these; `holds` says what holds where there are none.
    fn into_record(self, name: &str, holds: String, excuse: Option<String>) -> CheckRecord {
        let first = self.found.first().map(|(breach, count)| {
            let Breach { invariant, example } = breach;
            let others = if *count > 1 { format!(" ({} more)", count - 1) } else { String::new() };
            format!("{name}: {invariant}: {example}{others}")
        });
        let (validity, sentence) = match (first, excuse) {
            (None, _) => (Validity::Valid, holds),
            (Some(first), None) => (Validity::Invalid, first),
            (Some(first), Some(excuse)) => (Validity::Unknown, format!("{first}; {excuse}")),
        };
        let findings = self.found.into_iter().map(|(breach, count)| Finding {
            name: breach.invariant.to_owned(),
            count,
            sentence: breach.example,
            steps: Vec::new(),
            arrows: Vec::new(),
            operations: Vec::new(),
        });
        CheckRecord {
            name: name.to_owned(),
            validity,
            sentence,
            witness: None,
            findings: findings.collect(),
            measured: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
