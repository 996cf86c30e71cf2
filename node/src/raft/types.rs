//! Defines the identifiers, positions and states that every part of the core shares.

use serde::{Deserialize, Serialize};

/// A server's id: founders get their position in the sorted list of names, from 1; later members
/// get the numbers after those.
pub type ServerId = u64;
/// An election term; 0 before the first election.
pub type Term = u64;
/// A position in the log; the first entry has index 1, 0 means "before the log".
pub type Index = u64;
/// The runtime's identifier of a client request; answers carry it.
pub type Token = u64;

/// The term and index of a log entry. The default is the position before the first entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The entry's term; the first field, so `Ord` compares logs as voters do (paper §5.4.1).
    pub term: Term,
    /// The entry's index.
    pub index: Index,
}

/// The state that must be durable before a server sends a reply based on it (paper, figure 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this server has seen.
    pub term: Term,
    /// The candidate that got this server's vote in that term.
    pub voted_for: Option<ServerId>,
}

/// A server's role in its current term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Collects pre-votes, which change no term (thesis §9.6).
    PreCandidate,
    /// Collects votes in its term.
    Candidate,
    /// Leads its term.
    Leader,
}

/// A server's own view of its state; never evidence about consistency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader of that term, if known.
    pub leader: Option<ServerId>,
    /// The index of the last entry of its log.
    pub last_index: Index,
    /// The index of the last entry that this server knows to be committed.
    pub commit_index: Index,
}
