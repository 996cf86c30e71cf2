//! Defines the frames between replicas.

use super::incarnation::Incarnation;
use crate::raft::{Message, ServerId};
use crate::runtime::{Proposal, ProposalResult};
use crate::wal::GroupId;
use serde::{Deserialize, Serialize};

/// A frame and its group. On the wire: its length (`u32`, little-endian), then its postcard.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Envelope {
    /// The group of the sender and of the receiver.
    pub(super) group: GroupId,
    pub(super) frame: Frame,
}

/// A frame. The encoding is positional: new variants go at the end.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Frame {
    /// The first frame of a connection.
    Hello { cluster: String, from: ServerId, incarnation: Incarnation, secret: Vec<u8> },
    /// A Raft message.
    Raft(Message),
    /// A client's request, for the leader; it is proposed once or not at all.
    Forward { request: u64, timeout_ms: u64, proposal: Proposal },
    /// The result of a forwarded request.
    Forwarded { request: u64, result: ProposalResult },
}
