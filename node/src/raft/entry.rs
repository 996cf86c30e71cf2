//! Defines the entries of the replicated log.

use super::membership::Membership;
use super::types::{Index, Term};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The content of a log entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// The first entry of a new leader's term; committing it commits all entries of older terms
    /// (paper §8, thesis §6.4).
    Noop,
    /// A command for the state machine, opaque to the core.
    Command(Vec<u8>),
    /// A configuration, in force from the moment it is appended (thesis §4.1).
    Membership(Membership),
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The term of the leader that created it.
    pub term: Term,
    /// Its index in the log.
    pub index: Index,
    /// Its content.
    pub payload: Payload,
}
