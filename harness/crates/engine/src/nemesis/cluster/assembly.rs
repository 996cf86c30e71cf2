//! The cluster as a whole: its hosts, links, members and clients.

use super::links::Links;
use super::member::{Member, Roster};
use super::telemetry::Telemetry;
use crate::system::Client;
use anyhow::{Context as _, Result};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use testbed::host::process::Sample;
use testbed::net::Network;
use testbed::net::plan::HostId;
use tokio::time::{Instant, sleep};

/// How long a process may take to be reported as stopped.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);
const STOP_POLL: Duration = Duration::from_millis(2);

/// The hosts of a run, the links between them and the replicas on them.
pub struct Cluster {
    /// The network.
    pub(in super::super) links: Links,
    pub(super) members: Vec<Member>,
    clients: Vec<Arc<dyn Client>>,
    /// Replicas that have been restarted after they exited by themselves, since the executor last
    /// asked.
    pub(super) restarted: Vec<HostId>,
}

impl Cluster {
    /// Running replicas, in order of host, on a network without faults. `clients` has a client of
    /// each replica.
    pub(crate) fn new(
        network: Network,
        members: Vec<Member>,
        clients: Vec<Arc<dyn Client>>,
    ) -> Self {
        Self { links: Links::new(network), members, clients, restarted: Vec::new() }
    }

    /// How many hosts there are.
    pub(crate) fn host_count(&self) -> usize {
        self.members.len()
    }

    /// All hosts, in order.
    pub(in super::super) fn hosts(&self) -> Vec<HostId> {
        super::super::grudge::all_hosts(self.host_count())
    }

    /// A client of each replica, in order of host.
    pub(crate) fn clients(&self) -> &[Arc<dyn Client>] {
        &self.clients
    }

    /// The client of the replica on that host.
    pub(in super::super) fn client(&self, host: HostId) -> Result<&Arc<dyn Client>> {
        let client = self.clients.get(usize::from(host.0));
        client.with_context(|| format!("there is no client of {host}"))
    }

    /// The member on that host.
    pub(in super::super) fn member(&mut self, host: HostId) -> &mut Member {
        &mut self.members[usize::from(host.0)]
    }

    /// The hosts whose replica runs and is held by no fault.
    pub(in super::super) fn free_hosts(&self) -> BTreeSet<HostId> {
        self.members.iter().filter(|member| member.is_free()).map(Member::host).collect()
    }

    /// Of every other host, why it is not free.
    pub(in super::super) fn explain_busy_hosts(&self) -> Vec<String> {
        self.members.iter().filter_map(Member::explain_busy).collect()
    }

    /// The leader, as reported by the replica with the greatest term. For aiming only: no check
    /// relies on it.
    pub(in super::super) async fn fetch_leader(&self) -> Option<HostId> {
        crate::system::find_leadership(&self.clients).await.map(|leadership| leadership.leader)
    }

    /// Whether some host has no member of the system, or may have none.
    pub(in super::super) fn may_lack_members(&self) -> bool {
        self.members.iter().any(|member| member.lasting.roster != Roster::Member)
    }

    /// Starts a replica whose process has ended.
    pub(in super::super) fn restart_replica(&mut self, host: HostId) -> Result<()> {
        self.members[usize::from(host.0)].restart(&self.links)
    }

    /// What the kernel reports of these replicas now.
    pub(in super::super) fn sample_replicas(&mut self, hosts: &[HostId]) -> Result<Vec<Sample>> {
        hosts.iter().map(|host| self.member(*host).sample()).collect()
    }

    /// The same, once all of them are stopped. After [`STOP_TIMEOUT`] the samples say that some
    /// are not.
    pub(in super::super) async fn sample_when_stopped(
        &mut self,
        hosts: &[HostId],
    ) -> Result<Vec<Sample>> {
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            let samples = self.sample_replicas(hosts)?;
            if samples.iter().all(Sample::is_stopped) || Instant::now() > deadline {
                return Ok(samples);
            }
            sleep(STOP_POLL).await;
        }
    }

    /// How replicas violated the protocol in which the harness carries their messages.
    pub(crate) fn protocol_error(&self) -> Option<String> {
        self.links.protocol_error()
    }

    /// What went wrong with the network itself.
    pub(crate) fn network_error(&self) -> Option<String> {
        self.links.network_error()
    }

    /// Has every member report changes of its process and clock there from now on.
    pub(crate) fn report_to(&mut self, telemetry: &Telemetry) {
        self.members.iter_mut().for_each(|member| member.report_to(telemetry.clone()));
    }
}
