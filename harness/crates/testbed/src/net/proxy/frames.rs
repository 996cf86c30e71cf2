//! Sends numbered frames through every proxy, both ways, and notes which of them reach a sink of
//! the harness.
//!
//! A connection of probes is one like any replica's: it is opened through the listener of its pair,
//! and the same proxy carries it. Only its far end differs: the listener knows the address that
//! probes come from and leads them to the sink beside the replica. The sink answers with frames of
//! its own, so what comes back on a connection is probed as well as what goes forth. No connection
//! lives long: old ones and new ones are tried alike.

use crate::net::plan::HostId;
use crate::net::probe::{PROBE_INTERVAL, ProbeLog};
use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

/// The size of a frame: sender, receiver, and a number.
pub(super) const FRAME_BYTES: usize = 10;
/// How long one connection is used. What a cut withholds of it meanwhile must fit into a proxy's
/// memory, so that every frame is seen to be withheld.
const CONNECTION_LIFETIME: Duration = Duration::from_secs(20);
/// How long the proxies may take to carry their first frames.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(5);
/// The latest frames of a link may still be under path: four periods' worth, of two ways each.
const MAX_IN_FLIGHT: u64 = 8;

/// A directed link.
type DirectedPair = (HostId, HostId);

/// Where each host's probes arrive.
pub(super) type Sinks = Vec<(HostId, TcpListener)>;

/// The probes of every link; they stop when this is dropped.
pub(super) struct Frames {
    probe_log: Arc<ProbeLog>,
    _tasks: JoinSet<()>,
}

/// The path of one pair's probes through its proxy.
struct ProbePath {
    pair: DirectedPair,
    source: IpAddr,
    listener: SocketAddr,
    probe_log: Arc<ProbeLog>,
}

impl Frames {
    /// Waits until every listener has carried a frame forth and one back, then goes on probing.
    pub(super) async fn start(
        sinks: Sinks,
        listeners: impl Iterator<Item = (DirectedPair, SocketAddr)>,
        source: IpAddr,
    ) -> Result<Self> {
        let count = u8::try_from(sinks.len()).context("more hosts than can be numbered")?;
        let probe_log = Arc::new(ProbeLog::new(count, MAX_IN_FLIGHT));
        let mut tasks = JoinSet::new();
        for (host, sink) in sinks {
            tasks.spawn(accept_connections(sink, host, Arc::clone(&probe_log)));
        }
        let paths = listeners.map(|(pair, listener)| ProbePath {
            pair,
            source,
            listener,
            probe_log: Arc::clone(&probe_log),
        });
        let open = try_join_all(paths.map(open_path));
        let open = timeout(STARTUP_TIMEOUT, open).await.context("a proxy carries nothing")??;
        for (path, stream) in open {
            tasks.spawn(run_probes(path, stream));
        }
        Ok(Self { probe_log, _tasks: tasks })
    }

    /// Which frames were sent, and which of them arrived.
    pub(super) fn probe_log(&self) -> &ProbeLog {
        &self.probe_log
    }
}

impl ProbePath {
    /// A new connection with its first frame on it.
    async fn dial(&self) -> io::Result<TcpStream> {
        let first = encode_frame(self.pair, self.probe_log.record_sent(self.pair));
        let socket =
            if self.listener.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(self.source, 0))?;
        let mut stream = socket.connect(self.listener).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&first).await?;
        Ok(stream)
    }
}

/// Opens a connection and waits for the sink's first frame: the path is whole in both directions.
async fn open_path(path: ProbePath) -> Result<(ProbePath, TcpStream)> {
    let (from, to) = path.pair;
    let opened = async {
        let mut stream = path.dial().await?;
        receive_frame(&mut stream, (to, from), &path.probe_log).await?;
        io::Result::Ok(stream)
    };
    let stream = opened.await.with_context(|| format!("no probe gets from {from} to {to}"))?;
    Ok((path, stream))
}

