//! Connects hosts so that any directed link can be cut, and counts what passed to show that it was.
//!
//! A [`plan::LinkPlan`] says what is wanted. Backends make it so: [`bridge`], a kernel bridge
//! between network namespaces whose forwarding nf_tables filters, and [`proxy`], TCP proxies in
//! this process for machines that refuse namespaces. A third, [`switch`], takes the bridge's place
//! where packets are to be delayed, lost or otherwise shaped. A fourth, [`router`], carries the
//! messages of programs that speak on standard input and output. A change is one step: no moment
//! shows half of it. The controller's own connections to the replicas are never cut, unless a plan
//! for the switch says so. All backends send probes of their own over every directed link all the
//! time, the way that replicas' bytes take, so evidence of a cut does not depend on what replicas
//! happen to say.

mod bridge;
mod filter;
mod nft;
pub mod plan;
mod port;
mod probe;
mod proxy;
pub mod router;
pub mod switch;
mod traffic;

use crate::host::process::Replica;
use crate::host::sandbox;
use crate::host::thread::Host;
use crate::random::Rng;
use anyhow::{Context as _, Result, bail, ensure};
use plan::{HostId, LinkPlan};
pub use port::Port;
use router::{Router, Routing};
use std::ffi::OsString;
use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use switch::LinkCounts;
use traffic::LinkTotals;
pub use traffic::{PairEvidence, TrafficSnapshot};

/// The most hosts a network has.
const MAX_HOSTS: u8 = 64;

/// What the network is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A kernel bridge between network namespaces; needs the sandbox.
    Bridge,
    /// TCP proxies on the loopback interface; needs nothing.
    Proxy,
    /// A router of lines on standard input and output; needs nothing.
    Router,
    /// An Ethernet switch in this process between network namespaces; needs the sandbox.
    Switch,
}

/// The hosts and the links between them. Dropping it ends the hosts and all that runs on them.
pub struct Network {
    hosts: Vec<Host>,
    links: Links,
}

enum Links {
    Bridge(bridge::Bridge),
    Proxy(proxy::Proxies),
    Router(Router),
    Switch(switch::Switch),
}

/// A change of the links that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Directed links that are cut now.
    pub(crate) cuts: usize,
    /// How long the change took.
    pub took: Duration,
}

impl Network {
    /// Builds the hosts and whole links between them; every link has been seen to work.
    ///
    /// The seed decides what a switch leaves to chance, and a path has it capture every frame
    /// there.
    pub async fn build(
        backend: Backend,
        count: u8,
        seed: u64,
        capture: Option<PathBuf>,
    ) -> Result<Self> {
        ensure!(
            (1..=MAX_HOSTS).contains(&count),
            "a network has 1 to {MAX_HOSTS} hosts, not {count}"
        );
        let make = |id: HostId| match backend {
            Backend::Bridge | Backend::Switch => Host::isolated(&id.to_string()),
            Backend::Proxy | Backend::Router => Host::shared(&id.to_string()),
        };
        let hosts = plan::host_ids(count).map(make).collect::<Result<Vec<_>>>()?;
        let links = match backend {
            Backend::Bridge => Links::Bridge(bridge::Bridge::build(&hosts).await?),
            Backend::Switch => {
                Links::Switch(switch::Switch::build(&hosts, &Rng::new(seed), capture).await?)
            }
            Backend::Proxy => {
                bring_up_loopback().await?;
                Links::Proxy(proxy::Proxies::build(count).await?)
            }
            Backend::Router => bail!("a router is built with its routing; this is a bug"),
        };
        Ok(Self { hosts, links })
    }

    /// Builds a router and hosts whose replicas are to speak to it; every message is written down
    /// there.
    pub async fn build_routed(
        count: u8,
        seed: u64,
        routing: Routing,
        messages: &Path,
    ) -> Result<Self> {
        ensure!(
            (1..=MAX_HOSTS).contains(&count),
            "a network has 1 to {MAX_HOSTS} hosts, not {count}"
        );
        bring_up_loopback().await?;
        let hosts = plan::host_ids(count).map(|id| Host::shared(&id.to_string()));
        let hosts = hosts.collect::<Result<Vec<_>>>()?;
        let router = Router::build(count, &Rng::new(seed), routing, messages).await?;
        Ok(Self { hosts, links: Links::Router(router) })
    }

    /// Where a replica on `host` has to listen.
    pub fn listen_addr(&self, host: HostId, port: Port) -> SocketAddr {
        match &self.links {
            Links::Bridge(_) | Links::Switch(_) => bridge::replica_address(host, port),
            Links::Proxy(proxies) => proxies.listen_addr(host, port),
            Links::Router(router) => router.address(),
        }
    }

    /// Where a replica on `from` reaches the peer port of the one on `to`: every link has its own
    /// address.
    pub fn dial_addr(&self, from: HostId, to: HostId) -> SocketAddr {
        match &self.links {
            Links::Proxy(proxies) if from != to => proxies.dial_addr(from, to),
            _ => self.listen_addr(to, Port::Peer),
        }
    }

