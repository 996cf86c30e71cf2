//! Defines the messages between servers: the sender's term and one [`Content`].
//!
//! Every message may arrive late, twice or out of order. A request of an older term is answered
//! with the newer term; a reply of an older term is dropped. Within a term, replies only raise
//! what the receiver has recorded.

use super::entry::Entry;
use super::membership::Membership;
use super::types::{Index, Position, Term};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The sender's current term; a pre-vote carries it too, not the term it would campaign in.
    pub term: Term,
    /// The request or reply.
    pub content: Content,
}

/// A request or reply. The encoding is positional: new variants go at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Asks for a vote (paper §5.2).
    RequestVote {
        /// Asks only whether the vote would be granted in the next term (thesis §9.6).
        pre: bool,
        /// The last entry of the candidate's log.
        last: Position,
        /// The leader itself asked for this election: voters ignore its lease (thesis §3.10).
        transfer: bool,
    },
    /// Answers `RequestVote`.
    VoteReply {
        /// Whether it answers a pre-vote.
        pre: bool,
        /// Whether the vote is granted.
        granted: bool,
    },
    /// Replicates entries, or is a heartbeat (paper §5.3).
    AppendEntries(AppendEntries),
    /// Answers `AppendEntries`: the logs match up to `index`, durably.
    AppendAccepted {
        /// The last entry that the answered message covered.
        index: Index,
        /// The read round of the answered message.
        round: u64,
    },
    /// Answers `AppendEntries`: the follower's log does not contain `previous` (paper §5.3).
    AppendRejected {
        /// The index of the missing `previous`.
        rejected: Index,
        /// The last position of the follower's log that could match the leader's.
        hint: Position,
        /// The read round of the answered message.
        round: u64,
    },
    /// Sends one chunk of the leader's snapshot to a peer that needs compacted entries (paper §7).
    InstallSnapshot(InstallSnapshot),
    /// Answers `InstallSnapshot` with the bytes received so far. The complete snapshot is answered
    /// by `AppendAccepted`, once it is durable.
    SnapshotReceived {
        /// The last entry of the snapshot.
        last: Position,
        /// The number of bytes received, from the beginning.
        received: u64,
        /// The read round of the answered message.
        round: u64,
    },
    /// The leader asks the receiver, whose log is complete, to campaign at once (thesis §3.10).
    TimeoutNow,
    /// Answers a request of an older term; the message's term is the newer one.
    StaleTerm,
    /// A follower asks for the read index of a linearizable read (thesis §6.4).
    ReadIndex {
        /// The follower's number of the request.
        request: u64,
    },
    /// Answers `ReadIndex`.
    ReadIndexReply {
        /// The number of the request.
        request: u64,
        /// The read index; `None`: the receiver is not the leader.
        index: Option<Index>,
    },
}

/// The AppendEntries request; without entries it is a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendEntries {
    /// The position just before the entries, which the follower's log must contain.
    pub previous: Position,
    /// The entries that follow it in the leader's log.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub commit: Index,
    /// The leader's current read round (thesis §6.4).
    pub round: u64,
}

impl AppendEntries {
    /// Returns the index of the last entry that the message covers; `None` if its entries do not
    /// follow one another.
    pub(super) fn last_index(&self) -> Option<Index> {
        let mut last = self.previous.index;
        for entry in &self.entries {
            last = last.checked_add(1)?;
            if entry.index != last {
                return None;
            }
        }
        Some(last)
    }
}

/// The InstallSnapshot request: one chunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstallSnapshot {
    /// The last entry that the snapshot contains.
    pub last: Position,
    /// The configuration in force at that entry.
    pub membership: Membership,
    /// The size of the whole snapshot in bytes.
    pub size: u64,
    /// The offset of the chunk.
    pub offset: u64,
    /// The chunk.
    pub data: Vec<u8>,
    /// The leader's current read round.
    pub round: u64,
}
