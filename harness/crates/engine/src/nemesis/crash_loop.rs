//! Kills replicas again and again, as soon as each has run for a moment: recovery itself is interrupted.
//!
//! A loop that other work has kept from turning goes on a little longer. Evidence: every replica was killed at least twice, and another process than at the beginning runs at the end.

use super::ground::Ground;
use super::{
    Before, Fault, Nemesis, REPLICA_VARIANTS, Scene, Seen, Target, aim_at_replicas,
    refuses_replicas,
};
use anyhow::Result;
use futures_util::future::BoxFuture;
use workloads::Rng;

/// Fewer deaths than this are no loop.
const LEAST: u32 = 2;

/// SIGKILL after every start.
pub(crate) struct CrashLoop;

impl Nemesis for CrashLoop {
    fn name(&self) -> &'static str {
        "crash-loop"
    }

    fn doc(&self) -> &'static str {
        "kills replicas every time they have run for some tenths of a second, as a supervisor restarts them"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        REPLICA_VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (1_500, 4_000)
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
            target.hosts.iter().try_for_each(|host| ground.begin_crashing(*host))?;
            Ok(before)
        })
    }

    fn linger<'a>(
        &'a self,
        fault: &'a mut Fault,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(ground.await_crashes(&fault.target.hosts, LEAST))
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let mut deaths = Vec::new();
            for host in &fault.target.hosts {
                deaths.push(ground.end_crashing(*host)?);
            }
            let after = ground.samples(&fault.target.hosts)?;
            Ok(seen(fault, &after, &deaths))
        })
    }
}

fn seen(fault: &Fault, after: &Before, deaths: &[u32]) -> Seen {
    let pairs = || fault.before.iter().zip(after);
    let replaced = pairs().all(|(old, new)| (old.pid, old.start_time) != (new.pid, new.start_time));
    let hosts = fault.target.hosts.iter().zip(deaths);
    let told: Vec<String> = hosts
        .zip(pairs())
        .map(|((host, deaths), (old, new))| {
            format!("{host}: killed {deaths} times, from pid {} to pid {}", old.pid, new.pid)
        })
        .collect();
    let often = deaths.iter().all(|deaths| *deaths >= LEAST);
    Seen { bit: replaced && often && !told.is_empty(), text: told.join("; ") }
}
