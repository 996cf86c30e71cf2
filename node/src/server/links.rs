//! Keeps one connection to every other member, shared by all groups, and follows the membership.

use super::demux::Demux;
use super::frame::{Envelope, Frame};
use super::transport::Link;
use super::udp_heartbeats::UdpHeartbeats;
use crate::raft::ServerId;
use crate::wal::GroupId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

/// The outgoing connections of a replica, as used by one group; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Links {
    open: Arc<Mutex<BTreeMap<ServerId, OpenLink>>>,
    /// The first bytes of each connection.
    hello: Arc<Vec<u8>>,
    demux: Demux,
    group: GroupId,
    heartbeats: Option<UdpHeartbeats>,
}

#[derive(Debug)]
struct OpenLink {
    link: Arc<Link>,
    task: AbortHandle,
}

impl Links {
    /// Creates the set without connections, for the first group.
    pub(super) fn new(hello: Vec<u8>, demux: Demux) -> Self {
        Self { open: Arc::default(), hello: Arc::new(hello), demux, group: 0, heartbeats: None }
    }

    /// Adds heartbeats as datagrams.
    pub(super) fn with_udp_heartbeats(self, heartbeats: Option<UdpHeartbeats>) -> Self {
        Self { heartbeats, ..self }
    }

    /// Returns the same connections for another group.
    pub(super) fn of_group(&self, group: GroupId) -> Self {
        Self { group, ..self.clone() }
    }

    fn lock_open(&self) -> MutexGuard<'_, BTreeMap<ServerId, OpenLink>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Connects to a peer, unless it is connected already.
    pub(super) fn open(&self, peer: ServerId, address: &str) {
        self.lock_open().entry(peer).or_insert_with(|| {
            let link = Arc::new(Link::new(peer, address.to_owned()));
            let run = link.clone().keep_connected(self.hello.clone(), self.demux.clone());
            OpenLink { link, task: tokio::spawn(run).abort_handle() }
        });
    }

    /// Closes the connection to a peer.
    pub(super) fn close(&self, peer: ServerId) {
        if let Some(open) = self.lock_open().remove(&peer) {
            open.task.abort();
        }
    }

    /// Queues a frame; returns false if it will certainly not be sent.
    pub(super) fn send(&self, to: ServerId, frame: Frame) -> bool {
        let envelope = Envelope { group: self.group, frame };
        self.lock_open().get(&to).is_some_and(|open| {
            self.heartbeats
                .iter()
                .for_each(|heartbeats| heartbeats.send_heartbeat(open.link.address(), &envelope));
            open.link.send_envelope(envelope)
        })
    }

    /// Returns the peers.
    pub(super) fn peers(&self) -> Vec<ServerId> {
        self.lock_open().keys().copied().collect()
    }

    /// Returns each peer, its address and whether it is connected.
    pub(super) fn connections(&self) -> Vec<(ServerId, String, bool)> {
        let connection = |(id, open): (&ServerId, &OpenLink)| {
            (*id, open.link.address().to_owned(), open.link.is_connected())
        };
        self.lock_open().iter().map(connection).collect()
    }
}
