//! Checks what replicas must never do, from what they write and report themselves.
//!
//! The sources are the replicas' logs, their protocol traces and their status. None of them decides
//! consistency: each invariant is a check with a name of its own beside the checks of the history.
//! One invariant = one file + one line in [`INVARIANTS`].

mod breaches;
mod log_lines;
mod log_rules;
mod one_leader;
mod raft_trace;
mod replica_trace;
mod sources;
mod trace_line;

pub use log_rules::LogRules;
pub(crate) use log_rules::find_exit_line;
pub(crate) use sources::{ReplicaFile, Sources};

use records::record::CheckRecord;

/// Every invariant; `None` where a run has nothing to check it on.
const INVARIANTS: &[fn(&Sources<'_>) -> Option<CheckRecord>] =
    &[raft_trace::check_traces, one_leader::check_reported_leaders, log_lines::check_logs];

/// Checks every invariant that this run has sources for.
pub(crate) fn check_invariants(sources: &Sources<'_>) -> Vec<CheckRecord> {
    INVARIANTS.iter().filter_map(|check| check(sources)).collect()
}

#[cfg(test)]
mod tests;
