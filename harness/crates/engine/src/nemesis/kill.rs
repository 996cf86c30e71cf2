//! Kills replicas with SIGKILL and starts them again from their disks.
//!
//! Evidence: the process that was there is gone, and the one that is there now has another pid and start time.

use super::ground::Ground;
use super::{
    Before, Fault, Nemesis, REPLICA_VARIANTS, Scene, Seen, Target, aim_at_replicas,
    refuses_replicas,
};
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::time::Duration;
use workloads::Rng;

/// The variant whose replicas come back one by one: those that are back must go on with too few for a while.
const STAGGERED: &str = "staggered";
/// How much later each of them is started than the one before.
const STAGGER: Duration = Duration::from_millis(300);

/// SIGKILL, then a restart.
pub(crate) struct Kill;

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

    fn refuses(&self, aim: &str, count: usize) -> Option<String> {
        refuses_replicas(self.name(), aim, count)
    }

    fn aim(&self, variant: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
        aim_at_replicas(variant, scene, rng)
    }

    fn begin<'a>(
        &'a self,
        target: &'a Target,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<Before>> {
        Box::pin(async move {
            let before = ground.samples(&target.hosts)?;
            target.hosts.iter().try_for_each(|host| ground.kill(*host))?;
            Ok(before)
        })
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let gap = if fault.planned.variant == STAGGERED { STAGGER } else { Duration::ZERO };
            for host in &fault.target.hosts {
                ground.restart(*host)?;
                tokio::time::sleep(gap).await;
            }
            let after = ground.samples(&fault.target.hosts)?;
            Ok(seen(fault, &after))
        })
    }
}

fn seen(fault: &Fault, after: &Before) -> Seen {
    let pairs = || fault.before.iter().zip(after);
    let replaced = pairs().all(|(old, new)| (old.pid, old.start_time) != (new.pid, new.start_time));
    let told: Vec<String> = fault
        .target
        .hosts
        .iter()
        .zip(pairs())
        .map(|(host, (old, new))| {
            format!("{host}: pid {} died, pid {} took over", old.pid, new.pid)
        })
        .collect();
    Seen { bit: replaced && !told.is_empty(), text: told.join("; ") }
}
