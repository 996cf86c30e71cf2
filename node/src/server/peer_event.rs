//! Defines the events that peers and their connections cause.

use super::frame::Frame;
use crate::raft::ServerId;

/// An event at a connection to a peer.
#[derive(Debug)]
pub(super) enum PeerEvent {
    /// The peer sent a frame.
    Frame { from: ServerId, frame: Frame },
    /// The connection to the peer was made, or broke for this reason.
    Link { peer: ServerId, broken: Option<String> },
    /// The peer rejects this replica, because its incarnation is not the recorded one.
    Rejected(String),
}
