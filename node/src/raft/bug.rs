//! Names the bugs that can be switched on, so that whoever judges this store can be judged too.
//!
//! Each is an `if` at the line that would be wrong. Three are more than one: commit-old-term (who
//! counts, what such a leader knows, and its missing no-op), stale-reads (the quorum's word, and
//! stepping down without it) and no-fsync (the brain does not wait, and the storage does not sync).
//! While any bug is on, a leader that contradicts what is committed is followed, so that the harm
//! shows. None is on unless [`Config`] asks for it.

use super::Config;
use serde::{Deserialize, Serialize};

/// A bug that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Bug {
    /// A leader serves reads from what it has, without asking a quorum, and never steps down.
    StaleReads,
    /// A follower serves its own state as if it were linearizable.
    FollowerReads,
    /// A leader acknowledges a write when it is in its own log.
    EarlyAck,
    /// Votes (and pre-votes) are given without comparing logs.
    VoteWithoutLogCheck,
    /// A restart forgets the vote of the current term.
    ForgetVote,
    /// A server that takes over a leader's snapshot keeps what its own log had after it, whoever
    /// wrote that.
    KeepTail,
    /// Entries of older terms are committed by counting replicas, and a new leader appends no no-op
    /// (paper, figure 8).
    CommitOldTerm,
    /// A leader's heartbeats also go as datagrams, which arrive where no connection stands, and it
    /// goes on leading though nobody answers. The datagrams are the server's.
    LoneHeartbeats,
    /// A leader that no majority answers goes on leading.
    NoCheckQuorum,
    /// What must be durable is answered before it is.
    NoFsync,
    /// New voters take the place of the old at once, without a time in which both decide.
    SwapVoters,
}

impl Bug {
    /// Its name on the command line: kebab-case.
    pub fn name(self) -> &'static str {
        BUGS.iter().find(|(bug, ..)| *bug == self).map_or("", |(_, name, _)| name)
    }

    /// The bug of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        BUGS.iter().find(|(_, known, _)| *known == name).map(|(bug, ..)| *bug)
    }
}

impl Config {
    /// Whether a bug is switched on.
    pub(super) fn has(&self, bug: Bug) -> bool {
        self.unsafe_bugs.contains(&bug)
    }
}

/// Every bug, its name and one sentence.
pub const BUGS: &[(Bug, &str, &str)] = &[
    (
        Bug::CommitOldTerm,
        "commit-old-term",
        "older terms' entries are committed by counting, and a new leader appends no no-op",
    ),
    (
        Bug::EarlyAck,
        "early-ack",
        "a leader acknowledges a write when it is in its own log, before it is committed",
    ),
    (
        Bug::FollowerReads,
        "follower-reads",
        "a follower serves its own state as if it were linearizable",
    ),
    (Bug::ForgetVote, "forget-vote", "a restart forgets the vote of the current term"),
    (
        Bug::KeepTail,
        "keep-tail",
        "whoever takes over a snapshot keeps what its own log had after it, right or wrong",
    ),
    (
        Bug::LoneHeartbeats,
        "lone-heartbeats",
        "heartbeats arrive as datagrams where nothing else does, and a leader leads on without an answer",
    ),
    (
        Bug::NoCheckQuorum,
        "no-check-quorum",
        "a leader that no majority answers goes on leading, and whoever hears it elects no other",
    ),
    (Bug::NoFsync, "no-fsync", "what must be durable is answered before it is"),
    (
        Bug::StaleReads,
        "stale-reads",
        "a leader serves reads without asking a quorum, and never steps down",
    ),
    (
        Bug::SwapVoters,
        "swap-voters",
        "new voters take the place of the old at once, without a time in which both decide",
    ),
    (
        Bug::VoteWithoutLogCheck,
        "vote-without-log-check",
        "votes and pre-votes are given without comparing logs",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_kebab_case_and_lead_back() {
        assert!(BUGS.is_sorted_by(|a, b| a.1 < b.1));
        for (bug, name, sentence) in BUGS {
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !sentence.is_empty()
            );
            assert_eq!((bug.name(), Bug::from_name(name)), (*name, Some(*bug)));
        }
        assert_eq!(Bug::from_name("none"), None);
    }
}
