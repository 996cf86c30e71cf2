//! Takes the power from hosts: their replicas die, and all they had written and not synced is lost.
//!
//! The power goes at the worst moment that can be arranged: during an fsync. Of what was written,
//! nothing is kept, or some first part of it, cut between two sectors: a torn write. Where a
//! majority loses power, the other replicas are paused while it comes back: a replica that kept
//! everything would hide what was lost. Evidence: another process runs now, and the disk, to which
//! something had been written, counted what it dropped.

use super::super::aim::{REPLICA_VARIANTS, aim_at_replicas, reject_replicas};
use super::super::samples::ReplicaSamples;
use super::super::{
    ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Requirement, Target, grudge,
};
use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use std::time::Duration;
use testbed::host::disk::{self, Disk, LostWrites};
use testbed::host::process::Replica;
use testbed::net::plan::HostId;
use tokio::task::block_in_place;
use tokio::time::Instant;
use workloads::Rng;

/// How long the fault waits for a moment in which every disk holds a sync.
const SYNC_TIMEOUT: Duration = Duration::from_millis(150);
const SYNC_POLL: Duration = Duration::from_millis(1);
/// How long after SIGKILL is sent the disk fails what waits for it: the dead do not notice.
const RELEASE_DELAY: Duration = Duration::from_millis(3);
/// How long the others are paused while a majority comes back and goes on without them.
const OTHERS_PAUSE: Duration = Duration::from_millis(1_200);
/// Of 100 power losses, how many keep a first part of what was not synced.
const TORN_PERCENT: u64 = 50;

/// SIGKILL, the loss of what is not synced, then a restart.
pub(in super::super) struct PowerLoss;

impl Nemesis for PowerLoss {
    fn name(&self) -> &'static str {
        "power-loss"
    }

    fn doc(&self) -> &'static str {
        "kills replicas, drops what they had not synced (bytes and names; some writes torn), \
         and starts them again"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        REPLICA_VARIANTS
    }

    fn requirements(&self) -> &'static [Requirement] {
        &[Requirement::Disks]
    }

    fn unsupported_here(&self) -> Option<String> {
        disk::no_power_loss_reason().map(|why| format!("{why}; do without {}", self.name()))
    }

    fn reject_aim(&self, aim: &str, hosts: usize) -> Option<String> {
        reject_replicas(self, aim, hosts)
    }

    fn choose_target(&self, variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
        let target = aim_at_replicas(variant, view, rng)?;
        let random = if rng.percent_chance(TORN_PERCENT) { rng.below(1_000) } else { 0 };
        Some(Target { random, ..target })
    }

    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a> {
        Box::pin(async move {
            let samples = ReplicaSamples::sample_before(cluster, &target.hosts)?;
            await_syncs(&target.hosts, cluster).await?;
            let mut fault = PowerOutage { samples, ..PowerOutage::default() };
            for host in &target.hosts {
                let loss = cut_power(*host, target.random, cluster)?;
                fault.replicas.push(PowerlessReplica { host: *host, loss, written: 0 });
            }
            Ok(Box::new(fault) as Box<dyn ActiveFault>)
        })
    }
}

/// Replicas without power.
#[derive(Default)]
struct PowerOutage {
    replicas: Vec<PowerlessReplica>,
    samples: ReplicaSamples,
    /// The replicas that were paused meanwhile.
    paused: Vec<HostId>,
}

struct PowerlessReplica {
    host: HostId,
    /// What its disk dropped.
    loss: LostWrites,
    /// How many bytes had ever been written to its disk.
    written: u64,
}

impl ActiveFault for PowerOutage {
    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let hosts = self.samples.hosts();
            self.paused = pause_others(hosts, cluster)?;
            hosts.iter().try_for_each(|host| cluster.restart_replica(*host))?;
            self.samples.sample_after(cluster)?;
            for replica in &mut self.replicas {
                replica.written = cluster.member(replica.host).disk()?.written_bytes();
            }
            Ok(())
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        let mut texts: Vec<String> = self
            .replicas
            .iter()
            .zip(self.samples.pairs())
            .map(|(it, (host, old, new))| {
                let (old, new) = (old.pid, new.pid);
                format!("{host}: killed (pid {old}); {it}; restarted (pid {new})")
            })
            .collect();
        let has_written = self.replicas.iter().all(|replica| replica.written > 0);
        let confirmed = self.samples.were_replaced() && has_written && !texts.is_empty();
        if !self.paused.is_empty() {
            let (names, ms) = (grudge::host_names(&self.paused), OTHERS_PAUSE.as_millis());
            texts.push(format!("meanwhile, and for {ms} ms more, {names} were paused"));
        }
        Ok(Evidence { confirmed, text: texts.join(". ") })
    }
}

impl std::fmt::Display for PowerlessReplica {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LostWrites { bytes, files, names, torn } = self.loss;
        let kept = if torn > 0 { format!(" ({torn} kept)") } else { String::new() };
        let written = self.written;
        write!(
            f,
            "of {written} bytes ever written it lost {bytes} unsynced ones in {files} files{kept} \
             and {names} names"
        )
    }
}

/// Waits until each of these disks holds a sync, or patience ends: some replicas may have nothing
/// to write.
async fn await_syncs(hosts: &[HostId], cluster: &mut Cluster) -> Result<()> {
    for host in hosts {
        cluster.member(*host).disk()?.set_fault(disk::Fault::HoldSync);
    }
    let deadline = Instant::now() + SYNC_TIMEOUT;
    let mut holds = |host: &HostId| cluster.member(*host).disk().is_ok_and(Disk::is_holding_sync);
    while Instant::now() < deadline && !hosts.iter().all(&mut holds) {
        tokio::time::sleep(SYNC_POLL).await;
    }
    Ok(())
}

/// Pauses the replicas that a majority which comes back must do without, for a while. The
/// supervisor resumes them.
fn pause_others(hosts: &[HostId], cluster: &mut Cluster) -> Result<Vec<HostId>> {
    let count = cluster.host_count();
    let others = Vec::from_iter(cluster.free_hosts());
    if hosts.len() <= count / 2 || hosts.len() + others.len() < count {
        return Ok(Vec::new());
    }
    for host in &others {
        let until = std::time::Instant::now() + OTHERS_PAUSE;
        cluster.member(*host).pause_until(PowerLoss.name(), Some(until))?;
    }
    Ok(others)
}

/// Kills a replica and drops what it has not synced, but for a first part of each file's.
fn cut_power(host: HostId, kept_thousandths: u64, cluster: &mut Cluster) -> Result<LostWrites> {
    let member = cluster.member(host);
    member.kill_with(PowerLoss.name(), kill_during_sync)?;
    let disk = member.disk_mut()?;
    let lost = block_in_place(|| disk.lose_unsynced(kept_thousandths));
    lost.with_context(|| format!("the disk of {host} cannot lose power"))
}

/// A process that waits for its disk dies only when the disk has answered, which it does not see
/// any more.
fn kill_during_sync(replica: &mut Replica, disk: Option<&Disk>) -> Result<()> {
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(RELEASE_DELAY);
            disk.iter().for_each(|disk| _ = disk.set_fault(disk::Fault::PowerOff));
        });
        replica.kill()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_told_with_what_was_kept() {
        let loss = LostWrites { bytes: 40, files: 2, names: 1, torn: 7 };
        let replica = PowerlessReplica { host: HostId(0), loss, written: 900 };
        assert_eq!(
            replica.to_string(),
            "of 900 bytes ever written it lost 40 unsynced ones in 2 files (7 kept) and 1 names"
        );
    }
}
