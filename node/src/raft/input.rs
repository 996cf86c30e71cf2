//! Defines the inputs of a server: nothing else changes its state.

use super::membership::MembershipChange;
use super::message::Message;
use super::types::{Position, ServerId, Token};
use alloc::vec::Vec;

/// An event that a server reacts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// One tick of the runtime's monotonic clock; timeouts in `Config` count these.
    Tick,
    /// A message arrived from a peer.
    Receive {
        /// The sender.
        from: ServerId,
        /// The message.
        message: Message,
    },
    /// A client proposes a command.
    Propose {
        /// Identifies the client's request.
        token: Token,
        /// The command.
        command: Vec<u8>,
    },
    /// A client asks for a change of membership.
    ChangeMembership {
        /// Identifies the client's request.
        token: Token,
        /// The members to add and to remove.
        change: MembershipChange,
    },
    /// A client asks for another leader. There is no answer: the new leader shows the outcome.
    TransferLeadership {
        /// The server that should lead.
        to: ServerId,
    },
    /// A client asks any server for a linearizable read.
    Read {
        /// Identifies the client's request.
        token: Token,
    },
    /// A client asks for a linearizable read that a lease may serve. The runtime must have
    /// reported missed ticks just before, as the lease depends on real time.
    LeaseRead {
        /// Identifies the client's request.
        token: Token,
    },
    /// Time passed without ticks because the process was paused or starved.
    MissedTicks {
        /// The missed time in ticks.
        ticks: u64,
    },
    /// Every `Persist` up to this sequence number is durable.
    Persisted {
        /// The greatest durable sequence number.
        sequence: u64,
    },
    /// The snapshot that `Effect::TakeSnapshot` asked for.
    SnapshotTaken {
        /// The last entry that it contains.
        last: Position,
        /// The state machine, as bytes.
        data: Vec<u8>,
    },
    /// The runtime wants to delete everything written so far: write the current state again.
    RewriteLog,
    /// Deliver more committed entries, and do nothing else.
    Continue,
}
