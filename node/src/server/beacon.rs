//! Says by datagram, too, what a leader's heartbeats say, where the bug `lone-heartbeats` is on; nothing else does.
//!
//! A datagram needs no answer, so it arrives over a link that is cut in the other direction, where a connection gives
//! up. Whoever hears one takes it for what it is: the word of a leader.

use super::inlets::Inlets;
use super::members::Members;
use super::transport::{Frame, Letter};
use crate::raft::{Content, Message, ServerId};
use serde::{Deserialize, Serialize};
use std::net::UdpSocket;
use std::sync::Arc;

/// More than a heartbeat ever is.
const LARGEST: usize = 1 << 12;

/// Sends a replica's heartbeats; clones share its socket.
#[derive(Clone, Debug)]
pub(super) struct Beacon {
    cluster: Arc<str>,
    me: ServerId,
    socket: Arc<UdpSocket>,
}

/// What one datagram holds, as postcard.
#[derive(Serialize, Deserialize)]
struct Datagram<L> {
    cluster: String,
    from: ServerId,
    letter: L,
}

impl Beacon {
    /// Sends from that address, and hands on what arrives there from others of the same cluster.
    pub(super) fn light(address: &str, members: &Members, inlets: Inlets) -> Result<Self, String> {
        let cluster = members.cluster();
        let socket = UdpSocket::bind(address).and_then(|socket| {
            socket.set_nonblocking(true)?;
            let ears = tokio::net::UdpSocket::from_std(socket.try_clone()?)?;
            tokio::spawn(listen(ears, cluster.to_owned(), inlets));
            Ok(socket)
        });
        let socket =
            socket.map_err(|error| format!("cannot send datagrams at {address}: {error}"))?;
        Ok(Self { cluster: cluster.into(), me: members.me(), socket: Arc::new(socket) })
    }

    /// Sends a letter if it is a heartbeat. What is lost is lost.
    pub(super) fn send(&self, address: &str, letter: &Letter) {
        let Frame::Raft(Message { content: Content::AppendEntries(append), .. }) = &letter.frame
        else {
            return;
        };
        if append.entries.is_empty() {
            let said = Datagram { cluster: self.cluster.to_string(), from: self.me, letter };
            let bytes = postcard::to_allocvec(&said).unwrap_or_default();
            let _ = self.socket.send_to(&bytes, address);
        }
    }
}

/// Hands on datagrams until nobody listens any more.
async fn listen(ears: tokio::net::UdpSocket, cluster: String, inlets: Inlets) {
    let mut bytes = [0; LARGEST];
    loop {
        // An error is the answer to something that was sent, and of no interest to who hears.
        let Ok(length) = ears.recv(&mut bytes).await else { continue };
        let heard = postcard::from_bytes::<Datagram<Letter>>(&bytes[..length]);
        let Ok(heard) = heard else { continue };
        if heard.cluster == cluster && !inlets.letter(heard.from, heard.letter).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::driver::Event;
    use super::*;
    use crate::raft::{AppendEntries, Entry, Payload, Position};
    use tokio::sync::mpsc;

    fn append(entries: Vec<Entry>) -> Letter {
        let content = Content::AppendEntries(AppendEntries {
            previous: Position::default(),
            entries,
            commit: 0,
            round: 0,
        });
        Letter { group: 0, frame: Frame::Raft(Message { term: 4, content }) }
    }

    /// The member of that name among those that founded a cluster.
    fn member(me: &str, names: [&str; 2]) -> Members {
        let peers = names.map(|name| (name.to_owned(), String::new())).into();
        Members::founding(me, &peers, 1)
    }

    #[tokio::test]
    async fn a_heartbeat_arrives_from_the_own_cluster_only_and_nothing_else_is_sent() {
        let (inlet, mut heard) = mpsc::channel(9);
        let inlets = Inlets::new(vec![inlet]);
        let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = free.expect("a port").to_string();
        let light = |at: &str, members: &Members| {
            Beacon::light(at, members, inlets.clone()).expect("it is bound")
        };
        let _ears = light(&address, &member("n1", ["n1", "n2"]));
        let stranger = light("127.0.0.1:0", &member("n2", ["n2", "n3"]));
        let ours = light("127.0.0.1:0", &member("n2", ["n1", "n2"]));
        let entry = Entry { index: 1, term: 1, payload: Payload::Noop };
        stranger.send(&address, &append(Vec::new()));
        ours.send(&address, &append(vec![entry]));
        ours.send(&address, &append(Vec::new()));
        let Some(Event::Frame { from, frame: Frame::Raft(message) }) = heard.recv().await else {
            panic!("something else was heard")
        };
        let is_heartbeat =
            matches!(message.content, Content::AppendEntries(append) if append.entries.is_empty());
        assert!(from == 2 && message.term == 4 && is_heartbeat);
        assert!(heard.try_recv().is_err());
    }
}