    /// Where the controller's clients reach the replica on `host`, whatever is cut.
    pub fn client_addr(&self, host: HostId) -> SocketAddr {
        self.listen_addr(host, Port::Client)
    }

    /// One of the hosts.
    pub fn host(&self, host: HostId) -> Result<&Host> {
        let there = self.hosts.get(usize::from(host.0));
        there.with_context(|| format!("there is no host {host} in this network"))
    }

    /// A socket of the controller's on a host, to see how the links do.
    pub fn bind_udp_socket(&self, host: HostId) -> Result<UdpSocket> {
        let there = self.host(host)?;
        let address = SocketAddr::new(self.listen_addr(host, Port::Peer).ip(), 0);
        there.run(move || UdpSocket::bind(address))?.context("a host has no socket left")
    }

    /// Starts a program on a host; what it prints is appended to the log.
    pub fn spawn_replica(
        &self,
        host: HostId,
        program: &Path,
        args: &[OsString],
        log: &Path,
    ) -> Result<Replica> {
        let there = self.host(host)?;
        let Links::Router(router) = &self.links else {
            return Replica::spawn(there, program, args, log);
        };
        let (replica, pipes) = Replica::spawn_with_pipes(there, program, args, log)?;
        router.attach_node(host, pipes)?;
        Ok(replica)
    }

    /// Applies the plan to all links at once.
    pub async fn apply_plan(&self, plan: &LinkPlan) -> Result<Applied> {
        let begin = Instant::now();
        match &self.links {
            Links::Bridge(bridge) => bridge.apply_plan(plan).await?,
            Links::Proxy(proxies) => proxies.apply_plan(plan),
            Links::Router(router) => router.apply_plan(plan),
            Links::Switch(switch) => switch.apply_plan(plan)?,
        }
        Ok(Applied { cuts: plan.cuts.len(), took: begin.elapsed() })
    }

    /// Starts to count evidence. Call it right after [`Fabric::apply`], and [`Fabric::since`]
    /// before the next one: what was under way while the links changed proves nothing.
    pub fn snapshot_traffic(&self) -> TrafficSnapshot {
        TrafficSnapshot(match &self.links {
            Links::Bridge(bridge) => bridge.snapshot_traffic(),
            Links::Proxy(proxies) => proxies.snapshot_traffic(),
            Links::Router(router) => router.snapshot_traffic(),
            Links::Switch(switch) => switch.snapshot_traffic(),
        })
    }

    /// What passed every directed link since the mark, in order of (from, to).
    pub async fn traffic_since(&self, mark: &TrafficSnapshot) -> Result<Vec<PairEvidence>> {
        let now = match &self.links {
            Links::Bridge(bridge) => bridge.traffic_since(&mark.0).await?,
            Links::Proxy(proxies) => proxies.traffic_since(&mark.0),
            Links::Router(router) => router.traffic_since(&mark.0),
            Links::Switch(switch) => switch.traffic_since(&mark.0),
        };
        let count = u8::try_from(self.hosts.len()).unwrap_or(MAX_HOSTS);
        let evidence = |((from, to), tally): ((HostId, HostId), LinkTotals)| {
            let LinkTotals { offered, delivered, dropped } = tally;
            PairEvidence { from, to, offered, delivered, dropped }
        };
        Ok(plan::directed_pairs(count).zip(now).map(evidence).collect())
    }

    /// What it is made of, in a sentence.
    pub fn describe(&self) -> String {
        let count = self.hosts.len();
        match &self.links {
            Links::Bridge(_) => bridge::describe_bridge(count),
            Links::Proxy(proxies) => proxies.describe(count),
            Links::Router(router) => router.describe(),
            Links::Switch(switch) => switch.describe(),
        }
    }

    /// What every directed link has done to packets so far; only a switch and a router know.
    pub fn link_counts(&self) -> Option<LinkCounts> {
        match &self.links {
            Links::Router(router) => Some(router.link_counts()),
            Links::Switch(switch) => Some(switch.link_counts()),
            Links::Bridge(_) | Links::Proxy(_) => None,
        }
    }

    /// How replicas broke the protocol in which the harness carries what they say, in a sentence.
    pub fn protocol_error(&self) -> Option<String> {
        match &self.links {
            Links::Router(router) => router.protocol_error(),
            Links::Switch(_) | Links::Bridge(_) | Links::Proxy(_) => None,
        }
    }

    /// What went wrong with the network itself, in a sentence.
    pub fn network_error(&self) -> Option<String> {
        match &self.links {
            Links::Router(router) => router.network_error(),
            Links::Switch(switch) => switch.network_error(),
            Links::Bridge(_) | Links::Proxy(_) => None,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Proxy => "proxy",
            Self::Router => "router",
            Self::Switch => "switch",
        })
    }
}

/// Inside the sandbox the loopback interface sleeps at first.
pub async fn bring_up_loopback() -> Result<()> {
    if sandbox::is_inside() { bridge::bring_up_loopback().await } else { Ok(()) }
}

/// Tries nf_tables in the network namespace of the calling thread, for the doctor.
pub(crate) fn try_filter() -> Result<()> {
    filter::Filter::install().map(drop)
}
