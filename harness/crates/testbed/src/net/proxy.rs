//! Connects replicas through TCP proxies, one listener for every directed pair, and withholds bytes
//! to cut a link.
//!
//! A connection that `from` opened to `to` carries two links: what `from` sends and what comes
//! back. A cut holds the bytes of its link, and the end of the stream, as a network that drops
//! packets would; connections stay open and what was held goes on when the link is whole again. A
//! connection opened over a cut link is accepted by its target only then. Bytes pass under the lock
//! under which links are cut, so nothing that was sent after the cut was made gets through before
//! it is healed.
//!
//! Whether a cut bites is seen by [`frames`] that are ours: they come through the same doors and
//! gates, and are counted where they arrive, and where they are held back. What replicas send is
//! counted nowhere.

mod frames;
#[cfg(test)]
mod tests;

use super::plan::{HostId, LinkPlan, hosts, pairs};
use super::port::Port;
use super::traffic::Tally;
use anyhow::{Context as _, Result, anyhow};
use frames::{FRAME, Frames, Sinks};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

const CLIENT_PORT: u16 = 7001;
const PEER_PORT: u16 = 7002;
const SINK_PORT: u16 = 7003;
/// The last number of the address of every door.
const DOORS: u8 = 1;
/// The last number of the source address of probes, which has no other use.
const PROBES: u8 = 2;
/// Bytes of one connection and direction that are read before they can be passed on.
const HELD: usize = 1 << 14;

/// The proxies of every directed pair; they end when this is dropped.
pub(super) struct Proxies {
    /// The network of loopback addresses that is ours.
    base: [u8; 3],
    links: BTreeMap<(HostId, HostId), Arc<Link>>,
    doors: BTreeMap<(HostId, HostId), SocketAddr>,
    frames: Frames,
    _tasks: JoinSet<()>,
}

/// One direction between two hosts.
#[derive(Default)]
struct Link {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    cut: bool,
    /// Bytes of probes that were held back.
    held: u64,
}

/// What a proxy listener needs to know.
struct Route {
    base: [u8; 3],
    to: HostId,
    forth: Arc<Link>,
    back: Arc<Link>,
}

/// One direction of one connection.
struct Lane {
    link: Arc<Link>,
    /// It carries probes.
    probed: bool,
}

/// Both directions of one connection and where it leads.
struct Passage {
    target: SocketAddr,
    forth: Lane,
    back: Lane,
}

impl Proxies {
    /// Finds unused addresses, opens every proxy there and waits until probes get through each.
    pub(super) async fn build(count: u8) -> Result<Self> {
        let (base, sinks) = free_network(count)?;
        let links: BTreeMap<_, _> =
            pairs(count).map(|pair| (pair, Arc::new(Link::default()))).collect();
        let mut doors = BTreeMap::new();
        let mut tasks = JoinSet::new();
        for (from, to) in pairs(count) {
            let listener = TcpListener::bind((ip(base, DOORS), 0)).await;
            let listener = listener.context("no port is left for a proxy")?;
            doors.insert((from, to), listener.local_addr().context("a proxy has no address")?);
            let link = |pair| links.get(&pair).cloned().unwrap_or_default();
            let route = Route { base, to, forth: link((from, to)), back: link((to, from)) };
            tasks.spawn(serve(listener, route));
        }
        let ways = doors.iter().map(|(pair, door)| (*pair, *door));
        let frames = Frames::start(sinks, ways, ip(base, PROBES)).await?;
        Ok(Self { base, links, doors, frames, _tasks: tasks })
    }

    /// Where a replica on `host` listens.
    pub(super) fn listen_addr(&self, host: HostId, port: Port) -> SocketAddr {
        listen_addr(self.base, host, port)
    }

    /// The proxy through which `from` reaches `to`.
    pub(super) fn dial_addr(&self, from: HostId, to: HostId) -> SocketAddr {
        let direct = || self.listen_addr(to, Port::Peer);
        self.doors.get(&(from, to)).copied().unwrap_or_else(direct)
    }

    /// Cuts what the plan says and nothing else.
    pub(super) fn apply(&self, plan: &LinkPlan) {
        let mut locked: Vec<_> =
            self.links.iter().map(|(pair, link)| (pair, link.lock())).collect();
        for (pair, state) in &mut locked {
            state.cut = plan.cuts.contains(pair);
        }
        drop(locked);
        self.links.values().for_each(|link| link.changed.notify_waiters());
    }

    /// Where the probes stand, and how many were held back so far.
    pub(super) fn mark(&self) -> Vec<Tally> {
        let tally = |(offered, dropped)| Tally { offered, delivered: 0, dropped };
        self.frames.book().mark().into_iter().zip(self.held()).map(tally).collect()
    }

    /// What was offered, arrived and was held back since the mark.
    pub(super) fn since(&self, mark: &[Tally]) -> Vec<Tally> {
        let probes = self.frames.book().since(mark.iter().map(|tally| tally.offered));
        let tally = |((&(offered, delivered), held), mark): ((&(u64, u64), u64), &Tally)| Tally {
            offered,
            delivered,
            dropped: held - mark.dropped,
        };
        probes.iter().zip(self.held()).zip(mark).map(tally).collect()
    }

