//! The links between hosts: what they are to be, what they are, and what passed them.
//!
//! A change takes two moves, a setter and [`Links::apply`], so that a partition that turns into
//! another one is a single change of the network.

use crate::system::Program;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::Path;
use testbed::host::process::Replica;
use testbed::net::plan::{HostId, LinkPlan};
use testbed::net::switch::shape::Shape;
use testbed::net::switch::{LinkCounts, PacketCounts};
use testbed::net::{Network, PairEvidence, TrafficSnapshot};

/// The network, its desired state and its applied state.
pub(crate) struct Links {
    network: Network,
    desired: LinkPlan,
    applied: LinkPlan,
    /// Since when probes are counted.
    cuts_mark: TrafficSnapshot,
    /// The packet counters when a shape last changed.
    shapes_baseline: LinkCounts,
}

impl Links {
    /// A network without faults.
    pub(super) fn new(network: Network) -> Self {
        let (cuts_mark, shapes_baseline) =
            (network.snapshot_traffic(), network.link_counts().unwrap_or_default());
        let (desired, applied) = (LinkPlan::healed(), LinkPlan::healed());
        Self { network, desired, applied, cuts_mark, shapes_baseline }
    }

    /// Which links are to be cut from the next [`Links::apply`] on. Shapes stay.
    pub(in super::super) fn set_cuts(&mut self, links: &LinkPlan) {
        self.desired.cuts.clone_from(&links.cuts);
    }

    /// What links are to do to packets from the next [`Links::apply`] on. Cuts stay.
    pub(in super::super) fn set_shapes(&mut self, shapes: BTreeMap<(HostId, HostId), Shape>) {
        self.desired.shapes = shapes;
    }

    /// Makes the network what was set, in one change, and counts evidence from then on.
    pub(in super::super) async fn apply(&mut self) -> Result<()> {
        if self.desired == self.applied {
            return Ok(());
        }
        self.network.apply_plan(&self.desired).await?;
        let before = std::mem::replace(&mut self.applied, self.desired.clone());
        if before.cuts != self.applied.cuts {
            self.cuts_mark = self.network.snapshot_traffic();
        }
        if before.shapes != self.applied.shapes {
            self.shapes_baseline = self.network.link_counts().unwrap_or_default();
        }
        Ok(())
    }

    /// Removes all cuts and shapes.
    pub(super) async fn heal(&mut self) -> Result<()> {
        self.desired = LinkPlan::healed();
        self.apply().await
    }

    /// What probes met since cuts last changed. Links that are shaped and not cut are left out:
    /// they may lose all.
    pub(in super::super) async fn cut_evidence(&mut self) -> Result<Vec<PairEvidence>> {
        let mut evidence = self.network.traffic_since(&self.cuts_mark).await?;
        let LinkPlan { cuts, shapes } = &self.applied;
        evidence.retain(|pair| {
            let link = (pair.from, pair.to);
            cuts.contains(&link) || !shapes.contains_key(&link)
        });
        Ok(evidence)
    }

    /// What links have done to packets since a shape last changed.
    pub(in super::super) fn shape_evidence(&self) -> Result<LinkCounts> {
        let counts = self.network.link_counts().context("only a switch shapes links")?;
        let since = |(link, now): (_, PacketCounts)| {
            (link, now - self.shapes_baseline.get(&link).copied().unwrap_or_default())
        };
        Ok(counts.into_iter().map(since).collect())
    }

    /// How replicas violated the protocol in which the harness carries their messages.
    pub(crate) fn protocol_error(&self) -> Option<String> {
        self.network.protocol_error()
    }

    /// What went wrong with the network itself.
    pub(crate) fn network_error(&self) -> Option<String> {
        self.network.network_error()
    }

    /// Starts a program on a host; its output is appended to `log`.
    pub(super) fn spawn_replica(
        &self,
        host: HostId,
        program: &Program,
        log: &Path,
    ) -> Result<Replica> {
        self.network.spawn_replica(host, &program.path, &program.args, log)
    }
}
