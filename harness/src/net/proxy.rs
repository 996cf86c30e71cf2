//! Connects replicas through TCP proxies, one listener for every directed pair, and withholds bytes to cut a link.
//!
//! A connection that `from` opened to `to` carries two links: what `from` sends and what comes back. A cut holds
//! the bytes of its link, and the end of the stream, as a network that drops packets would; connections stay open
//! and what was held goes on when the link is whole again. A connection opened over a cut link reaches nobody
//! until then. Whether a link is cut and how bytes are counted is decided under one lock, so nothing counts as
//! delivered after the cut was made.

use super::plan::{HostId, LinkPlan, pairs};
use super::{Port, Tally};
use anyhow::{Context as _, Result, anyhow};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;

const CLIENT_PORT: u16 = 7001;
const PEER_PORT: u16 = 7002;
/// Bytes of one connection and direction that are read before they can be passed on.
const HELD: usize = 1 << 14;

/// The proxies of every directed pair; they end when this is dropped.
pub(super) struct Proxies {
    /// The network of loopback addresses that is ours.
    base: [u8; 3],
    links: BTreeMap<(HostId, HostId), Arc<Link>>,
    doors: BTreeMap<(HostId, HostId), SocketAddr>,
    tasks: JoinSet<()>,
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
    tally: Tally,
}

/// What a proxy listener needs to know.
#[derive(Clone)]
struct Route {
    target: SocketAddr,
    forth: Arc<Link>,
    back: Arc<Link>,
}

