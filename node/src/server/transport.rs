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
const SILENCE: Duration = Duration::from_secs(1);
const DIAL: Duration = Duration::from_millis(250);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);
const GREETING: Duration = Duration::from_secs(5);
const LARGEST_FRAME: usize = 8 << 20;
/// The largest first frame, which a stranger may send.
const LARGEST_GREETING: usize = 16 << 10;
const LONGEST_QUEUE: usize = 1024;
const LONGEST_REFUSAL: u64 = 1024;

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
    pub(super) fn connected(&self) -> bool {
        self.queue().connected
    }

    /// Queues a letter; false: it certainly will not be sent.
    pub(super) fn send(&self, envelope: Envelope) -> bool {
        let mut queue = self.queue();
        let room = queue.connected && (queue.envelopes.len() < LONGEST_QUEUE || queue.shed());
        if room {
            queue.envelopes.push_back(envelope);
            self.wake.notify_one();
        }
        room
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reset(&self, connected: bool) {
        *self.queue() = Queue { connected, envelopes: VecDeque::new() };
    }

    /// Connects again and again, and sends what is queued while connected.
    pub(super) async fn run(self: Arc<Self>, hello: Arc<Vec<u8>>, demux: Demux) {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Ok(stream) = dial(&self.address).await {
                let began = Instant::now();
                self.reset(true);
                let told = demux.link(self.peer, None).await;
                let end = self.carry(stream, &hello).await;
                self.reset(false);
                let heard = match end {
                    End::Broken(error) => demux.link(self.peer, Some(error.to_string())).await,
                    End::Refused(why) => demux.refused(why).await,
                };
                if !told || !heard {
                    return;
                }
                if began.elapsed() > SILENCE {
                    pause = FIRST_PAUSE;
                }
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// Sends until the connection ends. A peer writes only to reject this replica, so reading
    /// detects the end at once.
    async fn carry(&self, mut stream: TcpStream, hello: &[u8]) -> End {
        let (reader, writer) = stream.split();
        tokio::select! {
            biased;
            end = until_closed(reader) => end,
            Err(error) = self.pump(writer, hello) => End::Broken(error),
        }
    }

    async fn pump(&self, mut writer: WriteHalf<'_>, hello: &[u8]) -> io::Result<()> {
        writer.write_all(hello).await?;
        loop {
            self.wake.notified().await;
            let mut bytes = Vec::new();
            for envelope in std::mem::take(&mut self.queue().envelopes) {
                encode(&envelope, &mut bytes)?;
            }
            writer.write_all(&bytes).await?;
        }
    }
}

impl Queue {
    /// Drops the oldest Raft message, if there is one, to make room.
    fn shed(&mut self) -> bool {
        let oldest = self.envelopes.iter().position(|it| matches!(it.frame, Frame::Raft(_)));
        oldest.and_then(|at| self.envelopes.remove(at)).is_some()
    }
}

async fn dial(address: &str) -> io::Result<TcpStream> {
    let stream = timeout(DIAL, TcpStream::connect(address)).await??;
    tune(&stream)?;
    Ok(stream)
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(SILENCE).with_interval(SILENCE);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(SILENCE))?;
    stream.set_nodelay(true)
}

/// How a connection ended.
enum End {
    Broken(io::Error),
    /// The peer rejects this replica, with this reason.
    Refused(String),
}

async fn until_closed(mut reader: ReadHalf<'_>) -> End {
    let mut said = Vec::new();
    match (&mut reader).take(LONGEST_REFUSAL).read_to_end(&mut said).await {
        Ok(_) if !said.is_empty() => End::Refused(String::from_utf8_lossy(&said).into_owned()),
        Ok(_) => End::Broken(io::Error::other("the peer closed the connection")),
        Err(error) => End::Broken(error),
    }
}

/// Replaces an answer that is too large by an error: one client's large value must not break the
/// connection for all.
fn encode(envelope: &Envelope, bytes: &mut Vec<u8>) -> io::Result<()> {
    let payload = postcard::to_allocvec(envelope).map_err(io::Error::other)?;
    if payload.len() > LARGEST_FRAME {
        if let Frame::Forwarded { request, result: ProposalResult::Done { .. } } = envelope.frame {
            let frame = Frame::Forwarded { request, result: ProposalResult::TooLarge };
            return encode(&Envelope { group: envelope.group, frame }, bytes);
        }
        return Err(too_large(payload.len(), LARGEST_FRAME));
    }
    let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
    bytes.extend(length.to_le_bytes());
    bytes.extend(payload);
    Ok(())
}

fn too_large(length: usize, most: usize) -> io::Error {
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
    pub(super) fn hello(&self) -> Vec<u8> {
        let hello = Frame::Hello {
            cluster: self.members.cluster().to_owned(),
            from: self.members.me(),
            incarnation: self.incarnations.own(),
            secret: self.secret.to_bytes(),
        };
        let mut bytes = Vec::new();
        encode(&Envelope { group: 0, frame: hello }, &mut bytes)
            .expect("a list of names is far below the limit");
        bytes
    }
}

/// Accepts connections of peers until the process ends.
pub(super) async fn listen(listener: TcpListener, identity: Identity, demux: Demux, log: Logger) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let identity = identity.clone();
                let (demux, log) = (demux.clone(), log.clone());
                tokio::spawn(async move {
                    if let Err(error) = receive(stream, &identity, &demux).await {
                        log.line(format_args!("closed the connection from {address}: {error}"));
                    }
                });
            }
            Err(error) => {
                log.line(format_args!("cannot accept a peer's connection: {error}"));
                sleep(LONGEST_PAUSE).await;
            }
        }
    }
}

