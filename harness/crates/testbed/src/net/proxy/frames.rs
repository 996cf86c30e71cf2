//! Sends numbered frames through every proxy, both ways, and notes which of them reach a sink of
//! the harness.
//!
//! A connection of probes is one like any replica's: it is opened through the door of its pair, and
//! the same gate carries it. Only its far end differs: the door knows the address that probes come
//! from and leads them to the sink beside the replica. The sink answers with frames of its own, so
//! what comes back on a connection is probed as well as what goes forth. No connection lives long:
//! old ones and new ones are tried alike.

use crate::net::plan::HostId;
use crate::net::probe::{Book, PERIOD};
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
pub(super) const FRAME: usize = 10;
/// How long one connection is used. What a cut withholds of it meanwhile must fit into a proxy's
/// memory, so that every frame is seen to be withheld.
const LIFE: Duration = Duration::from_secs(20);
/// How long the proxies may take to carry their first frames.
const PATIENCE: Duration = Duration::from_secs(5);
/// The latest frames of a link may still be under way: four periods' worth, of two ways each.
const UNSETTLED: u64 = 8;

/// A directed link.
type Pair = (HostId, HostId);

/// Where each host's probes arrive.
pub(super) type Sinks = Vec<(HostId, TcpListener)>;

/// The probes of every link; they stop when this is dropped.
pub(super) struct Frames {
    book: Arc<Book>,
    _tasks: JoinSet<()>,
}

/// The way of one pair's probes through its proxy.
struct Way {
    pair: Pair,
    source: IpAddr,
    door: SocketAddr,
    book: Arc<Book>,
}

impl Frames {
    /// Waits until every door has carried a frame forth and one back, then goes on probing.
    pub(super) async fn start(
        sinks: Sinks,
        doors: impl Iterator<Item = (Pair, SocketAddr)>,
        source: IpAddr,
    ) -> Result<Self> {
        let count = u8::try_from(sinks.len()).context("more hosts than can be numbered")?;
        let book = Arc::new(Book::new(count, UNSETTLED));
        let mut tasks = JoinSet::new();
        for (host, sink) in sinks {
            tasks.spawn(receive_all(sink, host, Arc::clone(&book)));
        }
        let ways = doors.map(|(pair, door)| Way { pair, source, door, book: Arc::clone(&book) });
        let open = try_join_all(ways.map(open));
        let open = timeout(PATIENCE, open).await.context("a proxy carries nothing")??;
        for (way, stream) in open {
            tasks.spawn(probe(way, stream));
        }
        Ok(Self { book, _tasks: tasks })
    }

    /// Which frames were sent, and which of them arrived.
    pub(super) fn book(&self) -> &Book {
        &self.book
    }
}

impl Way {
    /// A new connection with its first frame on it.
    async fn dial(&self) -> io::Result<TcpStream> {
        let first = frame(self.pair, self.book.next(self.pair));
        let socket = if self.door.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.bind(SocketAddr::new(self.source, 0))?;
        let mut stream = socket.connect(self.door).await?;
        stream.set_nodelay(true)?;
        stream.write_all(&first).await?;
        Ok(stream)
    }
}

/// Opens a connection and waits for the sink's first frame: the way is whole in both directions.
async fn open(way: Way) -> Result<(Way, TcpStream)> {
    let (from, to) = way.pair;
    let opened = async {
        let mut stream = way.dial().await?;
        hear(&mut stream, (to, from), &way.book).await?;
        io::Result::Ok(stream)
    };
    let stream = opened.await.with_context(|| format!("no probe gets from {from} to {to}"))?;
    Ok((way, stream))
}

/// Sends frames of one pair for good, on one connection after another.
async fn probe(way: Way, first: TcpStream) {
    let mut stream = Some(first);
    loop {
        if let Some(stream) = stream {
            exchange(stream, way.pair, &way.book).await;
        }
        sleep(PERIOD).await;
        // A frame on a connection that cannot be opened is one that does not arrive.
        stream = way.dial().await.ok();
    }
}

/// Receives what is sent to a host, and sends frames back.
async fn receive_all(sink: TcpListener, host: HostId, book: Arc<Book>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = sink.accept() => {
                let book = Arc::clone(&book);
                connections.spawn(async move { drop(receive(stream, host, &book).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// The first frame names the sender of the connection.
async fn receive(mut stream: TcpStream, host: HostId, book: &Book) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (pair, number) = next_frame(&mut stream).await?;
    if pair.1 == host {
        book.note(pair, number);
        exchange(stream, (host, pair.0), book).await;
    }
    Ok(())
}

/// Sends frames of one link and notes those of the opposite one, until the connection breaks or has
/// lived enough.
async fn exchange(stream: TcpStream, (from, to): Pair, book: &Book) {
    let (reader, writer) = stream.into_split();
    let talk = async {
        tokio::select! {
            broken = speak(writer, (from, to), book) => broken,
            broken = listen(reader, (to, from), book) => broken,
        }
    };
    // However it ends, another connection follows.
    drop(timeout(LIFE, talk).await);
}

async fn speak(mut writer: OwnedWriteHalf, pair: Pair, book: &Book) -> io::Result<()> {
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        writer.write_all(&frame(pair, book.next(pair))).await?;
    }
}

async fn listen(mut reader: OwnedReadHalf, pair: Pair, book: &Book) -> io::Result<()> {
    loop {
        hear(&mut reader, pair, book).await?;
    }
}

/// Notes one frame of the link; any other is none.
async fn hear(reader: &mut (impl AsyncRead + Unpin), pair: Pair, book: &Book) -> io::Result<()> {
    let (named, number) = next_frame(reader).await?;
    if named == pair {
        book.note(pair, number);
    }
    Ok(())
}

async fn next_frame(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<(Pair, u64)> {
    let pair = (HostId(reader.read_u8().await?), HostId(reader.read_u8().await?));
    Ok((pair, reader.read_u64().await?))
}

fn frame((from, to): Pair, number: u64) -> [u8; FRAME] {
    let mut bytes = [from.0; FRAME];
    bytes[1] = to.0;
    bytes[2..].copy_from_slice(&number.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Pair = (HostId(0), HostId(1));

    #[tokio::test]
    async fn a_frame_is_read_back_and_half_of_one_is_none() {
        let bytes = frame(PAIR, 77);
        assert_eq!(next_frame(&mut &bytes[..]).await.expect("a frame"), (PAIR, 77));
        assert!(next_frame(&mut &bytes[..FRAME / 2]).await.is_err());
    }

    #[tokio::test]
    async fn a_frame_of_another_link_is_not_noted() {
        let book = Book::new(2, 0);
        book.next(PAIR);
        hear(&mut &frame((HostId(1), HostId(0)), 0)[..], PAIR, &book).await.expect("a frame");
        assert_eq!(book.since([0, 0].into_iter()), [(1, 0), (0, 0)]);
        hear(&mut &frame(PAIR, 0)[..], PAIR, &book).await.expect("a frame");
        assert_eq!(book.since([0, 0].into_iter()), [(1, 1), (0, 0)]);
    }
}
