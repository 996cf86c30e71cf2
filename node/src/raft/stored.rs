//! Defines the durable state that a server starts from.

use super::entry::Entry;
use super::membership::Membership;
use super::types::{HardState, Position};
use alloc::{sync::Arc, vec::Vec};

/// The state machine after the entries up to `last`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last entry that the snapshot contains.
    pub last: Position,
    /// The configuration in force at that entry. Without it a server that restores the snapshot
    /// would count majorities of an older configuration.
    pub membership: Membership,
    /// The state machine, as bytes opaque to the core.
    pub data: Arc<[u8]>,
}

/// The durable state of a server when it starts.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The last durable term and vote.
    pub hard_state: HardState,
    /// The last durable snapshot.
    pub snapshot: Option<Snapshot>,
    /// The position up to which the log was compacted.
    pub start: Position,
    /// The durable log from just after `start`, without gaps.
    pub entries: Vec<Entry>,
}
