//! Kills replicas with SIGKILL and starts them again from their disks.
//!
//! Evidence: the process from before is gone, and the one that runs now has another pid and start
//! time.

use super::aim::{REPLICA_VARIANTS, aim_at_replicas, reject_replicas};
use super::samples::ReplicaSamples;
use super::{ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Target};
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::time::Duration;
use workloads::Rng;

/// The variant whose replicas come back one by one: for a while there are too few for a majority.
const STAGGERED: &str = "staggered";
/// How much later each of them is started than the one before.
const STAGGER: Duration = Duration::from_millis(300);

/// SIGKILL, then a restart.
pub(super) struct Kill;

impl Nemesis for Kill {
    fn name(&self) -> &'static str {
        "kill"
    }

    fn doc(&self) -> &'static str {
        "kills replicas (SIGKILL) and starts them again from what their disks hold"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        const VARIANTS: [(&str, &str); REPLICA_VARIANTS.len() + 1] = {
            let mut variants = [(STAGGERED, "every replica, started again one after the other"); _];
            let mut i = 0;
            while i < REPLICA_VARIANTS.len() {
                variants[i] = REPLICA_VARIANTS[i];
                i += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn reject_aim(&self, aim: &str, hosts: usize) -> Option<String> {
        reject_replicas(self, aim, hosts)
    }

    fn choose_target(&self, variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
        aim_at_replicas(variant, view, rng)
    }

    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a> {
        Box::pin(async move {
            let samples = ReplicaSamples::sample_before(cluster, &target.hosts)?;
            target.hosts.iter().try_for_each(|host| cluster.member(*host).kill(self.name()))?;
            let gap = if target.variant == STAGGERED { STAGGER } else { Duration::ZERO };
            Ok(Box::new(KilledReplicas { samples, gap }) as Box<dyn ActiveFault>)
        })
    }
}

/// Replicas that are down.
struct KilledReplicas {
    samples: ReplicaSamples,
    /// How long to wait after each restart.
    gap: Duration,
}

impl ActiveFault for KilledReplicas {
    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            for host in self.samples.hosts() {
                cluster.restart_replica(*host)?;
                tokio::time::sleep(self.gap).await;
            }
            self.samples.sample_after(cluster)
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        let mut texts = Vec::new();
        for (host, before, after) in self.samples.pairs() {
            texts.push(format!(
                "{host}: killed (pid {}), restarted (pid {})",
                before.pid, after.pid
            ));
        }
        Ok(Evidence::from_hosts(self.samples.were_replaced(), &texts))
    }
}
