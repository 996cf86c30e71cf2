//! Says what servers tell each other: a term, which is the sender's own and nothing else, and one
//! [`Content`].
//!
//! Every message is harmless when it comes late, twice or out of order: a request of an older term
//! is answered with the newer one, an answer of an older term is dropped, and within a term answers
//! only ever add knowledge.

use super::{Entry, Index, Membership, Term};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// One message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The sender's term when it sent this.
    pub term: Term,
    /// What it says.
    pub content: Content,
}

/// A place in a log: the index of an entry and its term. The default is the place before the first
/// entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The entry's term; compared first, as voters compare logs (paper §5.4.1).
    pub term: Term,
    /// The entry's index.
    pub index: Index,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Asks for a vote (paper §5.2).
    RequestVote {
        /// Only asks whether the vote would be given in the next term (thesis §9.6).
        pre: bool,
        /// The end of the candidate's log.
        last: Position,
        /// The leader wishes it: whoever hears that leader votes all the same (thesis §3.10).
        transfer: bool,
    },
    /// Answers `RequestVote`.
    VoteReply {
        /// Whether it answers a pre-vote.
        pre: bool,
        /// Yes or no.
        granted: bool,
    },
    /// Replicates entries; without any it is a heartbeat (paper §5.3).
    AppendEntries {
        /// The place just before the entries, which the follower must have.
        previous: Position,
        /// What follows it in the leader's log.
        entries: Vec<Entry>,
        /// The leader's commit index.
        commit: Index,
        /// The leader's latest round of read confirmations (thesis §6.4).
        round: u64,
    },
    /// Answers `Append`: follower and leader agree up to `index`, durably.
    AppendAccepted {
        /// The last entry that the answered message spoke of.
        index: Index,
        /// The round of the answered message.
        round: u64,
    },
    /// Answers `Append`: the follower does not have `previous` (paper §5.3, end).
    AppendRejected {
        /// The index of the place that it does not have.
        rejected: Index,
        /// The last place of the follower's log that could still agree.
        hint: Position,
        /// The round of the answered message.
        round: u64,
    },
    /// Sends a piece of the leader's snapshot to a peer that lacks what the leader's log no longer
    /// has (paper §7).
    InstallSnapshot {
        /// The last entry that the snapshot stands for.
        last: Position,
        /// Who took part at that entry.
        membership: Membership,
        /// How many bytes the whole has.
        size: u64,
        /// Where the piece begins.
        offset: u64,
        /// The piece.
        data: Vec<u8>,
        /// The leader's latest round of read confirmations.
        round: u64,
    },
    /// Answers `Snapshot`: so much of it is there. The whole is answered by `AppendAccepted`, once it is
    /// durable.
    SnapshotReceived {
        /// The snapshot.
        last: Position,
        /// How many bytes are there, from its beginning.
        received: u64,
        /// The round of the answered message.
        round: u64,
    },
    /// The leader wishes that the receiver, who has everything, stand for election at once (thesis
    /// §3.10).
    TimeoutNow,
    /// Answers a request of an older term: that term is over.
    StaleTerm,
    /// A follower asks what a linearizable read must wait for (thesis §6.4).
    ReadIndex {
        /// The follower's own number for the question.
        request: u64,
    },
    /// Answers `ReadIndex`.
    ReadIndexReply {
        /// The number of the question.
        request: u64,
        /// The read index; `None`: whoever was asked cannot tell.
        index: Option<Index>,
    },
}
