//! Takes the power from hosts: their replicas die, and so does all they had written and not synced.
//!
//! The power goes at the worst moment that can be had: while a sync has been asked for and not begun. Of what was
//! written, nothing stays, or some first part of it, cut between two sectors: a torn write. Where a majority loses power, the
//! few that did not stand still while the others come back: whoever kept everything would cover up what was lost.
//! Evidence: another process runs now, and the disk, to which something had been written, counted what it took back.

use super::super::ground::{Ground, Slot};
use super::super::{
    Before, Fault, Nemesis, REPLICA_VARIANTS, Scene, Seen, Target, aim_at_replicas, grudge,
    refuses_replicas,
};
use super::disk_of;
use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use records::sights::Life;
use std::time::Duration;
use testbed::host::disk::{self, Disk, Loss};
use testbed::net::plan::HostId;
use tokio::time::Instant;
use workloads::Rng;

/// How long is waited for a moment in which every disk holds a sync.
const PATIENCE: Duration = Duration::from_millis(150);
/// How often is looked for it.
const POLL: Duration = Duration::from_millis(1);
/// How long after SIGKILL is sent the disk lets go of what waits for it: the dead do not see that it fails.
const LETTING_GO: Duration = Duration::from_millis(3);
/// How long the others stand still while a majority comes back and goes on without them.
const STANDSTILL: Duration = Duration::from_millis(1_200);
/// Of 100 power losses, how many let a first part of what was not synced stay.
const TORN_PERCENT: u64 = 50;

/// SIGKILL, the loss of what is not synced, then a restart.
pub(crate) struct PowerLoss;

impl Nemesis for PowerLoss {
    fn name(&self) -> &'static str {
        "power-loss"
    }

    fn doc(&self) -> &'static str {
        "kills replicas, takes back what they had not synced (bytes and names; some writes torn), and starts them again"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        REPLICA_VARIANTS
    }

    fn needs_disks(&self) -> bool {
        true
    }

    fn unable(&self) -> Option<String> {
        disk::no_power_loss().map(|why| format!("{why}; do without {}", self.name()))
    }

    fn refuses(&self, aim: &str, count: usize) -> Option<String> {
        refuses_replicas(self.name(), aim, count)
    }

    fn aim(&self, variant: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
        let target = aim_at_replicas(variant, scene, rng)?;
        let dice = if rng.percent(TORN_PERCENT) { rng.below(1_000) } else { 0 };
        Some(Target { dice, ..target })
    }

    fn begin<'a>(
        &'a self,
        target: &'a Target,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<Before>> {
        Box::pin(async move {
            let before = ground.samples(&target.hosts)?;
            ground.await_syncs(&target.hosts).await?;
            target.hosts.iter().try_for_each(|host| ground.lose_power(*host, target.dice))?;
            Ok(before)
        })
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let hosts = &fault.target.hosts;
            let others = ground.hold_others(hosts)?;
            hosts.iter().try_for_each(|host| ground.restart(*host))?;
            let after = ground.samples(hosts)?;
            let losses = hosts.iter().map(|host| ground.loss(*host)).collect::<Result<Vec<_>>>()?;
            Ok(seen(fault, &after, &losses, &others))
        })
    }
}

/// What a disk took back, and how much had ever been written to it.
type Taken = (Loss, u64);

fn seen(fault: &Fault, after: &Before, taken: &[Taken], others: &[HostId]) -> Seen {
    let processes = || fault.before.iter().zip(after);
    let replaced =
        processes().all(|(old, new)| (old.pid, old.start_time) != (new.pid, new.start_time));
    let used = taken.iter().all(|(_, written)| *written > 0);
    let hosts = fault.target.hosts.iter().zip(processes()).zip(taken);
    let mut told: Vec<String> = hosts
        .map(|((host, (old, new)), taken)| {
            format!("{host}: pid {} died; {}; pid {} took over", old.pid, lost(taken), new.pid)
        })
        .collect();
    let bit = replaced && used && !told.is_empty();
    if !others.is_empty() {
        let ms = STANDSTILL.as_millis();
        told.push(format!(
            "meanwhile, and for {ms} ms more, {} stood still",
            grudge::names(others)
        ));
    }
    Seen { bit, text: told.join(". ") }
}

fn lost((loss, written): &Taken) -> String {
    let Loss { bytes, files, names, torn } = loss;
    let stayed = if *torn > 0 { format!(" ({torn} stayed)") } else { String::new() };
    format!(
        "of {written} bytes ever written {bytes} unsynced ones in {files} files{stayed} and {names} names were lost"
    )
}

impl Ground {
    /// Waits until each of these disks holds a sync, or patience ends: some replicas may have nothing to say.
    async fn await_syncs(&mut self, hosts: &[HostId]) -> Result<()> {
        for host in hosts {
            disk_of(self.slot(*host))?.set(disk::Fault::Held);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let holds =
                |host: &HostId| self.slot(*host).disk.as_ref().is_some_and(Disk::is_holding);
            if hosts.iter().all(holds) {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    /// Stops whoever a majority that comes back has to do without, for a while.
    fn hold_others(&mut self, hosts: &[HostId]) -> Result<Vec<HostId>> {
        let count = self.count();
        let mut others = Vec::from_iter(self.free());
        if hosts.len() <= count / 2 || hosts.len() + others.len() < count {
            others.clear();
        }
        for host in &others {
            self.pause(*host)?;
            self.slot(*host).resume = Some(std::time::Instant::now() + STANDSTILL);
        }
        Ok(others)
    }

    /// Kills a replica together with all that it has not synced, but for a first part of each file's.
    fn lose_power(&mut self, host: HostId, thousandths: u64) -> Result<()> {
        let slot = self.slot(host);
        let alone = slot.replica.exited();
        slot.touched = true;
        let killed = tokio::task::block_in_place(|| kill(slot));
        killed.with_context(|| format!("{host} could not be killed"))?;
        slot.miss_exit(alone);
        let disk = slot.disk.as_mut().context("it has no disk that can fail")?;
        let lost = tokio::task::block_in_place(|| disk.lose(thousandths));
        slot.loss = lost.with_context(|| format!("the disk of {host} could not lose power"))?;
        self.vitals.life(host, Life::Down);
        Ok(())
    }

    /// What the last power loss took from a host.
    fn loss(&mut self, host: HostId) -> Result<Taken> {
        let slot = self.slot(host);
        Ok((slot.loss, disk_of(slot)?.written()))
    }
}

/// A process that waits for the disk dies only when it has an answer, which it no longer sees.
fn kill(slot: &mut Slot) -> Result<()> {
    let (replica, disk) = (&mut slot.replica, &slot.disk);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(LETTING_GO);
            disk.iter().for_each(|disk| _ = disk.set(disk::Fault::Off));
        });
        replica.kill()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_told_with_what_stayed() {
        let loss = Loss { bytes: 40, files: 2, names: 1, torn: 7 };
        assert_eq!(
            lost(&(loss, 900)),
            "of 900 bytes ever written 40 unsynced ones in 2 files (7 stayed) and 1 names were lost"
        );
    }
}
