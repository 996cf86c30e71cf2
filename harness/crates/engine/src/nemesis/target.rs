//! What is known when a fault aims, and what it hits. Pure.

use super::grudge;
use std::collections::BTreeSet;
use testbed::host::clock::Skew;
use testbed::net::plan::{HostId, LinkPlan};
use workloads::Rng;

/// What is known when a fault aims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterView {
    /// How many hosts there are.
    pub count: usize,
    /// The leader, where one is reported.
    pub leader: Option<HostId>,
    /// Hosts whose replica runs and is held by no other fault.
    pub free: BTreeSet<HostId>,
}

impl ClusterView {
    /// Whether no other fault holds any of these.
    pub(super) fn are_free(&self, hosts: &[HostId]) -> bool {
        hosts.iter().all(|host| self.free.contains(host))
    }

    /// The free hosts in random order.
    pub(super) fn shuffle_free_hosts(&self, rng: &mut Rng) -> Vec<HostId> {
        let mut hosts: Vec<HostId> = self.free.iter().copied().collect();
        rng.shuffle(&mut hosts);
        hosts
    }
}

/// What a fault hits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// How it was aimed.
    pub variant: String,
    /// The hosts whose replica it acts on.
    pub hosts: Vec<HostId>,
    /// The links that it cuts or shapes.
    pub links: LinkPlan,
    /// How it changes wall clocks; `base_ns` is set when it begins.
    pub skew: Option<Skew>,
    /// The seed of all other random choices of this fault.
    pub random: u64,
    /// The same for a reader.
    pub text: String,
}

impl Target {
    /// The replicas on these hosts.
    pub(super) fn of_replicas(variant: &str, hosts: Vec<HostId>) -> Self {
        let text = grudge::host_names(&hosts);
        Self { variant: variant.to_owned(), hosts, text, ..Self::default() }
    }

    /// These links.
    pub(super) fn of_links(variant: &str, links: LinkPlan, text: String) -> Self {
        Self { variant: variant.to_owned(), links, text, ..Self::default() }
    }
}
