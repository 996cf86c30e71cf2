//! Carries frames between replicas. Each replica keeps a connection to every other one, and sends
//! each frame at most once.
//!
//! A [`Link`] is the outgoing half. It queues a bounded number of frames while it is connected, and
//! none while it is not. Frames queued when a connection breaks are lost, which Raft tolerates. A
//! peer that acknowledges no bytes for [`SILENCE`] is disconnected and dialled again. So a healed
//! partition is noticed at once, and not at TCP's next retransmission.

use super::demux::Demux;
use super::frame::{Envelope, Frame};
use super::incarnation::{self, Incarnation, Incarnations};
use super::log::Logger;
use super::members::Members;
use super::peer_auth::PeerSecret;
use crate::raft::ServerId;
use crate::runtime::ProposalResult;
use socket2::{SockRef, TcpKeepalive};
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// How long sent bytes may stay unacknowledged before the connection is given up.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(1);
const CONNECT_TIMEOUT: Duration = Duration::from_millis(250);
const MIN_RECONNECT_DELAY: Duration = Duration::from_millis(50);
const MAX_RECONNECT_DELAY: Duration = Duration::from_millis(200);
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_FRAME_BYTES: usize = 8 << 20;
/// The largest first frame, which a stranger may send.
const MAX_HELLO_BYTES: usize = 16 << 10;
const MAX_QUEUE_LENGTH: usize = 1024;
const MAX_REJECTION_BYTES: u64 = 1024;

/// The outgoing connection to one peer.
#[derive(Debug)]
pub(super) struct Link {
    peer: ServerId,
    address: String,
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    connected: bool,
    envelopes: VecDeque<Envelope>,
}

impl Link {
    pub(super) fn new(peer: ServerId, address: String) -> Self {
        Self { peer, address, queue: Mutex::default(), wake: Notify::new() }
    }

    /// Where the peer is dialled.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Whether the peer is connected.
    pub(super) fn is_connected(&self) -> bool {
        self.lock_queue().connected
    }

    /// Queues an envelope; false if it certainly will not be sent.
    pub(super) fn send_envelope(&self, envelope: Envelope) -> bool {
        let mut queue = self.lock_queue();
        let has_space = queue.connected
            && (queue.envelopes.len() < MAX_QUEUE_LENGTH || queue.drop_oldest_message());
        if has_space {
            queue.envelopes.push_back(envelope);
            self.wake.notify_one();
        }
        has_space
    }

    fn lock_queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reset_queue(&self, connected: bool) {
        *self.lock_queue() = Queue { connected, envelopes: VecDeque::new() };
    }

    /// Connects again and again, and sends what is queued while connected.
    pub(super) async fn keep_connected(self: Arc<Self>, hello: Arc<Vec<u8>>, demux: Demux) {
        let mut pause = MIN_RECONNECT_DELAY;
        loop {
            if let Ok(stream) = connect_to(&self.address).await {
                let began = Instant::now();
                self.reset_queue(true);
                let told = demux.report_link(self.peer, None).await;
                let end = self.send_until_closed(stream, &hello).await;
                self.reset_queue(false);
                let heard = match end {
                    CloseReason::Broken(error) => {
                        demux.report_link(self.peer, Some(error.to_string())).await
                    }
                    CloseReason::Rejected(why) => demux.report_rejection(why).await,
                };
                if !told || !heard {
                    return;
                }
                if began.elapsed() > KEEPALIVE_TIMEOUT {
                    pause = MIN_RECONNECT_DELAY;
                }
            }
            sleep(pause).await;
            pause = MAX_RECONNECT_DELAY.min(pause * 2);
        }
    }

    /// Sends until the connection ends. A peer writes only to reject this replica, so reading
    /// detects the end at once.
    async fn send_until_closed(&self, mut stream: TcpStream, hello: &[u8]) -> CloseReason {
        let (reader, writer) = stream.split();
        tokio::select! {
            biased;
            end = read_close_reason(reader) => end,
            Err(error) = self.write_queued(writer, hello) => CloseReason::Broken(error),
        }
    }

    async fn write_queued(&self, mut writer: WriteHalf<'_>, hello: &[u8]) -> io::Result<()> {
        writer.write_all(hello).await?;
        loop {
            self.wake.notified().await;
            let mut bytes = Vec::new();
            for envelope in std::mem::take(&mut self.lock_queue().envelopes) {
                encode_envelope(&envelope, &mut bytes)?;
            }
            writer.write_all(&bytes).await?;
        }
    }
}

impl Queue {
    /// Drops the oldest Raft message, if there is one, to free a slot.
    fn drop_oldest_message(&mut self) -> bool {
        let oldest = self.envelopes.iter().position(|it| matches!(it.frame, Frame::Raft(_)));
        oldest.and_then(|at| self.envelopes.remove(at)).is_some()
    }
}

