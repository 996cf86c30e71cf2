//! Starves replicas of CPU: stops them for most of every moment, as a crowded machine does.
//!
//! Unlike a pause it lets everything go on, too slowly: connections stay, answers and heartbeats come late, and timers
//! fire in bursts. Evidence: the kernel reported the process as stopped several times, and running in between.

use super::ground::Ground;
use super::{
    Before, Fault, Nemesis, REPLICA_VARIANTS, Scene, Seen, Target, aim_at_replicas,
    refuses_replicas,
};
use anyhow::Result;
use futures_util::future::BoxFuture;
use workloads::Rng;

/// Fewer stops than this starve nobody.
const LEAST: u32 = 3;

/// SIGSTOP and SIGCONT in turn.
pub(crate) struct Starve;

impl Nemesis for Starve {
    fn name(&self) -> &'static str {
        "starve"
    }

    fn doc(&self) -> &'static str {
        "leaves replicas a fifth of their CPU time, in slices of 10 ms (SIGSTOP and SIGCONT in turn)"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        REPLICA_VARIANTS
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
            target.hosts.iter().try_for_each(|host| ground.begin_starving(*host))?;
            Ok(before)
        })
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            ground.await_slices(&fault.target.hosts, LEAST).await?;
            let mut stops = Vec::new();
            for host in &fault.target.hosts {
                stops.push(ground.end_starving(*host)?);
            }
            let after = ground.samples(&fault.target.hosts)?;
            Ok(seen(fault, &after, &stops))
        })
    }
}

fn seen(fault: &Fault, after: &Before, stops: &[u32]) -> Seen {
    let pairs = fault.before.iter().zip(after);
    let told: Vec<String> = fault
        .target
        .hosts
        .iter()
        .zip(stops)
        .zip(pairs)
        .map(|((host, stops), (begin, end))| {
            let used = end.cpu_ticks.saturating_sub(begin.cpu_ticks);
            format!("{host}: pid {} was stopped {stops} times, used {used} ticks of CPU", end.pid)
        })
        .collect();
    let same = fault.before.iter().zip(after).all(|(begin, end)| begin.pid == end.pid);
    let often = stops.iter().all(|stops| *stops >= LEAST);
    Seen { bit: same && often && !told.is_empty(), text: told.join("; ") }
}
