//! Keeps one connection to every other member, and opens and closes them as members come and go.

use super::driver::Event;
use super::transport::{Frame, Link};
use crate::raft::ServerId;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

/// The outgoing connections of a replica; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Links {
    open: Arc<Mutex<BTreeMap<ServerId, Open>>>,
    /// What opens each of them.
    hello: Arc<Vec<u8>>,
    events: mpsc::Sender<Event>,
}

#[derive(Debug)]
struct Open {
    link: Arc<Link>,
    task: AbortHandle,
}

impl Links {
    /// No connections yet.
    pub(super) fn new(hello: Vec<u8>, events: mpsc::Sender<Event>) -> Self {
        Self { open: Arc::default(), hello: Arc::new(hello), events }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ServerId, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dials a peer from now on, unless it is dialled already.
    pub(super) fn open(&self, peer: ServerId, address: &str) {
        self.lock().entry(peer).or_insert_with(|| {
            let link = Arc::new(Link::new(peer, address.to_owned()));
            let run = link.clone().run(self.hello.clone(), self.events.clone());
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
        self.lock().get(&to).is_some_and(|open| open.link.send(frame))
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
