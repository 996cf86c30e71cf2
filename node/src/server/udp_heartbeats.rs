//! Sends heartbeats as datagrams too, for the bug `lone-heartbeats` only.
//!
//! A datagram needs no reply, so it arrives over a link that is cut in the other direction, where a
//! TCP connection breaks. The receiver treats it like any heartbeat.

use super::demux::Demux;
use super::frame::{Envelope, Frame};
use super::members::Members;
use crate::raft::{Content, Message, ServerId};
use serde::{Deserialize, Serialize};
use std::net::UdpSocket;
use std::sync::Arc;

/// The buffer size; a heartbeat is smaller.
const BUFFER_BYTES: usize = 1 << 12;

/// Sends a replica's heartbeats as datagrams; clones share the socket.
#[derive(Clone, Debug)]
pub(super) struct UdpHeartbeats {
    cluster: Arc<str>,
    me: ServerId,
    socket: Arc<UdpSocket>,
}

/// The content of a datagram, encoded as postcard.
#[derive(Serialize, Deserialize)]
struct Datagram<L> {
    cluster: String,
    from: ServerId,
    envelope: L,
}

impl UdpHeartbeats {
    /// Binds the address, and delivers what other members send to it.
    pub(super) fn bind(address: &str, members: &Members, demux: Demux) -> Result<Self, String> {
        let cluster = members.cluster();
        let socket = UdpSocket::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            let receiver = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
            tokio::spawn(receive_datagrams(receiver, cluster.to_owned(), demux));
            Ok(socket)
        });
        let socket =
            socket.map_err(|error| format!("cannot send datagrams at {address}: {error}"))?;
        Ok(Self { cluster: cluster.into(), me: members.me(), socket: Arc::new(socket) })
    }

    /// Sends an envelope if it is a heartbeat, without retransmission.
    pub(super) fn send_heartbeat(&self, address: &str, envelope: &Envelope) {
        let Frame::Raft(Message { content: Content::AppendEntries(append), .. }) = &envelope.frame
        else {
            return;
        };
        if append.entries.is_empty() {
            let datagram = Datagram { cluster: self.cluster.to_string(), from: self.me, envelope };
            let bytes = postcard::to_allocvec(&datagram).unwrap_or_default();
            let _ = self.socket.send_to(&bytes, address);
        }
    }
}

/// Delivers datagrams until the groups have stopped.
async fn receive_datagrams(receiver: tokio::net::UdpSocket, cluster: String, demux: Demux) {
    let mut bytes = [0; BUFFER_BYTES];
    loop {
        // An error reports an earlier send that failed; the next datagram may still arrive.
        let Ok(length) = receiver.recv(&mut bytes).await else { continue };
        let datagram = postcard::from_bytes::<Datagram<Envelope>>(&bytes[..length]);
        let Ok(datagram) = datagram else { continue };
        if datagram.cluster == cluster
            && !demux.deliver_envelope(datagram.from, datagram.envelope).await
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::peer_event::PeerEvent;
    use super::*;
    use crate::raft::{AppendEntries, Entry, Payload, Position};
    use tokio::sync::mpsc;

    fn append_envelope(entries: Vec<Entry>) -> Envelope {
        let content = Content::AppendEntries(AppendEntries {
            previous: Position::default(),
            entries,
            commit: 0,
            round: 0,
        });
        Envelope { group: 0, frame: Frame::Raft(Message { term: 4, content }) }
    }

    /// Returns a founding member.
    fn founding_members(me: &str, names: [&str; 2]) -> Members {
        let peers = names.map(|name| (name.to_owned(), String::new())).into();
        Members::from_founders(me, &peers, 1)
    }

    #[tokio::test]
    async fn only_heartbeats_of_the_same_cluster_arrive() {
        let (inlet, mut events) = mpsc::channel(9);
        let demux = Demux::new(vec![inlet]);
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = free.expect("a port").to_string();
        let bind = |at: &str, members: &Members| {
            UdpHeartbeats::bind(at, members, demux.clone()).expect("it is bound")
        };
        let _receiver = bind(&address, &founding_members("n1", ["n1", "n2"]));
        let stranger = bind("127.0.0.1:0", &founding_members("n2", ["n2", "n3"]));
        let ours = bind("127.0.0.1:0", &founding_members("n2", ["n1", "n2"]));
        let entry = Entry { index: 1, term: 1, payload: Payload::Noop };
        stranger.send_heartbeat(&address, &append_envelope(Vec::new()));
        ours.send_heartbeat(&address, &append_envelope(vec![entry]));
        ours.send_heartbeat(&address, &append_envelope(Vec::new()));
        let Some(PeerEvent::Frame { from, frame: Frame::Raft(message) }) = events.recv().await
        else {
            panic!("unexpected event")
        };
        let is_heartbeat =
            matches!(message.content, Content::AppendEntries(append) if append.entries.is_empty());
        assert!(from == 2 && message.term == 4 && is_heartbeat);
        assert!(events.try_recv().is_err());
    }
}
