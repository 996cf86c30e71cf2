//! Joins hosts by an Ethernet switch in this process, which can do to packets what a kernel bridge
//! cannot.
//!
//! The hosts' links end in a namespace of their own, where nothing but the switch listens; the
//! controller is a port like any other, so the links of its clients can be cut and shaped too.
//! [`lane`] and [`exchange`] decide, purely, what becomes of each frame; [`wire`] moves frames; the
//! counters of the lanes are the evidence.

mod capture;
pub(super) mod exchange;
pub(super) mod lane;
mod offload;
pub mod shape;
#[cfg(test)]
mod tests;
mod wire;

use super::bridge::{self, id, index, up};
use super::plan::{CLIENTS, HostId, LinkPlan, hosts, pairs};
use super::probe::Probes;
use super::traffic::Tally;
use crate::host::thread::Host;
use anyhow::{Context as _, Result};
use capture::Capture;
use exchange::{Exchange, VENDOR};
use futures_util::future::try_join_all;
pub use lane::Counts;
use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::{Handle as Links, LinkUnspec, LinkVeth, new_connection};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use wire::Handle;
use workloads::Rng;

/// The controller's interface.
const OWN: &str = "c0";
const OWN_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
const PREFIX: u8 = 24;

/// What every directed link has done, those of clients included.
pub type LinkCounts = BTreeMap<(HostId, HostId), Counts>;

/// A switch and its ports.
pub(super) struct Switch {
    probes: Probes,
    handle: Handle,
    count: u8,
    /// Where the near ends of all links are.
    _room: Host,
}

impl Switch {
    /// Joins the hosts and waits until every link carries datagrams; the seed decides every chance.
    pub(super) async fn build(all: &[Host], rng: &Rng, capture: Option<PathBuf>) -> Result<Self> {
        let room = Host::isolated("switch")?;
        let count = id(all.len()).0;
        let (connection, links, _) = new_connection().context("the kernel has no rtnetlink")?;
        let driver = tokio::spawn(connection);
        let joined = join(&links, all, &room, count).await;
        driver.abort();
        joined?;
        let ends: Vec<HostId> = hosts(count).chain([CLIENTS]).collect();
        let capture = capture.map(|path| Capture::create(&path, &ends)).transpose()?;
        let exchange = Exchange::new(count, &rng.fork("switch"));
        let handle = Handle::start(open(&room, &ends)?, exchange, capture)?;
        let sockets = all.iter().enumerate().map(|(i, host)| settle(host, id(i), count));
        let probes = Probes::start(sockets.collect::<Result<_>>()?, bridge::probe_address).await?;
        Ok(Self { probes, handle, count, _room: room })
    }

    /// Makes the links what the plan says, for every frame from now on.
    pub(super) fn apply(&self, plan: &LinkPlan) -> Result<()> {
        self.handle.with(|state, now| state.exchange.apply(now, plan));
        self.handle.ring()
    }

    /// What every link has done so far.
    pub(super) fn counts(&self) -> LinkCounts {
        self.handle.with(|state, _| state.exchange.counts().collect())
    }

    /// Where the probes stand, and what cuts have dropped so far.
    pub(super) fn mark(&self) -> Vec<Tally> {
        let counts = self.counts();
        let next = self.probes.mark().into_iter();
        let tally = |(pair, offered)| Tally { offered, delivered: 0, dropped: counts[&pair].cut };
        pairs(self.count).zip(next).map(tally).collect()
    }

    /// What was offered, arrived and was dropped by cuts since the mark.
    pub(super) fn since(&self, mark: &[Tally]) -> Vec<Tally> {
        let counts = self.counts();
        let probes = self.probes.since(mark.iter().map(|tally| tally.offered));
        let tallies = pairs(self.count).zip(probes).zip(mark);
        let tally = |((pair, (offered, delivered)), mark): (_, &Tally)| {
            let cut: &Counts = &counts[&pair];
            Tally { offered, delivered, dropped: cut.cut - mark.dropped }
        };
        tallies.map(tally).collect()
    }

    /// What such a network is made of, and what it had to drop without being asked to.
    pub(super) fn describe(&self) -> String {
        let hosts = bridge::hosts(usize::from(self.count));
        format!("switch in user space {OWN_IP}/{PREFIX}, {hosts}")
    }

