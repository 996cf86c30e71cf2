//! Pauses replicas with SIGSTOP and resumes them with SIGCONT.
//!
//! Evidence: the kernel reports the process as stopped, and its CPU time does not grow between
//! begin and end.

use super::aim::{REPLICA_VARIANTS, aim_at_replicas, reject_replicas};
use super::samples::ReplicaSamples;
use super::{ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Target, try_all};
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::time::Duration;
use testbed::host::process::Sample;
use testbed::net::plan::HostId;
use workloads::Rng;

/// How much longer than planned the fault may last until every replica has stopped.
const MAX_EXTENSION: Duration = Duration::from_secs(2);

/// SIGSTOP, then SIGCONT.
pub(super) struct Pause;

impl Nemesis for Pause {
    fn name(&self) -> &'static str {
        "pause"
    }

    fn doc(&self) -> &'static str {
        "stops replicas in the middle of whatever they do (SIGSTOP) and lets them go on (SIGCONT)"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        REPLICA_VARIANTS
    }

    fn reject_aim(&self, aim: &str, hosts: usize) -> Option<String> {
        reject_replicas(self, aim, hosts)
    }

    fn choose_target(&self, variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
        aim_at_replicas(variant, view, rng)
    }

    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a> {
        Box::pin(async move {
            target.hosts.iter().try_for_each(|host| cluster.member(*host).pause(self.name()))?;
            let before = cluster.sample_when_stopped(&target.hosts).await?;
            let samples = ReplicaSamples::begin_with(&target.hosts, before);
            Ok(Box::new(PausedReplicas { samples }) as Box<dyn ActiveFault>)
        })
    }
}

/// Replicas that are stopped.
struct PausedReplicas {
    samples: ReplicaSamples,
}

impl ActiveFault for PausedReplicas {
    /// A process that waits for its disk stops only when the disk has answered.
    fn needs_more_time(&mut self, cluster: &mut Cluster, extended: Duration) -> Result<bool> {
        if self.samples.before().iter().all(Sample::is_stopped) {
            return Ok(false);
        }
        let hosts = self.samples.hosts().to_vec();
        self.samples = ReplicaSamples::sample_before(cluster, &hosts)?;
        Ok(extended < MAX_EXTENSION)
    }

    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let sampled = self.samples.sample_after(cluster);
            try_all(self.samples.hosts(), |host| cluster.member(*host).resume_and_release())?;
            sampled
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        let texts: Vec<String> = self.samples.pairs().map(describe_pause).collect();
        Ok(Evidence::from_hosts(self.samples.pairs().all(was_stopped), &texts))
    }
}

fn was_stopped((_, begin, end): (HostId, &Sample, &Sample)) -> bool {
    let same =
        (begin.pid, begin.start_time, begin.cpu_ticks) == (end.pid, end.start_time, end.cpu_ticks);
    same && begin.is_stopped() && end.is_stopped()
}

fn describe_pause((host, begin, end): (HostId, &Sample, &Sample)) -> String {
    let used = end.cpu_ticks.saturating_sub(begin.cpu_ticks);
    format!(
        "{host}: pid {} in state {}, then {}, used {used} ticks of CPU",
        begin.pid, begin.state, end.state
    )
}
