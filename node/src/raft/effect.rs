//! Lists what a server wants done, in the order in which the body has to do it.

use super::{ChangeError, Entry, HardState, Index, Membership, Message, Position};
use super::{ServerId, Snapshot, Status, Token};
use alloc::vec::Vec;

/// One write to stable storage. Entries replace everything in the log from the first one's index
/// on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Grows by one with each `Persist`, from 1.
    pub sequence: u64,
    /// The new term and vote, when they changed.
    pub hard_state: Option<HardState>,
    /// Entries to append, after cutting the log back to just before the first of them.
    pub entries: Vec<Entry>,
    /// A snapshot that takes the last one's place, before the rest of this is written.
    pub snapshot: Option<Snapshot>,
    /// Where the log begins from now on: `entries` are then all that it has after this place, and
    /// everything that was written before may go.
    pub start: Option<Position>,
}

/// What a server wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make this durable.
    Persist(Persist),
    /// Send a message, once `Persist` number `after` is durable (0: at once).
    Send {
        /// To whom.
        to: ServerId,
        /// What.
        message: Message,
        /// The `Persist` it waits for.
        after: u64,
    },
    /// These entries are committed: apply them, in order. The [`Effect::Acknowledge`]s of proposals
    /// among them follow in the same step.
    Commit {
        /// In order of index, without gaps since the last `Commit`.
        entries: Vec<Entry>,
    },
    /// Another configuration is in force: whoever is in it must be reachable from now on.
    MembershipChanged {
        /// Who takes part; it need not be committed.
        membership: Membership,
    },
    /// Take a snapshot of the store as it is now.
    TakeSnapshot {
        /// The last entry that was handed over.
        last: Position,
    },
    /// Put this store in the place of the one that there is.
    Restore {
        /// The store, and how far it has come.
        snapshot: Snapshot,
    },
    /// The client may be told what applying entry `index` returned.
    Acknowledge {
        /// The proposal.
        token: Token,
        /// Where it stands in the log.
        index: Index,
    },
    /// The proposal was never appended here: definitely not done.
    Refused {
        /// The proposal.
        token: Token,
        /// The leader, where one is known; this server itself, if too much waits to be committed.
        leader: Option<ServerId>,
    },
    /// The change of members was not begun, and this is why.
    ChangeRejected {
        /// The wish.
        token: Token,
        /// Why not.
        error: ChangeError,
    },
    /// The proposal was appended here and its fate is now out of this server's hands: unknown.
    OutcomeUnknown {
        /// The proposal.
        token: Token,
    },
    /// The read may be served when everything up to `index` is applied.
    ReadReady {
        /// The read.
        token: Token,
        /// The read index.
        index: Index,
    },
    /// The read cannot be served now: there is no leader who could, or not the same any more.
    ReadFailed {
        /// The read.
        token: Token,
    },
    /// The read cannot be served now: nobody's word came for an election timeout.
    ReadExpired {
        /// The read.
        token: Token,
    },
    /// The leader's log contradicts what is committed here, so some server has lost what it promised
    /// to keep; going on would spread the loss.
    Fatal {
        /// The committed entry.
        committed: Position,
        /// What the leader has in its place.
        new: Position,
    },
    /// A peer has lost entries that it had acknowledged, up to one of these at least (for logs: its
    /// place in the cluster is not safe any more, and the leader sends it everything again).
    PeerLostEntries {
        /// The peer.
        peer: ServerId,
        /// The last entry that it had acknowledged.
        acknowledged: Index,
        /// The entry that it turned out to lack.
        rejected: Index,
    },
    /// Role, term or known leader changed (for logs and traces; nothing depends on it).
    StatusChanged(Status),
}
