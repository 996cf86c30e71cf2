//! Connects replicas through TCP proxies, one listener for every directed pair, and withholds bytes
//! to cut a link.
//!
//! A connection that `from` opened to `to` carries two links: what `from` sends and what comes
//! reverse. A cut holds the bytes of its link, and the end of the stream, as a network that drops
//! packets would; connections stay open and what was held goes on when the link is whole again. A
//! connection opened over a cut link is accepted by its target only then. Bytes pass under the lock
//! under which links are cut, so nothing that was sent after the cut was made gets through before
//! it is healed.
//!
//! Whether a cut bites is seen by [`frames`] that are ours: they come through the same listeners
//! and gates, and are counted where they arrive, and where they are held reverse. What replicas
//! send is counted nowhere.

mod frames;
#[cfg(test)]
mod tests;

use super::plan::{HostId, LinkPlan, directed_pairs, host_ids};
use super::port::Port;
use super::traffic::LinkTotals;
use anyhow::{Context as _, Result, anyhow};
use frames::{FRAME_BYTES, Frames, Sinks};
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
/// The last number of the address of every listener.
const LISTENER_OCTET: u8 = 1;
/// The last number of the source address of probes, which has no other use.
const PROBE_OCTET: u8 = 2;
/// Bytes of one connection and direction that are read before they can be passed on.
const MAX_HELD_BYTES: usize = 1 << 14;

/// The proxies of every directed pair; they end when this is dropped.
pub(super) struct Proxies {
    /// The network of loopback addresses that is ours.
    base: [u8; 3],
    links: BTreeMap<(HostId, HostId), Arc<Link>>,
    listeners: BTreeMap<(HostId, HostId), SocketAddr>,
    frames: Frames,
    _tasks: JoinSet<()>,
}

/// One direction between two hosts.
#[derive(Default)]
struct Link {
    state: Mutex<LinkState>,
    changed: Notify,
}

#[derive(Default)]
struct LinkState {
    cut: bool,
    /// Bytes of probes that were held reverse.
    held: u64,
}

/// What a proxy listener needs to know.
struct Route {
    base: [u8; 3],
    to: HostId,
    forward: Arc<Link>,
    reverse: Arc<Link>,
}

/// One direction of one connection.
struct StreamDirection {
    link: Arc<Link>,
    /// It carries probes.
    probed: bool,
}

/// Both directions of one connection and where it leads.
struct ProxiedConnection {
    target: SocketAddr,
    forward: StreamDirection,
    reverse: StreamDirection,
}

impl Proxies {
    /// Finds unused addresses, opens every proxy there and waits until probes get through each.
    pub(super) async fn build(count: u8) -> Result<Self> {
        let (base, sinks) = free_network(count)?;
        let links: BTreeMap<_, _> =
            directed_pairs(count).map(|pair| (pair, Arc::new(Link::default()))).collect();
        let mut listeners = BTreeMap::new();
        let mut tasks = JoinSet::new();
        for (from, to) in directed_pairs(count) {
            let listener = TcpListener::bind((loopback_ip(base, LISTENER_OCTET), 0)).await;
            let listener = listener.context("no port is left for a proxy")?;
            listeners.insert((from, to), listener.local_addr().context("a proxy has no address")?);
            let link = |pair| links.get(&pair).cloned().unwrap_or_default();
            let route = Route { base, to, forward: link((from, to)), reverse: link((to, from)) };
            tasks.spawn(accept_connections(listener, route));
        }
        let paths = listeners.iter().map(|(pair, listener)| (*pair, *listener));
        let frames = Frames::start(sinks, paths, loopback_ip(base, PROBE_OCTET)).await?;
        Ok(Self { base, links, listeners, frames, _tasks: tasks })
    }

    /// Where a replica on `host` listens.
    pub(super) fn listen_addr(&self, host: HostId, port: Port) -> SocketAddr {
        listen_addr(self.base, host, port)
    }

    /// The proxy through which `from` reaches `to`.
    pub(super) fn dial_addr(&self, from: HostId, to: HostId) -> SocketAddr {
        let direct = || self.listen_addr(to, Port::Peer);
        self.listeners.get(&(from, to)).copied().unwrap_or_else(direct)
    }

    /// Cuts exactly the links that the plan cuts.
    pub(super) fn apply_plan(&self, plan: &LinkPlan) {
        let mut locked: Vec<_> =
            self.links.iter().map(|(pair, link)| (pair, link.lock_state())).collect();
        for (pair, state) in &mut locked {
            state.cut = plan.cuts.contains(pair);
        }
        drop(locked);
        self.links.values().for_each(|link| link.changed.notify_waiters());
    }

    /// Where the probes stand, and how many were held reverse so far.
    pub(super) fn snapshot_traffic(&self) -> Vec<LinkTotals> {
        let tally = |(offered, dropped)| LinkTotals { offered, delivered: 0, dropped };
        self.frames
            .probe_log()
            .next_numbers()
            .into_iter()
            .zip(self.held_probes())
            .map(tally)
            .collect()
    }

    /// What was offered, arrived and was held reverse since the mark.
    pub(super) fn traffic_since(&self, mark: &[LinkTotals]) -> Vec<LinkTotals> {
        let probes = self.frames.probe_log().settled_since(mark.iter().map(|tally| tally.offered));
        let tally = |((&(offered, delivered), held), mark): ((&(u64, u64), u64), &LinkTotals)| {
            LinkTotals { offered, delivered, dropped: held - mark.dropped }
        };
        probes.iter().zip(self.held_probes()).zip(mark).map(tally).collect()
    }

    /// Probes held reverse, in order of (from, to).
    fn held_probes(&self) -> impl Iterator<Item = u64> {
        self.links.values().map(|link| link.lock_state().held / FRAME_BYTES as u64)
    }