/// Sends frames of one pair for good, on one connection after another.
async fn run_probes(path: ProbePath, first: TcpStream) {
    let mut stream = Some(first);
    loop {
        if let Some(stream) = stream {
            exchange_frames(stream, path.pair, &path.probe_log).await;
        }
        sleep(PROBE_INTERVAL).await;
        // A frame on a connection that cannot be opened is one that does not arrive.
        stream = path.dial().await.ok();
    }
}

/// Receives what is sent to a host, and sends frames back.
async fn accept_connections(sink: TcpListener, host: HostId, probe_log: Arc<ProbeLog>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = sink.accept() => {
                let probe_log = Arc::clone(&probe_log);
                connections.spawn(async move {
                    drop(receive_connection(stream, host, &probe_log).await);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The first frame names the sender of the connection.
async fn receive_connection(
    mut stream: TcpStream,
    host: HostId,
    probe_log: &ProbeLog,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (pair, number) = read_frame(&mut stream).await?;
    if pair.1 == host {
        probe_log.record_arrival(pair, number);
        exchange_frames(stream, (host, pair.0), probe_log).await;
    }
    Ok(())
}

/// Sends frames of one link and notes those of the opposite one, until the connection breaks or has
/// lived enough.
async fn exchange_frames(stream: TcpStream, (from, to): DirectedPair, probe_log: &ProbeLog) {
    let (reader, writer) = stream.into_split();
    let talk = async {
        tokio::select! {
            broken = send_frames(writer, (from, to), probe_log) => broken,
            broken = receive_frames(reader, (to, from), probe_log) => broken,
        }
    };
    // However it ends, another connection follows.
    drop(timeout(CONNECTION_LIFETIME, talk).await);
}

async fn send_frames(
    mut writer: OwnedWriteHalf,
    pair: DirectedPair,
    probe_log: &ProbeLog,
) -> io::Result<()> {
    let mut ticks = interval(PROBE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        writer.write_all(&encode_frame(pair, probe_log.record_sent(pair))).await?;
    }
}

async fn receive_frames(
    mut reader: OwnedReadHalf,
    pair: DirectedPair,
    probe_log: &ProbeLog,
) -> io::Result<()> {
    loop {
        receive_frame(&mut reader, pair, probe_log).await?;
    }
}

/// Notes one frame of the link; any other is none.
async fn receive_frame(
    reader: &mut (impl AsyncRead + Unpin),
    pair: DirectedPair,
    probe_log: &ProbeLog,
) -> io::Result<()> {
    let (named, number) = read_frame(reader).await?;
    if named == pair {
        probe_log.record_arrival(pair, number);
    }
    Ok(())
}

async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<(DirectedPair, u64)> {
    let pair = (HostId(reader.read_u8().await?), HostId(reader.read_u8().await?));
    Ok((pair, reader.read_u64().await?))
}

fn encode_frame((from, to): DirectedPair, number: u64) -> [u8; FRAME_BYTES] {
    let mut bytes = [from.0; FRAME_BYTES];
    bytes[1] = to.0;
    bytes[2..].copy_from_slice(&number.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: DirectedPair = (HostId(0), HostId(1));

    #[tokio::test]
    async fn a_frame_is_read_back_and_half_of_one_is_none() {
        let bytes = encode_frame(PAIR, 77);
        assert_eq!(read_frame(&mut &bytes[..]).await.expect("a frame"), (PAIR, 77));
        assert!(read_frame(&mut &bytes[..FRAME_BYTES / 2]).await.is_err());
    }

    #[tokio::test]
    async fn a_frame_of_another_link_is_not_noted() {
        let probe_log = ProbeLog::new(2, 0);
        probe_log.record_sent(PAIR);
        receive_frame(&mut &encode_frame((HostId(1), HostId(0)), 0)[..], PAIR, &probe_log)
            .await
            .expect("a frame");
        assert_eq!(probe_log.settled_since([0, 0].into_iter()), [(1, 0), (0, 0)]);
        receive_frame(&mut &encode_frame(PAIR, 0)[..], PAIR, &probe_log).await.expect("a frame");
        assert_eq!(probe_log.settled_since([0, 0].into_iter()), [(1, 1), (0, 0)]);
    }
}