impl Proxies {
    /// Finds addresses nobody uses and opens every proxy there.
    pub(super) async fn build(count: u8) -> Result<Self> {
        let base = free_network(count)?;
        let links: BTreeMap<_, _> =
            pairs(count).map(|pair| (pair, Arc::new(Link::default()))).collect();
        let mut proxies = Self { base, links, doors: BTreeMap::new(), tasks: JoinSet::new() };
        for (from, to) in pairs(count) {
            let listener = TcpListener::bind((ip(base, 1), 0)).await;
            let listener = listener.context("no port is left for a proxy")?;
            let door = listener.local_addr().context("a proxy has no address")?;
            proxies.doors.insert((from, to), door);
            let route = proxies.route(from, to);
            proxies.tasks.spawn(serve(listener, route));
        }
        Ok(proxies)
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

    /// Running totals in order of (from, to).
    pub(super) fn tallies(&self) -> Vec<Tally> {
        self.links.values().map(|link| link.lock().tally).collect()
    }

    /// What such a network is made of.
    pub(super) fn describe(&self, count: usize) -> String {
        let [a, b, c] = self.base;
        format!("TCP proxies on {a}.{b}.{c}.1 between {count} replicas, no namespaces")
    }

    fn route(&self, from: HostId, to: HostId) -> Route {
        let link = |pair| self.links.get(&pair).cloned().unwrap_or_default();
        let target = self.listen_addr(to, Port::Peer);
        Route { target, forth: link((from, to)), back: link((to, from)) }
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

/// Runs beside each other get different networks, so that each replica keeps fixed ports, also when it restarts.
fn free_network(count: u8) -> Result<[u8; 3]> {
    let [.., high, low] = std::process::id().to_be_bytes();
    let bases = (0..64u8).map(|i| [127, 64 | (high.wrapping_add(i) & 63), low]);
    let is_free = |base: &[u8; 3]| {
        pairs_of_ports(count)
            .all(|(host, port)| std::net::TcpListener::bind(listen_addr(*base, host, port)).is_ok())
    };
    bases.into_iter().find(is_free).ok_or_else(|| {
        anyhow!(
            "ports {CLIENT_PORT} and {PEER_PORT} are taken on every loopback address that was tried; \
             end what listens there (see `ss -ltnp`)"
        )
    })
}

fn pairs_of_ports(count: u8) -> impl Iterator<Item = (HostId, Port)> {
    super::plan::hosts(count).flat_map(|host| [(host, Port::Client), (host, Port::Peer)])
}

impl Link {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts bytes that were read from the sender.
    fn offer(&self, bytes: usize) {
        let mut state = self.lock();
        state.tally.offered += bytes as u64;
        if state.cut {
            state.tally.dropped += bytes as u64;
        }
    }

    /// Waits until the link is whole, and counts these bytes as passed on in the same moment.
    async fn pass(&self, bytes: usize) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.try_pass(bytes) {
                return;
            }
            changed.await;
        }
    }

    fn try_pass(&self, bytes: usize) -> bool {
        let mut state = self.lock();
        if !state.cut {
            state.tally.delivered += bytes as u64;
        }
        !state.cut
    }
}

async fn serve(listener: TcpListener, route: Route) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((near, _)) = listener.accept() => {
                let route = route.clone();
                // A connection that breaks is closed on both sides; that is all its ends may know.
                connections.spawn(async move { drop(connect(near, route).await) });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Carries one connection until both directions have ended or either has failed.
async fn connect(mut near: TcpStream, route: Route) -> io::Result<()> {
    near.set_nodelay(true)?;
    let Some(held) = wait_for_way(&mut near, &route.forth).await? else { return Ok(()) };
    let far = TcpStream::connect(route.target).await?;
    far.set_nodelay(true)?;
    let (near_read, near_write) = near.into_split();
    let (far_read, mut far_write) = far.into_split();
    if !held.is_empty() {
        route.forth.pass(held.len()).await;
        far_write.write_all(&held).await?;
    }
    tokio::try_join!(
        pump(near_read, far_write, &route.forth),
        pump(far_read, near_write, &route.back)
    )?;
    Ok(())
}

/// Holds a new connection while its link is cut: what it sent meanwhile, or `None` if it gave up.
async fn wait_for_way(near: &mut TcpStream, forth: &Link) -> io::Result<Option<Vec<u8>>> {
    let mut held = Vec::with_capacity(HELD);
    loop {
        let has_room = held.len() < HELD;
        let mut more = (&mut *near).take((HELD - held.len()) as u64);
        tokio::select! {
            biased;
            () = forth.pass(0) => return Ok(Some(held)),
            read = more.read_buf(&mut held), if has_room => match read? {
                0 => return Ok(None),
                bytes => forth.offer(bytes),
            },
        }
    }
}

/// Carries one direction; its end waits for the link as bytes do.
async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, link: &Link) -> io::Result<()> {
    let mut buffer = vec![0; HELD];
    loop {
        let bytes = from.read(&mut buffer).await?;
        link.offer(bytes);
        link.pass(bytes).await;
        if bytes == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..bytes]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    const A: HostId = HostId(0);
    const B: HostId = HostId(1);

    fn cut(pairs: &[(HostId, HostId)]) -> LinkPlan {
        LinkPlan { cuts: pairs.iter().copied().collect() }
    }

    /// Two hosts, and a connection from the first to the second.
    async fn connected() -> (Proxies, TcpStream, TcpStream) {
        let proxies = Proxies::build(2).await.expect("addresses are free");
        let listener = listen(&proxies).await;
        let near = TcpStream::connect(proxies.dial_addr(A, B)).await.expect("the proxy listens");
        let (far, _) = listener.accept().await.expect("the proxy dials");
        (proxies, near, far)
    }

    async fn listen(proxies: &Proxies) -> TcpListener {
        TcpListener::bind(proxies.listen_addr(B, Port::Peer)).await.expect("the port is free")
    }

    async fn say(stream: &mut TcpStream, word: &str) {
        stream.write_all(word.as_bytes()).await.expect("the connection stands");
    }

    /// What arrives within a moment.
    async fn hear(stream: &mut TcpStream) -> String {
        let mut buffer = [0; 64];
        match timeout(Duration::from_millis(100), stream.read(&mut buffer)).await {
            Ok(length) => {
                String::from_utf8_lossy(&buffer[..length.expect("it stands")]).into_owned()
            }
            Err(_) => "silence".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_whole_link_carries_both_directions_and_counts_each() {
        let (proxies, mut near, mut far) = connected().await;
        say(&mut near, "ping").await;
        assert_eq!(hear(&mut far).await, "ping");
        say(&mut far, "pong!").await;
        assert_eq!(hear(&mut near).await, "pong!");
        let whole = |bytes| Tally { offered: bytes, delivered: bytes, dropped: 0 };
        assert_eq!(proxies.tallies(), [whole(4), whole(5)]);
    }

    #[tokio::test]
    async fn a_one_way_cut_withholds_one_direction_until_it_heals() {
        let (proxies, mut near, mut far) = connected().await;
        proxies.apply(&cut(&[(A, B)]));
        say(&mut near, "ping").await;
        say(&mut far, "pong").await;
        assert_eq!(hear(&mut near).await, "pong");
        assert_eq!(hear(&mut far).await, "silence");
        let held = Tally { offered: 4, delivered: 0, dropped: 4 };
        let passed = Tally { offered: 4, delivered: 4, dropped: 0 };
        assert_eq!(proxies.tallies(), [held, passed]);
        proxies.apply(&LinkPlan::healed());
        assert_eq!(hear(&mut far).await, "ping");
    }

    #[tokio::test]
    async fn replies_on_the_other_hosts_connection_are_cut_as_well() {
        let (proxies, mut near, mut far) = connected().await;
        proxies.apply(&cut(&[(B, A)]));
        say(&mut near, "ping").await;
        assert_eq!(hear(&mut far).await, "ping");
        say(&mut far, "pong").await;
        assert_eq!(hear(&mut near).await, "silence");
        drop(far);
        assert_eq!(hear(&mut near).await, "silence", "the end of the stream is held too");
        proxies.apply(&LinkPlan::healed());
        assert_eq!(hear(&mut near).await, "pong");
    }

    #[tokio::test]
    async fn a_connection_opened_over_a_cut_link_reaches_nobody_until_it_heals() {
        let proxies = Proxies::build(2).await.expect("addresses are free");
        let listener = listen(&proxies).await;
        proxies.apply(&cut(&[(A, B)]));
        let mut near = TcpStream::connect(proxies.dial_addr(A, B)).await.expect("it listens");
        say(&mut near, "ping").await;
        let early = timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(early.is_err(), "nobody is reached");
        assert_eq!(proxies.tallies()[0], Tally { offered: 4, delivered: 0, dropped: 4 });
        proxies.apply(&LinkPlan::healed());
        let (mut far, _) = listener.accept().await.expect("now it is");
        assert_eq!(hear(&mut far).await, "ping");
    }

    #[tokio::test]
    async fn a_dead_replica_closes_its_connections() {
        let (_proxies, mut near, far) = connected().await;
        drop(far);
        assert_eq!(hear(&mut near).await, "");
    }

    #[tokio::test]
    async fn networks_beside_each_other_do_not_collide() {
        let one = Proxies::build(3).await.expect("addresses are free");
        let _replica = listen(&one).await;
        let other = Proxies::build(3).await.expect("addresses are free");
        assert_ne!(one.listen_addr(B, Port::Peer), other.listen_addr(B, Port::Peer));
    }
}
