//! Pauses replicas with SIGSTOP and resumes them with SIGCONT.
//!
//! Evidence: the kernel reports the process as stopped, and its CPU time does not grow between
//! begin and end.

use super::aim::{REPLICA_VARIANTS, aim_at_replicas, reject_replicas};
use super::{ActiveFault, Cluster, ClusterView, Evidence, Nemesis, Target, try_all};
use anyhow::Result;
use futures_util::future::BoxFuture;
use testbed::host::process::Sample;
use testbed::net::plan::HostId;
use workloads::Rng;

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

    fn begin_fault<'a>(
        &'a self,
        target: &'a Target,
        cluster: &'a mut Cluster,
    ) -> BoxFuture<'a, Result<Box<dyn ActiveFault>>> {
        Box::pin(async move {
            let hosts = target.hosts.clone();
            hosts.iter().try_for_each(|host| cluster.member(*host).pause(self.name()))?;
            let before = cluster.sample_when_stopped(&hosts).await?;
            let after = Vec::new();
            Ok(Box::new(PausedReplicas { hosts, before, after }) as Box<dyn ActiveFault>)
        })
    }
}

/// Replicas that are stopped.
struct PausedReplicas {
    hosts: Vec<HostId>,
    before: Vec<Sample>,
    after: Vec<Sample>,
}

impl ActiveFault for PausedReplicas {
    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let after = cluster.sample_replicas(&self.hosts);
            try_all(&self.hosts, |host| cluster.member(*host).resume_and_release())?;
            self.after = after?;
            Ok(())
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        let pairs = || self.before.iter().zip(&self.after);
        let texts: Vec<String> = self
            .hosts
            .iter()
            .zip(pairs())
            .map(|(host, pair)| describe_pause(*host, pair))
            .collect();
        Ok(Evidence::from_hosts(pairs().all(was_stopped), &texts))
    }
}

fn was_stopped((begin, end): (&Sample, &Sample)) -> bool {
    let same =
        (begin.pid, begin.start_time, begin.cpu_ticks) == (end.pid, end.start_time, end.cpu_ticks);
    same && begin.is_stopped() && end.is_stopped()
}

fn describe_pause(host: HostId, (begin, end): (&Sample, &Sample)) -> String {
    let used = end.cpu_ticks.saturating_sub(begin.cpu_ticks);
    format!(
        "{host}: pid {} in state {}, then {}, used {used} ticks of CPU",
        begin.pid, begin.state, end.state
    )
}
