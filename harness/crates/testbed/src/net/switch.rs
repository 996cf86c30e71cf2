//! Joins hosts by an Ethernet switch in this process, which can do to packets what a kernel bridge
//! cannot.
//!
//! The hosts' links end in a namespace of their own, where nothing but the switch listens; the
//! controller is a port like any other, so the links of its clients can be cut and shaped too.
//! [`link`] and [`exchange`] decide, purely, what becomes of each frame; [`wire`] moves frames; the
//! counters of the links are the evidence.

mod capture;
pub(super) mod exchange;
pub(super) mod link;
mod offload;
pub mod shape;
#[cfg(test)]
mod tests;
mod wire;

use super::bridge::{self, bring_up, host_id, link_index};
use super::plan::{CLIENTS, HostId, LinkPlan, directed_pairs, host_ids};
use super::probe::Probes;
use super::traffic::LinkTotals;
use crate::host::thread::Host;
use crate::random::Rng;
use anyhow::{Context as _, Result};
use capture::Capture;
use exchange::{Exchange, MAC_PREFIX};
use futures_util::future::try_join_all;
pub use link::PacketCounts;
use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::{Handle as Links, LinkUnspec, LinkVeth, new_connection};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::PathBuf;
use wire::Handle;

/// The controller's interface.
const CONTROLLER_INTERFACE: &str = "c0";
const CONTROLLER_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
const PREFIX_LENGTH: u8 = 24;

/// The counters of every directed link, including those of clients.
pub type LinkCounts = BTreeMap<(HostId, HostId), PacketCounts>;

/// A switch and its ports.
pub(super) struct Switch {
    probes: Probes,
    handle: Handle,
    count: u8,
    /// The namespace of the near ends of all links.
    _namespace: Host,
}

impl Switch {
    /// Joins the hosts and waits until every link carries datagrams; the seed decides every chance.
    pub(super) async fn build(all: &[Host], rng: &Rng, capture: Option<PathBuf>) -> Result<Self> {
        let namespace = Host::isolated("switch")?;
        let count = host_id(all.len()).0;
        let (connection, links, _) = new_connection().context("the kernel has no rtnetlink")?;
        let driver = tokio::spawn(connection);
        let joined = connect_hosts(&links, all, &namespace, count).await;
        driver.abort();
        joined?;
        let ends: Vec<HostId> = host_ids(count).chain([CLIENTS]).collect();
        let capture = capture.map(|path| Capture::create(&path, &ends)).transpose()?;
        let exchange = Exchange::new(count, &rng.fork("switch"));
        let handle = Handle::start(open_ports(&namespace, &ends)?, exchange, capture)?;
        let sockets =
            all.iter().enumerate().map(|(i, host)| configure_host(host, host_id(i), count));
        let probes = Probes::start(sockets.collect::<Result<_>>()?, bridge::probe_address).await?;
        Ok(Self { probes, handle, count, _namespace: namespace })
    }

    /// Applies the plan to all links, for every later frame.
    pub(super) fn apply_plan(&self, plan: &LinkPlan) -> Result<()> {
        self.handle.with_state(|state, now| state.exchange.apply_plan(now, plan));
        self.handle.wake_thread()
    }

    /// The counters of every link.
    pub(super) fn link_counts(&self) -> LinkCounts {
        self.handle.with_state(|state, _| state.exchange.link_counts().collect())
    }

    /// The current counts of probes and of frames that cuts dropped.
    pub(super) fn snapshot_traffic(&self) -> Vec<LinkTotals> {
        let counts = self.link_counts();
        let next = self.probes.next_numbers().into_iter();
        let tally =
            |(pair, offered)| LinkTotals { offered, delivered: 0, dropped: counts[&pair].cut };
        directed_pairs(self.count).zip(next).map(tally).collect()
    }

    /// The probes that were sent, arrived and were dropped by cuts since the mark.
    pub(super) fn traffic_since(&self, mark: &[LinkTotals]) -> Vec<LinkTotals> {
        let counts = self.link_counts();
        let probes = self.probes.settled_since(mark.iter().map(|tally| tally.offered));
        let tallies = directed_pairs(self.count).zip(probes).zip(mark);
        let tally = |((pair, (offered, delivered)), mark): (_, &LinkTotals)| {
            let cut: &PacketCounts = &counts[&pair];
            LinkTotals { offered, delivered, dropped: cut.cut - mark.dropped }
        };
        tallies.map(tally).collect()
    }

    /// What such a network is made of, and what it had to drop without being asked to.
    pub(super) fn describe(&self) -> String {
        let hosts = bridge::describe_hosts(usize::from(self.count));
        format!("switch in user space {CONTROLLER_IP}/{PREFIX_LENGTH}, {hosts}")
    }

