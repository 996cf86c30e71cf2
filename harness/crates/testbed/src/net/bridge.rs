//! Builds a kernel bridge with one port per host, each host in a network namespace of its own, and
//! cuts it.
//!
//! The controller is on the bridge itself, at 10.77.0.1: its connections pass no forward hook and
//! are never cut. Everything lives in the sandbox's namespaces and goes with them; nothing has to
//! be taken down.

use super::filter::Filter;
use super::nft::Cut;
use super::plan::{HostId, LinkPlan};
use super::port::Port;
use super::probe::Probes;
use super::traffic::LinkTotals;
use crate::host::thread::Host;
use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use futures_util::future::try_join_all;
use rtnetlink::packet_route::neighbour::NeighbourState;
use rtnetlink::{Handle, LinkBridge, LinkUnspec, LinkVeth, new_connection};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::{Arc, Mutex, PoisonError};

const BRIDGE_NAME: &str = "br0";
const PREFIX_LENGTH: u8 = 24;
/// The hosts follow from here.
const FIRST_HOST: u8 = 11;
const CLIENT_PORT: u16 = 7001;
const PEER_PORT: u16 = 7002;
const PROBE_PORT: u16 = 7003;

/// A bridge and its ports.
pub(super) struct Bridge {
    filter: Arc<Mutex<Filter>>,
    probes: Probes,
    /// The index of the bridge port to each host.
    ports: Vec<u32>,
}

impl Bridge {
    /// Joins the hosts and waits until every link carries datagrams.
    pub(super) async fn build(hosts: &[Host]) -> Result<Self> {
        let (connection, links, _) = new_connection().context("the kernel has no rtnetlink")?;
        let driver = tokio::spawn(connection);
        let ports = create_bridge(&links, hosts).await;
        driver.abort();
        let ports = ports?;
        let filter = Filter::install()?;
        let count = host_id(hosts.len()).0;
        let sockets =
            hosts.iter().enumerate().map(|(i, host)| configure_host(host, host_id(i), count));
        let probes = Probes::start(sockets.collect::<Result<_>>()?, probe_address).await?;
        Ok(Self { filter: Arc::new(Mutex::new(filter)), probes, ports })
    }

    /// Makes exactly these cuts, in one transaction.
    pub(super) async fn apply_plan(&self, plan: &LinkPlan) -> Result<()> {
        let port = |host: HostId| {
            let port = self.ports.get(usize::from(host.0)).copied();
            port.with_context(|| format!("there is no host {host} in this network"))
        };
        let cut = |(from, to): &(HostId, HostId)| {
            Ok(Cut { from: *from, to: *to, ports: (port(*from)?, port(*to)?) })
        };
        let cuts = plan.cuts.iter().map(cut).collect::<Result<Vec<_>>>()?;
        self.with_filter(move |filter| filter.replace_cuts(&cuts)).await
    }

    /// Where the probes stand, and what all rules before the present ones dropped.
    pub(super) fn snapshot_traffic(&self) -> Vec<LinkTotals> {
        let filter = self.filter.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.probes.next_numbers().into_iter();
        let pair = |(pair, offered)| {
            let dropped = filter.retired_drops().get(&pair).copied().unwrap_or_default();
            LinkTotals { offered, delivered: 0, dropped }
        };
        self.host_pairs().zip(next).map(pair).collect()
    }

    /// What was offered, arrived and was dropped since the mark.
    pub(super) async fn traffic_since(&self, mark: &[LinkTotals]) -> Result<Vec<LinkTotals>> {
        let dropped = self.with_filter(|filter| filter.read_drop_counts()).await?;
        let probes = self.probes.settled_since(mark.iter().map(|tally| tally.offered));
        let tallies = self.host_pairs().zip(probes).zip(mark);
        Ok(tallies
            .map(|((pair, (offered, delivered)), mark)| {
                let dropped = dropped.get(&pair).copied().unwrap_or_default() - mark.dropped;
                LinkTotals { offered, delivered, dropped }
            })
            .collect())
    }

    fn host_pairs(&self) -> impl Iterator<Item = (HostId, HostId)> {
        super::plan::directed_pairs(host_id(self.ports.len()).0)
    }

    /// The kernel takes milliseconds over a change; workers of tokio's have better to do.
    async fn with_filter<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Filter) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let filter = Arc::clone(&self.filter);
        let locked = move || job(&mut filter.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::task::spawn_blocking(locked).await.context("the change of links panicked")?
    }
}

/// Where a replica on `host` listens.
pub(super) fn replica_address(host: HostId, port: Port) -> SocketAddr {
    let port = match port {
        Port::Client => CLIENT_PORT,
        Port::Peer => PEER_PORT,
    };
    SocketAddr::new(host_ip(host), port)
}

/// What such a network is made of.
pub(super) fn describe_bridge(count: usize) -> String {
    format!("kernel bridge {BRIDGE_NAME} 10.77.0.1/{PREFIX_LENGTH}, {}", describe_hosts(count))
}

/// So many hosts, and where they are.
pub(super) fn describe_hosts(count: usize) -> String {
    let (first, last) = (host_ip(HostId(0)), host_ip(host_id(count.saturating_sub(1))));
    if count == 1 { format!("1 host {first}") } else { format!("{count} hosts {first} to {last}") }
}