    /// Probes held back, in order of (from, to).
    fn held(&self) -> impl Iterator<Item = u64> {
        self.links.values().map(|link| link.lock().held / FRAME as u64)
    }

    /// What such a network is made of.
    pub(super) fn describe(&self, count: usize) -> String {
        let [a, b, c] = self.base;
        format!("TCP proxies on {a}.{b}.{c}.1 between {count} replicas, no namespaces")
    }
}

impl Route {
    /// Forwards probes to the sink and all other connections to the replica.
    fn passage(&self, origin: SocketAddr) -> Passage {
        let probed = origin.ip() == ip(self.base, PROBES);
        let replica = listen_addr(self.base, self.to, Port::Peer);
        let target = if probed { sink_addr(self.base, self.to) } else { replica };
        let lane = |link: &Arc<Link>| Lane { link: Arc::clone(link), probed };
        Passage { target, forth: lane(&self.forth), back: lane(&self.back) }
    }
}

fn ip([a, b, c]: [u8; 3], last: u8) -> IpAddr {
    Ipv4Addr::new(a, b, c, last).into()
}

fn listen_addr(base: [u8; 3], host: HostId, port: Port) -> SocketAddr {
    let port = match port {
        Port::Client => CLIENT_PORT,
        Port::Peer => PEER_PORT,
    };
    SocketAddr::new(ip(base, host.0.saturating_add(11)), port)
}

fn sink_addr(base: [u8; 3], host: HostId) -> SocketAddr {
    SocketAddr::new(listen_addr(base, host, Port::Peer).ip(), SINK_PORT)
}

/// Runs beside each other get different networks, so that each replica keeps fixed ports, also when
/// it restarts. The sinks, which are open from now on, keep others away.
fn free_network(count: u8) -> Result<([u8; 3], Sinks)> {
    let [.., high, low] = std::process::id().to_be_bytes();
    let mut bases = (0..64u8).map(|i| [127, 64 | (high.wrapping_add(i) & 63), low]);
    bases.find_map(|base| Some((base, claim(base, count).ok()?))).ok_or_else(|| {
        anyhow!(
            "ports {CLIENT_PORT} to {SINK_PORT} are taken on every loopback address that was tried; \
             end what listens there (see `ss -ltnp`)"
        )
    })
}

/// Opens every sink, if the ports beside them are free as well.
fn claim(base: [u8; 3], count: u8) -> io::Result<Sinks> {
    let sink = |host| {
        for port in [Port::Client, Port::Peer] {
            std::net::TcpListener::bind(listen_addr(base, host, port))?;
        }
        let sink = std::net::TcpListener::bind(sink_addr(base, host))?;
        sink.set_nonblocking(true)?;
        Ok((host, TcpListener::from_std(sink)?))
    };
    hosts(count).map(sink).collect()
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the link is whole.
    async fn pass(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if !self.lock().cut {
                return;
            }
            changed.await;
        }
    }
}

impl Lane {
    /// Reads what fits and counts it if it is held back; 0 is the end.
    async fn read(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        held: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let bytes = from.take((HELD - held.len()) as u64).read_buf(held).await?;
        let mut state = self.link.lock();
        if self.probed && state.cut {
            state.held += bytes as u64;
        }
        Ok(bytes)
    }

    /// Keeps what comes over a cut link until the link is whole, or until the sender has ended:
    /// then it is true.
    async fn hold(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        held: &mut Vec<u8>,
    ) -> io::Result<bool> {
        loop {
            let has_room = held.len() < HELD;
            tokio::select! {
                biased;
                () = self.link.pass() => return Ok(false),
                read = self.read(from, held), if has_room => if read? == 0 {
                    return Ok(true);
                },
            }
        }
    }
}

async fn serve(listener: TcpListener, route: Route) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((near, origin)) = listener.accept() => {
                let passage = route.passage(origin);
                // A connection that breaks is closed on both sides; that is all its ends may know.
                connections.spawn(async move { drop(connect(near, passage).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until both directions have ended or either has failed. While its link is
/// cut a new one leads nowhere, and one that gave up meanwhile never does.
async fn connect(mut near: TcpStream, passage: Passage) -> io::Result<()> {
    let Passage { target, forth, back } = passage;
    near.set_nodelay(true)?;
    let mut held = Vec::with_capacity(HELD);
    if forth.hold(&mut near, &mut held).await? {
        return Ok(());
    }
    let far = TcpStream::connect(target).await?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::try_join!(
        pump(near_read, far_write, &forth, held),
        pump(far_read, near_write, &back, Vec::with_capacity(HELD))
    )?;
    Ok(())
}

/// Carries one direction, what is held already first; its end waits for the link as bytes do.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    lane: &Lane,
    mut held: Vec<u8>,
) -> io::Result<()> {
    loop {
        let is_end = held.is_empty() && lane.read(&mut from, &mut held).await? == 0;
        let is_end = is_end || lane.hold(&mut from, &mut held).await?;
        if is_end {
            lane.link.pass().await;
        }
        to.write_all(&held).await?;
        if is_end {
            return to.shutdown().await;
        }
        held.clear();
    }
}
