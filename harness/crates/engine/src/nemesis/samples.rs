//! Processes of the replicas that a fault acts on, sampled before and after it.

use super::Cluster;
use anyhow::Result;
use testbed::host::process::Sample;
use testbed::net::plan::HostId;

/// What the kernel reported of some replicas before a fault, and once it ended.
#[derive(Default)]
pub(super) struct ReplicaSamples {
    hosts: Vec<HostId>,
    before: Vec<Sample>,
    after: Vec<Sample>,
}

impl ReplicaSamples {
    /// Samples these replicas now, before the fault.
    pub(super) fn sample_before(cluster: &mut Cluster, hosts: &[HostId]) -> Result<Self> {
        Ok(Self::begin_with(hosts, cluster.sample_replicas(hosts)?))
    }

    /// Takes samples of these replicas from the beginning of the fault.
    pub(super) fn begin_with(hosts: &[HostId], before: Vec<Sample>) -> Self {
        Self { hosts: hosts.to_vec(), before, after: Vec::new() }
    }

    /// Samples the replicas again.
    pub(super) fn sample_after(&mut self, cluster: &mut Cluster) -> Result<()> {
        self.after = cluster.sample_replicas(&self.hosts)?;
        Ok(())
    }

    pub(super) fn before(&self) -> &[Sample] {
        &self.before
    }

    pub(super) fn hosts(&self) -> &[HostId] {
        &self.hosts
    }

    /// Each replica that was sampled twice: its host, before, after.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (HostId, &Sample, &Sample)> {
        let samples = self.before.iter().zip(&self.after);
        self.hosts.iter().zip(samples).map(|(host, (before, after))| (*host, before, after))
    }

    /// Whether each process is another one than before.
    pub(super) fn were_replaced(&self) -> bool {
        self.pairs().all(|(_, old, new)| (old.pid, old.start_time) != (new.pid, new.start_time))
    }
}
