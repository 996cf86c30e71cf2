//! Pauses replicas with SIGSTOP and lets them go on with SIGCONT.
//!
//! Evidence: the kernel reports the process as stopped and its CPU time stands still between begin and end.

use super::ground::Ground;
use super::{
    Before, Fault, Nemesis, REPLICA_VARIANTS, Scene, Seen, Target, aim_at_replicas,
    refuses_replicas,
};
use anyhow::Result;
use futures_util::future::BoxFuture;
use testbed::host::process::Sample;
use testbed::net::plan::HostId;
use workloads::Rng;

/// SIGSTOP, then SIGCONT.
pub(crate) struct Pause;

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
            target.hosts.iter().try_for_each(|host| ground.pause(*host))?;
            ground.stopped_samples(&target.hosts).await
        })
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let after = ground.samples(&fault.target.hosts);
            fault.target.hosts.iter().try_for_each(|host| ground.resume(*host))?;
            Ok(seen(fault, &after?))
        })
    }
}

fn seen(fault: &Fault, after: &Before) -> Seen {
    let pairs = || fault.before.iter().zip(after);
    let hosts = fault.target.hosts.iter();
    let told: Vec<String> =
        hosts.zip(pairs()).map(|(host, (begin, end))| told(*host, begin, end)).collect();
    Seen {
        bit: !told.is_empty() && pairs().all(|(begin, end)| stood_still(begin, end)),
        text: told.join("; "),
    }
}

fn stood_still(begin: &Sample, end: &Sample) -> bool {
    let same =
        (begin.pid, begin.start_time, begin.cpu_ticks) == (end.pid, end.start_time, end.cpu_ticks);
    same && begin.is_stopped() && end.is_stopped()
}

fn told(host: HostId, begin: &Sample, end: &Sample) -> String {
    let used = end.cpu_ticks.saturating_sub(begin.cpu_ticks);
    format!(
        "{host}: pid {} in state {}, then {}, used {used} ticks of CPU",
        begin.pid, begin.state, end.state
    )
}