/// Delivers the letters of one peer until its connection ends.
async fn receive(stream: TcpStream, identity: &Identity, demux: &Demux) -> io::Result<()> {
    tune(&stream)?;
    let mut reader = BufReader::new(stream);
    let greeting = timeout(GREETING, read_envelope(&mut reader, LARGEST_GREETING));
    let Some(first) = greeting.await?? else { return Ok(()) };
    let (from, incarnation) = greet(first.frame, identity)?;
    if !identity.incarnations.meet(from, incarnation).await? {
        let why = incarnation::rejection_message(from, &identity.members);
        reader.write_all(why.as_bytes()).await?;
        reader.shutdown().await?;
        return Err(io::Error::other(why));
    }
    while let Some(envelope) = read_envelope(&mut reader, LARGEST_FRAME).await? {
        if !demux.envelope(from, envelope).await {
            break;
        }
    }
    Ok(())
}

fn greet(first: Frame, ours: &Identity) -> io::Result<(ServerId, Incarnation)> {
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

/// Reads the next letter; returns `None` at the end of the stream, even within a letter.
async fn read_envelope(
    reader: &mut BufReader<TcpStream>,
    most: usize,
) -> io::Result<Option<Envelope>> {
    let Ok(length) = reader.read_u32_le().await else { return Ok(None) };
    let length = usize::try_from(length).map_err(io::Error::other)?;
    if length > most {
        return Err(too_large(length, most));
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

    fn envelope(frame: Frame) -> Envelope {
        Envelope { group: 3, frame }
    }

    fn message(term: u64) -> Envelope {
        envelope(Frame::Raft(Message { term, content: Content::StaleTerm }))
    }

    fn terms(link: &Link) -> Vec<u64> {
        let term = |envelope: &Envelope| match &envelope.frame {
            Frame::Raft(message) => message.term,
            _ => 0,
        };
        link.queue().envelopes.iter().map(term).collect()
    }

    #[test]
    fn a_disconnected_link_queues_nothing() {
        let link = Link::new(2, String::new());
        assert!(!link.send(message(1)));
        link.reset(true);
        assert!(link.send(message(2)) && link.connected());
        link.reset(false);
        link.reset(true);
        assert!(terms(&link).is_empty());
    }

    #[test]
    fn an_answer_that_is_too_large_keeps_the_connection() {
        let done = |size: usize| {
            let outcome = Outcome::Results(vec![Some("x".repeat(size))]);
            envelope(Frame::Forwarded {
                request: 7,
                result: ProposalResult::Done { index: 1, outcome },
            })
        };
        let sent = |envelope: &Envelope| {
            let mut bytes = Vec::new();
            encode(envelope, &mut bytes).expect("it can be sent");
            postcard::from_bytes::<Envelope>(&bytes[4..]).expect("a envelope")
        };
        let lost = sent(&done(LARGEST_FRAME));
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
        link.reset(true);
        let forward = || {
            let proposal = Proposal::Command(Vec::new());
            envelope(Frame::Forward { request: 1, timeout_ms: 1, proposal })
        };
        assert!(link.send(forward()));
        (1..=LONGEST_QUEUE as u64).for_each(|term| assert!(link.send(message(term))));
        assert_eq!(terms(&link)[..3], [0, 2, 3]);
        (2..=LONGEST_QUEUE).for_each(|_| assert!(link.send(forward())));
        assert!(!link.send(forward()), "nothing is left that may be dropped");
    }

    #[test]
    fn a_frame_above_the_limit_is_not_sent() {
        let proposal = Proposal::Command(vec![0; LARGEST_FRAME]);
        let frame = Frame::Forward { request: 1, timeout_ms: 1, proposal };
        let error = encode(&envelope(frame), &mut Vec::new()).expect_err("it is too large");
        assert!(error.to_string().contains("above the limit"), "{error}");
    }
}