async fn connect_to(address: &str) -> io::Result<TcpStream> {
    let stream = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await??;
    set_socket_options(&stream)?;
    Ok(stream)
}

fn set_socket_options(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_TIMEOUT).with_interval(KEEPALIVE_TIMEOUT);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(KEEPALIVE_TIMEOUT))?;
    stream.set_nodelay(true)
}

/// How a connection ended.
enum CloseReason {
    Broken(io::Error),
    /// The peer rejects this replica, with this reason.
    Rejected(String),
}

async fn read_close_reason(mut reader: ReadHalf<'_>) -> CloseReason {
    let mut said = Vec::new();
    match (&mut reader).take(MAX_REJECTION_BYTES).read_to_end(&mut said).await {
        Ok(_) if !said.is_empty() => {
            CloseReason::Rejected(String::from_utf8_lossy(&said).into_owned())
        }
        Ok(_) => CloseReason::Broken(io::Error::other("the peer closed the connection")),
        Err(error) => CloseReason::Broken(error),
    }
}

/// Replaces an answer that is too large by an error: one client's large value must not break the
/// connection for all.
fn encode_envelope(envelope: &Envelope, bytes: &mut Vec<u8>) -> io::Result<()> {
    let payload = postcard::to_allocvec(envelope).map_err(io::Error::other)?;
    if payload.len() > MAX_FRAME_BYTES {
        if let Frame::Forwarded { request, result: ProposalResult::Done { .. } } = envelope.frame {
            let frame = Frame::Forwarded { request, result: ProposalResult::TooLarge };
            return encode_envelope(&Envelope { group: envelope.group, frame }, bytes);
        }
        return Err(frame_too_large(payload.len(), MAX_FRAME_BYTES));
    }
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    bytes.extend(length.to_le_bytes());
    bytes.extend(payload);
    Ok(())
}

fn frame_too_large(length: usize, most: usize) -> io::Error {
    io::Error::other(format!("a frame of {length} bytes is above the limit of {most}"))
}

/// What a replica sends of itself, and checks of its peers.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) members: Members,
    pub(super) incarnations: Incarnations,
    pub(super) secret: PeerSecret,
}

impl Identity {
    /// Returns the first bytes of each of a replica's connections.
    pub(super) fn hello_bytes(&self) -> Vec<u8> {
        let hello = Frame::Hello {
            cluster: self.members.cluster().to_owned(),
            from: self.members.me(),
            incarnation: self.incarnations.own(),
            secret: self.secret.to_bytes(),
        };
        let mut bytes = Vec::new();
        encode_envelope(&Envelope { group: 0, frame: hello }, &mut bytes)
            .expect("a list of names is far below the limit");
        bytes
    }
}

/// Accepts connections of peers until the process ends.
pub(super) async fn accept_peers(
    listener: TcpListener,
    identity: Identity,
    demux: Demux,
    log: Logger,
) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let identity = identity.clone();
                let (demux, log) = (demux.clone(), log.clone());
                tokio::spawn(async move {
                    if let Err(error) = receive_envelopes(stream, &identity, &demux).await {
                        log.write_line(format_args!(
                            "closed the connection from {address}: {error}"
                        ));
                    }
                });
            }
            Err(error) => {
                log.write_line(format_args!("cannot accept a peer's connection: {error}"));
                sleep(MAX_RECONNECT_DELAY).await;
            }
        }
    }
}

/// Delivers the envelopes of one peer until its connection ends.
async fn receive_envelopes(
    stream: TcpStream,
    identity: &Identity,
    demux: &Demux,
) -> io::Result<()> {
    set_socket_options(&stream)?;
    let mut reader = BufReader::new(stream);
    let greeting = timeout(HELLO_TIMEOUT, read_envelope(&mut reader, MAX_HELLO_BYTES));
    let Some(first) = greeting.await?? else { return Ok(()) };
    let (from, incarnation) = check_hello(first.frame, identity)?;
    if !identity.incarnations.check_peer(from, incarnation).await? {
        let why = incarnation::rejection_message(from, &identity.members);
        reader.write_all(why.as_bytes()).await?;
        reader.shutdown().await?;
        return Err(io::Error::other(why));
    }
    while let Some(envelope) = read_envelope(&mut reader, MAX_FRAME_BYTES).await? {
        if !demux.deliver_envelope(from, envelope).await {
            break;
        }
    }
    Ok(())
}