    /// Frames that were lost though no fault asked for it, and those that a capture lacks; `None`
    /// if there are none.
    pub(super) fn trouble(&self) -> Option<String> {
        let (choked, missed) = self.handle.with(|state, _| {
            (state.choked, state.capture.as_ref().map_or(0, |capture| capture.missed))
        });
        (choked + missed > 0).then(|| {
            format!("the switch could not deliver {choked} frames, and {missed} are missing in the capture")
        })
    }
}

/// The controller's hardware address, or a host's.
fn hardware(end: HostId) -> Vec<u8> {
    [&VENDOR[..], &[end.0]].concat()
}

fn near(end: HostId) -> String {
    format!("v-{end}")
}

/// Makes all links; their near ends are in the room, and up once there are ports on them.
async fn join(links: &Links, all: &[Host], room: &Host, count: u8) -> Result<()> {
    up(links, "lo").await?;
    let made = all.iter().enumerate().map(|(i, host)| link(links, id(i), room, Some(host)));
    try_join_all(made).await?;
    link(links, CLIENTS, room, None).await?;
    let own = up(links, OWN).await?;
    offload::off(own)?;
    links.address().add(own, OWN_IP, PREFIX).execute().await.context("c0 takes no address")?;
    for host in hosts(count) {
        know(links, own, bridge::ip(host), host).await?;
    }
    Ok(())
}

/// Makes one link: its near end goes into the room, its far end into the host, or stays with the
/// controller.
async fn link(links: &Links, end: HostId, room: &Host, host: Option<&Host>) -> Result<()> {
    let far = host.map_or_else(|| OWN.to_owned(), |_| format!("p-{end}"));
    let made = links.link().add(LinkVeth::new(&near(end), &far).build()).execute().await;
    made.with_context(|| format!("no link to {end} (CONFIG_VETH; as root try `modprobe veth`)"))?;
    let fd = room.network()?;
    let moved = LinkUnspec::new_with_index(index(links, &near(end)).await?);
    let moved = links.link().set(moved.setns_by_fd(fd.as_raw_fd()).build()).execute().await;
    moved.with_context(|| format!("cannot move the link to {end} to the switch"))?;
    let far = LinkUnspec::new_with_index(index(links, &far).await?).address(hardware(end));
    let network = host.map(Host::network).transpose()?;
    let far = match &network {
        Some(network) => far.name("eth0").setns_by_fd(network.as_raw_fd()),
        None => far,
    };
    let moved = links.link().set(far.build()).execute().await;
    moved.with_context(|| format!("cannot move the link to {end} into its namespace"))
}

/// An address that needs no address resolution: see [`bridge`].
async fn know(links: &Links, interface: u32, ip: IpAddr, end: HostId) -> Result<()> {
    let known = links.neighbours().add(interface, ip).state(NeighbourState::Permanent);
    Ok(known.link_layer_address(&hardware(end)).execute().await?)
}

/// Opens the ports, and lets the links come up when they are there.
fn open(room: &Host, ends: &[HostId]) -> Result<Vec<OwnedFd>> {
    let names: Vec<String> = ends.iter().map(|end| near(*end)).collect();
    let opened = room.run(move || -> Result<Vec<OwnedFd>> {
        let ports = wire::open(&names)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let (connection, links, _) = new_connection()?;
            let driver = tokio::spawn(connection);
            for name in &names {
                up(&links, name).await?;
            }
            driver.abort();
            Ok(ports)
        })
    })?;
    opened.context("cannot open the ports of the switch")
}

/// Gives the host its addresses, and opens the socket of its probes.
fn settle(host: &Host, id: HostId, count: u8) -> Result<UdpSocket> {
    let settled = host.run(move || -> Result<UdpSocket> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            bridge::configure(id, count).await?;
            let (connection, links, _) = new_connection()?;
            let driver = tokio::spawn(connection);
            let eth0 = index(&links, "eth0").await?;
            know(&links, eth0, OWN_IP, CLIENTS).await?;
            driver.abort();
            offload::off(eth0)
        })?;
        bridge::probes(id)
    })?;
    settled.with_context(|| format!("cannot set up the network of {id}"))
}