    /// Frames that were lost though no fault asked for it, and those that a capture lacks; `None`
    /// if there are none.
    pub(super) fn network_error(&self) -> Option<String> {
        let (choked, missed) = self.handle.with_state(|state, _| {
            (state.send_failures, state.capture.as_ref().map_or(0, |capture| capture.missed))
        });
        (choked + missed > 0).then(|| {
            format!(
                "the switch could not deliver {choked} frames, \
                 and {missed} are missing in the capture"
            )
        })
    }
}

/// The controller's hardware address, or a host's.
fn mac_address(end: HostId) -> Vec<u8> {
    [&MAC_PREFIX[..], &[end.0]].concat()
}

fn near_name(end: HostId) -> String {
    format!("v-{end}")
}

/// Makes all links. Their near ends are in the switch's namespace, and up once ports are open.
async fn connect_hosts(links: &Links, all: &[Host], namespace: &Host, count: u8) -> Result<()> {
    bring_up(links, "lo").await?;
    let made = all
        .iter()
        .enumerate()
        .map(|(i, host)| create_veth(links, host_id(i), namespace, Some(host)));
    try_join_all(made).await?;
    create_veth(links, CLIENTS, namespace, None).await?;
    let own = bring_up(links, CONTROLLER_INTERFACE).await?;
    offload::disable_offload(own)?;
    links
        .address()
        .add(own, CONTROLLER_IP, PREFIX_LENGTH)
        .execute()
        .await
        .context("c0 takes no address")?;
    for host in host_ids(count) {
        add_neighbour(links, own, bridge::host_ip(host), host).await?;
    }
    Ok(())
}

/// Makes one link: its near end goes into the switch's namespace, its far end into the host, or
/// stays with the controller.
async fn create_veth(
    links: &Links,
    end: HostId,
    namespace: &Host,
    host: Option<&Host>,
) -> Result<()> {
    let far = host.map_or_else(|| CONTROLLER_INTERFACE.to_owned(), |_| format!("p-{end}"));
    let made = links.link().add(LinkVeth::new(&near_name(end), &far).build()).execute().await;
    made.with_context(|| format!("no link to {end} (CONFIG_VETH; as root try `modprobe veth`)"))?;
    let fd = namespace.network_namespace()?;
    let moved = LinkUnspec::new_with_index(link_index(links, &near_name(end)).await?);
    let moved = links.link().set(moved.setns_by_fd(fd.as_raw_fd()).build()).execute().await;
    moved.with_context(|| format!("cannot move the link to {end} to the switch"))?;
    let far = LinkUnspec::new_with_index(link_index(links, &far).await?).address(mac_address(end));
    let network = host.map(Host::network_namespace).transpose()?;
    let far = match &network {
        Some(network) => far.name("eth0").setns_by_fd(network.as_raw_fd()),
        None => far,
    };
    let moved = links.link().set(far.build()).execute().await;
    moved.with_context(|| format!("cannot move the link to {end} into its namespace"))
}

/// An address that needs no address resolution: see [`bridge`].
async fn add_neighbour(links: &Links, interface: u32, ip: IpAddr, end: HostId) -> Result<()> {
    let known = links.neighbours().add(interface, ip).state(NeighbourState::Permanent);
    Ok(known.link_layer_address(&mac_address(end)).execute().await?)
}

/// Opens the ports, and lets the links come up when they are there.
fn open_ports(namespace: &Host, ends: &[HostId]) -> Result<Vec<OwnedFd>> {
    let names: Vec<String> = ends.iter().map(|end| near_name(*end)).collect();
    let opened = namespace.run(move || -> Result<Vec<OwnedFd>> {
        let ports = wire::open_packet_sockets(&names)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            let (connection, links, _) = new_connection()?;
            let driver = tokio::spawn(connection);
            for name in &names {
                bring_up(&links, name).await?;
            }
            driver.abort();
            Ok(ports)
        })
    })?;
    opened.context("cannot open the ports of the switch")
}

/// Gives the host its addresses, and opens the socket of its probes.
fn configure_host(host: &Host, id: HostId, count: u8) -> Result<UdpSocket> {
    let settled = host.run(move || -> Result<UdpSocket> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(async {
            bridge::configure_interfaces(id, count).await?;
            let (connection, links, _) = new_connection()?;
            let driver = tokio::spawn(connection);
            let eth0 = link_index(&links, "eth0").await?;
            add_neighbour(&links, eth0, CONTROLLER_IP, CLIENTS).await?;
            driver.abort();
            offload::disable_offload(eth0)
        })?;
        bridge::bind_probe_socket(id)
    })?;
    settled.with_context(|| format!("cannot set up the network of {id}"))
}
