//! Lists what can happen to a server: nothing else changes what it is.

use super::{MembershipChange, Message, Position, ServerId, Token};
use alloc::vec::Vec;

/// What can happen to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// One tick of the body's monotonic clock; [`Config`] counts its timeouts in ticks.
    Tick,
    /// A message came from a peer.
    Receive {
        /// Who sent it.
        from: ServerId,
        /// What it says.
        message: Message,
    },
    /// A client wants a command in the log.
    Propose {
        /// Names the client's request.
        token: Token,
        /// The command.
        command: Vec<u8>,
    },
    /// A client wants other members.
    ChangeMembership {
        /// Names the client's request.
        token: Token,
        /// What is to be different.
        change: MembershipChange,
    },
    /// A client wants another server to lead; whoever leads then shows that.
    TransferLeadership {
        /// Who should lead.
        to: ServerId,
    },
    /// A client wants a linearizable read, at whatever server it asked.
    Read {
        /// Names the client's request.
        token: Token,
    },
    /// A client wants a linearizable read, and the body has just said how much time has passed: a
    /// leader that holds a lease serves it at once.
    LeaseRead {
        /// Names the client's request.
        token: Token,
    },
    /// So many ticks' time passed without a tick: the body was not awake.
    MissedTicks {
        /// How many.
        ticks: u64,
    },
    /// Every [`Persist`] up to this sequence number is durable.
    Persisted {
        /// The greatest durable sequence number.
        sequence: u64,
    },
    /// What the store contained when [`Effect::TakeSnapshot`] asked for it.
    SnapshotTaken {
        /// The last entry that it contains.
        last: Position,
        /// The store, as bytes.
        data: Vec<u8>,
    },
    /// The body wants to do without what was written so far.
    RewriteLog,
    /// Nothing happened, and the body has time for more committed entries.
    Continue,
}