fn check_hello(first: Frame, ours: &Identity) -> io::Result<(ServerId, Incarnation)> {
    let Identity { members, secret, .. } = ours;
    let Frame::Hello { cluster, from, incarnation, secret: said } = first else {
        return Err(io::Error::other("its first frame is not a hello"));
    };
    if !secret.matches(&said) {
        return Err(io::Error::other("it does not know the secret of this cluster's members"));
    }
    if cluster != members.cluster() {
        let ours = members.cluster();
        return Err(io::Error::other(format!("it belongs to cluster {cluster}, not to {ours}")));
    }
    // A new member may connect before its configuration arrives here; the core counts members only.
    if from == members.me() {
        return Err(io::Error::other("it has the id of this replica"));
    }
    Ok((from, incarnation))
}

/// Reads the next envelope; `None` at the end of the stream, even within an envelope.
async fn read_envelope(
    reader: &mut BufReader<TcpStream>,
    most: usize,
) -> io::Result<Option<Envelope>> {
    let Ok(length) = reader.read_u32_le().await else { return Ok(None) };
    let length = usize::try_from(length).map_err(io::Error::other)?;
    if length > most {
        return Err(frame_too_large(length, most));
    }
    let mut payload = vec![0; length];
    if reader.read_exact(&mut payload).await.is_err() {
        return Ok(None);
    }
    match postcard::take_from_bytes(&payload) {
        Ok((envelope, [])) => Ok(Some(envelope)),
        _ => Err(io::Error::other("it sent an invalid frame")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Outcome;
    use crate::raft::{Content, Message};
    use crate::runtime::Proposal;

    fn test_envelope(frame: Frame) -> Envelope {
        Envelope { group: 3, frame }
    }

    fn raft_envelope(term: u64) -> Envelope {
        test_envelope(Frame::Raft(Message { term, content: Content::StaleTerm }))
    }

    fn queued_terms(link: &Link) -> Vec<u64> {
        let term = |envelope: &Envelope| match &envelope.frame {
            Frame::Raft(message) => message.term,
            _ => 0,
        };
        link.lock_queue().envelopes.iter().map(term).collect()
    }

    #[test]
    fn a_disconnected_link_queues_nothing() {
        let link = Link::new(2, String::new());
        assert!(!link.send_envelope(raft_envelope(1)));
        link.reset_queue(true);
        assert!(link.send_envelope(raft_envelope(2)) && link.is_connected());
        link.reset_queue(false);
        link.reset_queue(true);
        assert!(queued_terms(&link).is_empty());
    }

    #[test]
    fn an_answer_that_is_too_large_keeps_the_connection() {
        let done = |size: usize| {
            let outcome = Outcome::Results(vec![Some("x".repeat(size))]);
            test_envelope(Frame::Forwarded {
                request: 7,
                result: ProposalResult::Done { index: 1, outcome },
            })
        };
        let sent = |envelope: &Envelope| {
            let mut bytes = Vec::new();
            encode_envelope(envelope, &mut bytes).expect("it can be sent");
            postcard::from_bytes::<Envelope>(&bytes[4..]).expect("a envelope")
        };
        let lost = sent(&done(MAX_FRAME_BYTES));
        let Frame::Forwarded { request, result } = lost.frame else { panic!("another frame") };
        assert_eq!((lost.group, request, result), (3, 7, ProposalResult::TooLarge));
        let small = sent(&done(9)).frame;
        assert!(
            matches!(small, Frame::Forwarded { result: ProposalResult::Done { .. }, .. }),
            "{small:?}"
        );
    }

    #[test]
    fn a_full_queue_drops_the_oldest_message_but_no_forwarded_write() {
        let link = Link::new(2, String::new());
        link.reset_queue(true);
        let forward = || {
            let proposal = Proposal::Command(Vec::new());
            test_envelope(Frame::Forward { request: 1, timeout_ms: 1, proposal })
        };
        assert!(link.send_envelope(forward()));
        (1..=MAX_QUEUE_LENGTH as u64)
            .for_each(|term| assert!(link.send_envelope(raft_envelope(term))));
        assert_eq!(queued_terms(&link)[..3], [0, 2, 3]);
        (2..=MAX_QUEUE_LENGTH).for_each(|_| assert!(link.send_envelope(forward())));
        assert!(!link.send_envelope(forward()), "nothing is left that may be dropped");
    }

    #[test]
    fn a_frame_above_the_limit_is_not_sent() {
        let proposal = Proposal::Command(vec![0; MAX_FRAME_BYTES]);
        let frame = Frame::Forward { request: 1, timeout_ms: 1, proposal };
        let error =
            encode_envelope(&test_envelope(frame), &mut Vec::new()).expect_err("it is too large");
        assert!(error.to_string().contains("above the limit"), "{error}");
    }
}