    /// What such a network is made of.
    pub(super) fn describe(&self, count: usize) -> String {
        let [a, b, c] = self.base;
        format!("TCP proxies on {a}.{b}.{c}.1 between {count} replicas, no namespaces")
    }
}

impl Route {
    /// Forwards probes to the sink and all other connections to the replica.
    fn route_connection(&self, origin: SocketAddr) -> ProxiedConnection {
        let probed = origin.ip() == loopback_ip(self.base, PROBE_OCTET);
        let replica = listen_addr(self.base, self.to, Port::Peer);
        let target = if probed { sink_addr(self.base, self.to) } else { replica };
        let direction = |link: &Arc<Link>| StreamDirection { link: Arc::clone(link), probed };
        ProxiedConnection {
            target,
            forward: direction(&self.forward),
            reverse: direction(&self.reverse),
        }
    }
}

fn loopback_ip([a, b, c]: [u8; 3], last: u8) -> IpAddr {
    Ipv4Addr::new(a, b, c, last).into()
}

fn listen_addr(base: [u8; 3], host: HostId, port: Port) -> SocketAddr {
    let port = match port {
        Port::Client => CLIENT_PORT,
        Port::Peer => PEER_PORT,
    };
    SocketAddr::new(loopback_ip(base, host.0.saturating_add(11)), port)
}

fn sink_addr(base: [u8; 3], host: HostId) -> SocketAddr {
    SocketAddr::new(listen_addr(base, host, Port::Peer).ip(), SINK_PORT)
}

/// Runs beside each other get different networks, so that each replica keeps fixed ports, also when
/// it restarts. The sinks, which are open from now on, keep others away.
fn free_network(count: u8) -> Result<([u8; 3], Sinks)> {
    let [.., high, low] = std::process::id().to_be_bytes();
    let mut bases = (0..64u8).map(|i| [127, 64 | (high.wrapping_add(i) & 63), low]);
    bases.find_map(|base| Some((base, claim_addresses(base, count).ok()?))).ok_or_else(|| {
        anyhow!(
            "ports {CLIENT_PORT} to {SINK_PORT} are taken \
             on every loopback address that was tried; \
             end what listens there (see `ss -ltnp`)"
        )
    })
}

/// Opens every sink, if the ports beside them are free as well.
fn claim_addresses(base: [u8; 3], count: u8) -> io::Result<Sinks> {
    let sink = |host| {
        for port in [Port::Client, Port::Peer] {
            std::net::TcpListener::bind(listen_addr(base, host, port))?;
        }
        let sink = std::net::TcpListener::bind(sink_addr(base, host))?;
        sink.set_nonblocking(true)?;
        Ok((host, TcpListener::from_std(sink)?))
    };
    host_ids(count).map(sink).collect()
}

impl Link {
    fn lock_state(&self) -> MutexGuard<'_, LinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the link is whole.
    async fn wait_until_healed(&self) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if !self.lock_state().cut {
                return;
            }
            changed.await;
        }
    }
}

impl StreamDirection {
    /// Reads what fits and counts it if it is held reverse; 0 is the end.
    async fn read_bytes(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        held: &mut Vec<u8>,
    ) -> io::Result<usize> {
        let bytes = from.take((MAX_HELD_BYTES - held.len()) as u64).read_buf(held).await?;
        let mut state = self.link.lock_state();
        if self.probed && state.cut {
            state.held += bytes as u64;
        }
        Ok(bytes)
    }

    /// Keeps what comes over a cut link until the link is whole, or until the sender has ended:
    /// then it is true.
    async fn hold_until_healed(
        &self,
        from: &mut (impl AsyncRead + Unpin),
        held: &mut Vec<u8>,
    ) -> io::Result<bool> {
        loop {
            let has_room = held.len() < MAX_HELD_BYTES;
            tokio::select! {
                biased;
                () = self.link.wait_until_healed() => return Ok(false),
                read = self.read_bytes(from, held), if has_room => if read? == 0 {
                    return Ok(true);
                },
            }
        }
    }
}

async fn accept_connections(listener: TcpListener, route: Route) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((near, origin)) = listener.accept() => {
                let passage = route.route_connection(origin);
                // A connection that breaks is closed on both sides; that is all its ends may know.
                connections.spawn(async move { drop(proxy_connection(near, passage).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until both directions have ended or either has failed. While its link is
/// cut a new one leads nowhere, and one that gave up meanwhile never does.
async fn proxy_connection(mut near: TcpStream, passage: ProxiedConnection) -> io::Result<()> {
    let ProxiedConnection { target, forward, reverse } = passage;
    near.set_nodelay(true)?;
    let mut held = Vec::with_capacity(MAX_HELD_BYTES);
    if forward.hold_until_healed(&mut near, &mut held).await? {
        return Ok(());
    }
    let far = TcpStream::connect(target).await?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    tokio::try_join!(
        copy_direction(near_read, far_write, &forward, held),
        copy_direction(far_read, near_write, &reverse, Vec::with_capacity(MAX_HELD_BYTES))
    )?;
    Ok(())
}

/// Carries one direction, what is held already first; its end waits for the link as bytes do.
async fn copy_direction(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: &StreamDirection,
    mut held: Vec<u8>,
) -> io::Result<()> {
    loop {
        let is_end = held.is_empty() && direction.read_bytes(&mut from, &mut held).await? == 0;
        let is_end = is_end || direction.hold_until_healed(&mut from, &mut held).await?;
        if is_end {
            direction.link.wait_until_healed().await;
        }
        to.write_all(&held).await?;
        if is_end {
            return to.shutdown().await;
        }
        held.clear();
    }
}
