//! Keeps one connection to every other member for all groups, and opens and closes them as members come and go.

use super::beacon::Beacon;
use super::inlets::Inlets;
use super::transport::{Frame, Letter, Link};
use crate::raft::ServerId;
use crate::wal::Group;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::task::AbortHandle;

/// The outgoing connections of a replica, as one of its groups uses them; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Links {
    open: Arc<Mutex<BTreeMap<ServerId, Open>>>,
    /// What opens each of them.
    hello: Arc<Vec<u8>>,
    inlets: Inlets,
    group: Group,
    beacon: Option<Beacon>,
}

#[derive(Debug)]
struct Open {
    link: Arc<Link>,
    task: AbortHandle,
}

impl Links {
    /// No connections yet, as the first group sees them.
    pub(super) fn new(hello: Vec<u8>, inlets: Inlets) -> Self {
        Self { open: Arc::default(), hello: Arc::new(hello), inlets, group: 0, beacon: None }
    }

    /// The same connections, beside which heartbeats go as datagrams.
    pub(super) fn with_beacon(self, beacon: Option<Beacon>) -> Self {
        Self { beacon, ..self }
    }

    /// The same connections for another group.
    pub(super) fn of_group(&self, group: Group) -> Self {
        Self { group, ..self.clone() }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServerId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials a peer from now on, unless it is dialled already.
    pub(super) fn open(&self, peer: ServerId, address: &str) {
        self.lock().entry(peer).or_insert_with(|| {
            let link = Arc::new(Link::new(peer, address.to_owned()));
            let run = link.clone().run(self.hello.clone(), self.inlets.clone());
            Open { link, task: tokio::spawn(run).abort_handle() }
        });
    }

    /// Dials a peer no longer.
    pub(super) fn close(&self, peer: ServerId) {
        if let Some(open) = self.lock().remove(&peer) {
            open.task.abort();
        }
    }

    /// Queues a frame; false: it certainly will not be sent.
    pub(super) fn send(&self, to: ServerId, frame: Frame) -> bool {
        let letter = Letter { group: self.group, frame };
        self.lock().get(&to).is_some_and(|open| {
            self.beacon.iter().for_each(|beacon| beacon.send(open.link.address(), &letter));
            open.link.send(letter)
        })
    }

    /// Who is dialled.
    pub(super) fn peers(&self) -> Vec<ServerId> {
        self.lock().keys().copied().collect()
    }

    /// Who is dialled where, and whether the connection stands.
    pub(super) fn seen(&self) -> Vec<(ServerId, String, bool)> {
        let seen = |(id, open): (&ServerId, &Open)| {
            (*id, open.link.address().to_owned(), open.link.connected())
        };
        self.lock().iter().map(seen).collect()
    }
}
