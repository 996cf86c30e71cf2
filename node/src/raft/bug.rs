//! Names the bugs that can be switched on, so that the harness can be tested against them.
//!
//! Each bug is a condition at the line that it breaks. Three are more than one: `commit-old-term`
//! (the commit rule, the check before reads, and the missing no-op), `stale-reads` (the quorum of
//! a read, and the step-down without one) and `no-fsync` (the core does not wait, and the storage
//! does not sync). While any bug is on, a follower accepts entries that contradict committed ones,
//! so that the damage becomes visible. No bug is on unless `Config` names it.

use serde::{Deserialize, Serialize};

/// A bug that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Bug {
    /// A leader serves reads from its own state without a quorum, and never steps down.
    StaleReads,
    /// A follower serves its own state as if it were linearizable.
    FollowerReads,
    /// A leader acknowledges a write once it is in its own log.
    EarlyAck,
    /// Votes and pre-votes are granted without comparing logs.
    VoteWithoutLogCheck,
    /// A restarted server forgets its vote of the current term.
    ForgetVote,
    /// A server that installs a leader's snapshot keeps the entries after it, even another
    /// leader's.
    KeepTail,
    /// Entries of older terms are committed by counting replicas, and a new leader appends no
    /// no-op (paper, figure 8).
    CommitOldTerm,
    /// A leader also sends its heartbeats as datagrams, which arrive over links that are cut in
    /// the other direction, and does not step down without a quorum. The server sends them.
    LoneHeartbeats,
    /// A leader without a quorum does not step down.
    NoCheckQuorum,
    /// Votes and acknowledgements are sent before they are durable.
    NoFsync,
    /// New voters replace the old ones at once, without a joint configuration.
    SwapVoters,
}

impl Bug {
    /// Returns its kebab-case name on the command line.
    pub fn name(self) -> &'static str {
        BUGS.iter().find(|(bug, ..)| *bug == self).map_or("", |(_, name, _)| name)
    }

    /// Returns the bug with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        BUGS.iter().find(|(_, known, _)| *known == name).map(|(bug, ..)| *bug)
    }
}

/// Every bug, its name and its description.
pub const BUGS: &[(Bug, &str, &str)] = &[
    (
        Bug::CommitOldTerm,
        "commit-old-term",
        "entries of older terms are committed by counting replicas; a new leader appends no no-op",
    ),
    (
        Bug::EarlyAck,
        "early-ack",
        "a leader acknowledges a write once it is in its own log, before it is committed",
    ),
    (
        Bug::FollowerReads,
        "follower-reads",
        "a follower serves its own state as if it were linearizable",
    ),
    (Bug::ForgetVote, "forget-vote", "a restarted replica forgets its vote of the current term"),
    (
        Bug::KeepTail,
        "keep-tail",
        "a replica that installs a snapshot keeps the entries after it, even another leader's",
    ),
    (
        Bug::LoneHeartbeats,
        "lone-heartbeats",
        "heartbeats also arrive as datagrams over one-way links; a leader needs no quorum to stay",
    ),
    (
        Bug::NoCheckQuorum,
        "no-check-quorum",
        "a leader without a quorum does not step down, and followers that hear it elect no other",
    ),
    (Bug::NoFsync, "no-fsync", "votes and writes are acknowledged before they are durable"),
    (
        Bug::StaleReads,
        "stale-reads",
        "a leader serves reads without a quorum, and never steps down",
    ),
    (
        Bug::SwapVoters,
        "swap-voters",
        "new voters replace the old ones at once, without a joint configuration",
    ),
    (
        Bug::VoteWithoutLogCheck,
        "vote-without-log-check",
        "votes and pre-votes are granted without comparing logs",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_kebab_case_and_unique() {
        assert!(BUGS.is_sorted_by(|a, b| a.1 < b.1));
        for (bug, name, description) in BUGS {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
            assert!(!description.is_empty());
            assert_eq!((bug.name(), Bug::from_name(name)), (*name, Some(*bug)));
        }
        assert_eq!(Bug::from_name("none"), None);
    }
}
