//! Defines the state that a server keeps only while it has a role.

use super::lease::Lease;
use super::progress::Progress;
use super::read_rounds::ReadRounds;
use super::types::{Index, ServerId, Token};
use alloc::collections::{BTreeMap, BTreeSet};

/// The role, and the state that belongs to it.
#[derive(Debug)]
pub(super) enum RoleState {
    /// No further state.
    Follower,
    /// The servers that granted a pre-vote.
    PreCandidate(BTreeSet<ServerId>),
    /// The servers that granted a vote.
    Candidate(BTreeSet<ServerId>),
    /// What the leader tracks.
    Leader(LeaderState),
}

/// The state of a leader.
#[derive(Debug)]
pub(super) struct LeaderState {
    /// The progress of every other member, and of removed members until the change that removed
    /// them is committed.
    pub(super) peers: BTreeMap<ServerId, Progress>,
    /// The proposals whose entries are not committed yet.
    pub(super) proposals: BTreeMap<Index, Token>,
    /// The linearizable reads that wait for a quorum.
    pub(super) reads: ReadRounds,
    /// The lease that serves reads without a quorum.
    pub(super) lease: Lease,
    /// Ticks since the last heartbeat.
    pub(super) heartbeat_elapsed: u32,
    /// The bytes of the entries that are not committed yet.
    pub(super) uncommitted_bytes: usize,
    /// The membership change whose last entry is not appended yet.
    pub(super) pending_change: Option<Token>,
    /// The leadership transfer in progress.
    pub(super) transfer: Option<TransferState>,
}

/// A leadership transfer in progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransferState {
    /// The server that should lead.
    pub(super) to: ServerId,
    /// Ticks since the transfer began.
    pub(super) ticks: u32,
    /// Whether TimeoutNow was sent.
    pub(super) sent: bool,
}
