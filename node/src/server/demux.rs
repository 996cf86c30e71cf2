//! Demultiplexes what arrives from peers: a frame goes to its group, a change of a connection to
//! all groups.

use super::frame::Envelope;
use super::peer_event::PeerEvent;
use crate::raft::ServerId;
use std::sync::Arc;
use tokio::sync::mpsc;

/// The event queue of each group; clones share them.
#[derive(Clone, Debug)]
pub(super) struct Demux(Arc<[mpsc::Sender<PeerEvent>]>);

impl Demux {
    /// Takes the queues in group order.
    pub(super) fn new(groups: Vec<mpsc::Sender<PeerEvent>>) -> Self {
        Self(groups.into())
    }

    /// Delivers an envelope to its group; drops it if there is no such group. Returns whether the
    /// groups still run.
    pub(super) async fn deliver_envelope(&self, from: ServerId, envelope: Envelope) -> bool {
        let Envelope { group, frame } = envelope;
        match usize::try_from(group).ok().and_then(|group| self.0.get(group)) {
            Some(inlet) => inlet.send(PeerEvent::Frame { from, frame }).await.is_ok(),
            None => true,
        }
    }

    /// Reports that a connection was made, or why it broke. Returns whether the groups still run.
    pub(super) async fn report_link(&self, peer: ServerId, broken: Option<String>) -> bool {
        for inlet in self.0.iter() {
            if inlet.send(PeerEvent::Link { peer, broken: broken.clone() }).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Reports that a peer rejects this replica. Returns whether the groups still run.
    pub(super) async fn report_rejection(&self, why: String) -> bool {
        match self.0.first() {
            Some(inlet) => inlet.send(PeerEvent::Rejected(why)).await.is_ok(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::frame::Frame;
    use super::*;
    use crate::raft::{Content, Message};

    #[tokio::test]
    async fn a_frame_goes_to_its_group_and_a_link_event_to_all() {
        let (senders, mut demux): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel(9)).unzip();
        let all = Demux::new(senders);
        let message = Message { term: 1, content: Content::StaleTerm };
        for group in [1, 7] {
            let frame = Frame::Raft(message.clone());
            assert!(all.deliver_envelope(2, Envelope { group, frame }).await);
        }
        assert_eq!([0, 1].map(|at: usize| demux[at].len()), [0, 1]);
        assert!(all.report_link(2, None).await);
        assert_eq!([0, 1].map(|at: usize| demux[at].len()), [1, 2]);
        demux.pop();
        assert!(!all.report_link(2, None).await && all.report_rejection("why".to_owned()).await);
    }
}