pub(super) fn probe_address(host: HostId) -> SocketAddr {
    SocketAddr::new(host_ip(host), PROBE_PORT)
}

pub(super) fn host_ip(host: HostId) -> IpAddr {
    Ipv4Addr::new(10, 77, 0, FIRST_HOST.saturating_add(host.0)).into()
}

/// A locally administered address.
fn mac_address(host: HostId) -> Vec<u8> {
    vec![2, 0x77, 0, 0, 0, host.0]
}

pub(super) fn host_id(index: usize) -> HostId {
    HostId(u8::try_from(index).unwrap_or(u8::MAX))
}

/// Makes the bridge and a port to each host; the indexes of the ports.
async fn create_bridge(links: &Handle, hosts: &[Host]) -> Result<Vec<u32>> {
    bring_up(links, "lo").await?;
    let bridge = LinkBridge::new(BRIDGE_NAME).up().build();
    links.link().add(bridge).execute().await.context(
        "the kernel makes no bridge (CONFIG_BRIDGE; as root try `modprobe bridge`), \
         use --net proxy",
    )?;
    let bridge = link_index(links, BRIDGE_NAME).await?;
    let own = Ipv4Addr::new(10, 77, 0, 1).into();
    links
        .address()
        .add(bridge, own, PREFIX_LENGTH)
        .execute()
        .await
        .context("br0 takes no address")?;
    try_join_all(
        hosts.iter().enumerate().map(|(i, host)| add_port(links, bridge, host_id(i), host)),
    )
    .await
}

/// Makes one port of the bridge and moves its other end into the host.
async fn add_port(links: &Handle, bridge: u32, id: HostId, host: &Host) -> Result<u32> {
    let (near, far) = (format!("v{}", id.0), format!("p{}", id.0));
    let pair = LinkVeth::new(&near, &far).controller(bridge).up().build();
    let made = links.link().add(pair).execute().await;
    made.with_context(|| {
        format!("no link to {id} (CONFIG_VETH; as root try `modprobe veth`), use --net proxy")
    })?;
    let network = host.network_namespace()?;
    let far = LinkUnspec::new_with_index(link_index(links, &far).await?);
    let moved = far.name("eth0").address(mac_address(id)).setns_by_fd(network.as_raw_fd()).build();
    let moved = links.link().set(moved).execute().await;
    moved.with_context(|| format!("cannot move the link to {id} into its namespace"))?;
    link_index(links, &near).await
}

pub(super) async fn link_index(links: &Handle, name: &str) -> Result<u32> {
    let mut found = links.link().get().match_name(name.to_owned()).execute();
    let link = found.try_next().await.with_context(|| format!("cannot find link {name}"))?;
    Ok(link.with_context(|| format!("link {name} is gone"))?.header.index)
}

pub(super) async fn bring_up(links: &Handle, name: &str) -> Result<u32> {
    let index = link_index(links, name).await?;
    let up = LinkUnspec::new_with_index(index).up().build();
    let done = links.link().set(up).execute().await;
    done.with_context(|| format!("cannot bring up link {name}"))?;
    Ok(index)
}

/// Brings up the loopback interface, which is down in a new namespace.
pub(super) async fn bring_up_loopback() -> Result<()> {
    let (connection, links, _) = new_connection().context("the kernel has no rtnetlink")?;
    let driver = tokio::spawn(connection);
    let woken = bring_up(&links, "lo").await;
    driver.abort();
    woken.map(drop)
}

/// Gives the host its address, and opens the socket of its probes.
fn configure_host(host: &Host, id: HostId, count: u8) -> Result<UdpSocket> {
    let settled = host.run(move || -> Result<UdpSocket> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        runtime.block_on(configure_interfaces(id, count))?;
        bind_probe_socket(id)
    })?;
    settled.with_context(|| format!("cannot set up the network of {id}"))
}

/// The socket of a host's probes, opened in its namespace.
pub(super) fn bind_probe_socket(id: HostId) -> Result<UdpSocket> {
    let socket = UdpSocket::bind(probe_address(id))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Hosts know each other's hardware addresses for good. If they had to ask, a question lost while
/// the links come up would cost a second, and a long one-way cut would silence the other direction
/// too: its answers are cut.
pub(super) async fn configure_interfaces(id: HostId, count: u8) -> Result<()> {
    let (connection, links, _) = new_connection()?;
    let driver = tokio::spawn(connection);
    bring_up(&links, "lo").await?;
    let eth0 = bring_up(&links, "eth0").await?;
    links.address().add(eth0, host_ip(id), PREFIX_LENGTH).execute().await?;
    for other in super::plan::host_ids(count).filter(|other| *other != id) {
        let known = links.neighbours().add(eth0, host_ip(other)).state(NeighbourState::Permanent);
        known.link_layer_address(&mac_address(other)).execute().await?;
    }
    driver.abort();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_addresses_of_their_own_and_the_ports_differ() {
        let client = replica_address(HostId(0), Port::Client);
        assert_eq!(client.to_string(), "10.77.0.11:7001");
        assert_eq!(replica_address(HostId(4), Port::Peer).to_string(), "10.77.0.15:7002");
        assert!(describe_bridge(5).contains("5 hosts 10.77.0.11 to 10.77.0.15"));
        assert!(describe_bridge(1).ends_with("1 host 10.77.0.11"));
    }
}
