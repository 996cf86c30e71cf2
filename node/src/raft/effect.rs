//! Defines the effects of a step, in the order in which the runtime must carry them out.

use super::entry::Entry;
use super::membership::{ChangeError, Membership};
use super::message::Message;
use super::stored::Snapshot;
use super::types::{HardState, Index, Position, ServerId, Status, Token};
use alloc::vec::Vec;

/// One write to stable storage. Its entries replace everything in the log from the index of the
/// first entry on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Grows by one with each `Persist`, from 1.
    pub sequence: u64,
    /// The new term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// The entries to append, after truncating the log to just before the first of them.
    pub entries: Vec<Entry>,
    /// A snapshot that replaces the previous one; it must be durable before the rest is written.
    pub snapshot: Option<Snapshot>,
    /// The new start of the log. `entries` are then the whole log after it, and everything
    /// written before may be deleted.
    pub start: Option<Position>,
}

/// Something that the runtime must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make this durable.
    Persist(Persist),
    /// Send a message once the `Persist` with sequence number `after` is durable (0: at once).
    Send {
        /// The receiver.
        to: ServerId,
        /// The message.
        message: Message,
        /// The sequence number of the `Persist` that it waits for.
        after: u64,
    },
    /// Apply these committed entries. The [`Effect::Acknowledge`]s of their proposals follow in
    /// the same step.
    Commit {
        /// In index order, without a gap since the last `Commit`.
        entries: Vec<Entry>,
    },
    /// Another configuration is in force: connect to all of its members.
    MembershipChanged {
        /// The configuration; it need not be committed.
        membership: Membership,
    },
    /// Take a snapshot of the state machine as it is now.
    TakeSnapshot {
        /// The last entry that was delivered.
        last: Position,
    },
    /// Replace the state machine by this snapshot.
    Restore {
        /// The snapshot.
        snapshot: Snapshot,
    },
    /// The proposal is committed: answer with the result of applying entry `index`.
    Acknowledge {
        /// The proposal.
        token: Token,
        /// The index of its entry.
        index: Index,
    },
    /// The proposal was never appended here: a definite failure.
    Refused {
        /// The proposal.
        token: Token,
        /// The leader, if known; this server itself if too many bytes wait to be committed.
        leader: Option<ServerId>,
    },
    /// The change of membership did not begin.
    ChangeRejected {
        /// The request.
        token: Token,
        /// The reason.
        error: ChangeError,
    },
    /// The proposal was appended here, and this server cannot tell any more whether it will be
    /// committed: an indefinite failure.
    OutcomeUnknown {
        /// The proposal.
        token: Token,
    },
    /// Serve the read once everything up to `index` is applied.
    ReadReady {
        /// The read.
        token: Token,
        /// The read index.
        index: Index,
    },
    /// The read failed: no leader is known, or the leader changed.
    ReadFailed {
        /// The read.
        token: Token,
    },
    /// The read failed: no majority confirmed it within an election timeout.
    ReadExpired {
        /// The read.
        token: Token,
    },
    /// Stop the server: the leader's log contradicts a committed entry, so some server lost
    /// entries that it had acknowledged. Going on would spread the loss.
    Fatal {
        /// The committed entry.
        committed: Position,
        /// The leader's entry at the same index.
        new: Position,
    },
    /// A peer lost entries that it had acknowledged. The leader sends them again. For logs only:
    /// the peer may have lost votes too, so its membership is unsafe.
    PeerLostEntries {
        /// The peer.
        peer: ServerId,
        /// The last entry that it had acknowledged.
        acknowledged: Index,
        /// An entry up to there that it lacks.
        rejected: Index,
    },
    /// Role, term or known leader changed. For logs and traces only.
    StatusChanged(Status),
}
