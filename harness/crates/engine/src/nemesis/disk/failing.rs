//! Makes disks fail, fill up or stall while replicas write to them.
//!
//! A replica may stop because its disk fails or is full: that is what it should do, no unasked exit, and it is started
//! again once the disk is whole. It may take its time to stop, and is given some. A slow disk excuses nobody. A fault of
//! disks of which nothing is asked did not take place. Evidence: the disk counted what it did to requests.

use super::super::ground::{EXCUSED, Ground};
use super::super::{
    Before, Fault, Nemesis, NotNow, REPLICA_VARIANTS, Scene, Seen, Target, aim_at_replicas, grudge,
    refuses_replicas,
};
use super::disk_of;
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::time::Duration;
use testbed::host::disk::{self, Counts};
use testbed::net::plan::HostId;
use tokio::time::Instant;
use workloads::Rng;

/// How long a fault is kept on beyond its end until every disk has hit a request, if any come.
const PATIENCE: Duration = Duration::from_millis(1_500);
const POLL: Duration = Duration::from_millis(10);
/// How long is waited for a replica to stop to which requests were refused: it may have something to say before.
const STOPPING: Duration = Duration::from_millis(500);
/// How much longer a sync takes on a slow disk, in milliseconds, from and below.
const DELAY_MS: (u64, u64) = (20, 300);

/// One way in which a disk fails.
pub(in super::super) struct Failing {
    name: &'static str,
    doc: &'static str,
    /// Whether a replica may stop because of it.
    excuses: bool,
    fault: fn(u64) -> disk::Fault,
}

/// EIO.
pub(in super::super) const DISK_ERROR: Failing = Failing {
    name: "disk-error",
    doc: "lets every write and sync fail with EIO; a replica that stops because of it is started again afterwards",
    excuses: true,
    fault: |_| disk::Fault::Failing,
};
/// ENOSPC.
pub(in super::super) const DISK_FULL: Failing = Failing {
    name: "disk-full",
    doc: "lets every write fail with ENOSPC; a replica that stops because of it is started again afterwards",
    excuses: true,
    fault: |_| disk::Fault::Full,
};
/// Slow syncs.
pub(in super::super) const SLOW_DISK: Failing = Failing {
    name: "slow-disk",
    doc: "makes every sync of a replica's files take 20 to 300 ms longer",
    excuses: false,
    fault: |dice| disk::Fault::Slow(Duration::from_millis(dice)),
};

impl Nemesis for Failing {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        REPLICA_VARIANTS
    }

    fn needs_disks(&self) -> bool {
        true
    }

    fn unable(&self) -> Option<String> {
        disk::unable().map(|why| format!("{why}; do without {}", self.name))
    }

    fn refuses(&self, aim: &str, count: usize) -> Option<String> {
        refuses_replicas(self.name, aim, count)
    }

    fn aim(&self, variant: &str, scene: &Scene, rng: &mut Rng) -> Option<Target> {
        let target = aim_at_replicas(variant, scene, rng)?;
        let dice = rng.between(DELAY_MS.0, DELAY_MS.1);
        let what = match (self.fault)(dice) {
            disk::Fault::Slow(delay) => format!(": syncs take {} ms longer", delay.as_millis()),
            _ => String::new(),
        };
        Some(Target { dice, text: format!("{}{what}", grudge::names(&target.hosts)), ..target })
    }

    fn begin<'a>(
        &'a self,
        target: &'a Target,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<Before>> {
        Box::pin(async move {
            let before = ground.samples(&target.hosts)?;
            for host in &target.hosts {
                let slot = ground.slot(*host);
                disk_of(slot)?.set((self.fault)(target.dice));
                slot.touched = true;
            }
            Ok(before)
        })
    }

    fn linger<'a>(
        &'a self,
        fault: &'a mut Fault,
        ground: &'a mut Ground,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(ground.await_hits(&fault.target.hosts))
    }

    fn end<'a>(&'a self, fault: &'a Fault, ground: &'a mut Ground) -> BoxFuture<'a, Result<Seen>> {
        Box::pin(async move {
            let hosts = &fault.target.hosts;
            let counts = ground.mend(hosts)?;
            let refused = |(_, counts): &(&HostId, &Counts)| self.excuses && counts.errors > 0;
            let excused = hosts.iter().zip(&counts).filter(refused).map(|(host, _)| *host);
            ground.await_stops(&excused.collect::<Vec<_>>()).await;
            let ends = hosts.iter().map(|host| ground.look_after(*host));
            let ends = ends.collect::<Result<Vec<_>>>()?;
            seen(hosts, &counts.into_iter().zip(ends).collect::<Vec<_>>())
        })
    }
}

/// What a disk did to requests, and how its replica ended meanwhile.
type End = (Counts, Option<String>);

fn seen(hosts: &[HostId], ends: &[End]) -> Result<Seen> {
    let hit = |(counts, _): &End| counts.errors + counts.delayed > 0;
    if !ends.iter().any(hit) {
        // A replica without a majority may have nothing to write: a disk does it no harm then.
        let names = grudge::names(hosts);
        return Err(NotNow::because(format!("{names} asked nothing of the disk")).into());
    }
    let told: Vec<String> =
        hosts.iter().zip(ends).map(|(host, end)| format!("{host}: {}", told(end))).collect();
    Ok(Seen { bit: true, text: told.join("; ") })
}

fn told((counts, ended): &End) -> String {
    let Counts { errors, delayed, delay_ms } = counts;
    let did = match (errors, delayed) {
        (0, 0) => "nothing was asked of its disk".to_owned(),
        (_, 0) => format!("{errors} requests failed"),
        _ => format!("{delayed} syncs took {delay_ms} ms longer"),
    };
    match ended {
        Some(how) => format!("{did}, it stopped ({how}) and was started again"),
        None => format!("{did}, it went on"),
    }
}

impl Ground {
    /// Waits until each of these disks has hit a request, or patience ends: some replicas have nothing to write.
    async fn await_hits(&mut self, hosts: &[HostId]) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut all = true;
            for host in hosts {
                let counts = disk_of(self.slot(*host))?.counts();
                all &= counts.errors + counts.delayed > 0;
            }
            if all || Instant::now() > deadline {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Makes disks whole again, and says what they did until then.
    fn mend(&mut self, hosts: &[HostId]) -> Result<Vec<Counts>> {
        let mend = |host: &HostId| Ok(disk_of(self.slot(*host))?.set(disk::Fault::Whole));
        hosts.iter().map(mend).collect()
    }

    /// Waits until each of these replicas has stopped, or patience ends; and excuses them for a while longer.
    async fn await_stops(&mut self, hosts: &[HostId]) {
        let deadline = Instant::now() + STOPPING;
        for host in hosts {
            self.slot(*host).excused_until = Some((deadline + EXCUSED).into_std());
        }
        for host in hosts {
            while self.slot(*host).replica.exited().is_none() && Instant::now() < deadline {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    /// Starts a replica again where it has stopped, and says how; an exit that nothing excuses is told.
    fn look_after(&mut self, host: HostId) -> Result<Option<String>> {
        let slot = self.slot(host);
        slot.touched = false;
        let ended = slot.replica.exited();
        if ended.is_some() {
            slot.miss_exit(ended.clone());
            self.restart(host)?;
        }
        Ok(ended)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: [HostId; 2] = [HostId(0), HostId(1)];

    #[test]
    fn disks_of_which_nothing_was_asked_are_no_evidence() {
        let hit = (Counts { errors: 3, ..Counts::default() }, Some("exit status: 1".to_owned()));
        let idle = (Counts::default(), None);
        let none = seen(&HOSTS, &[idle.clone(), idle.clone()]).expect_err("it did not happen");
        assert!(none.is::<NotNow>(), "{none}");
        let one = seen(&HOSTS, &[idle, hit]).expect("one was hit");
        assert!(one.bit && one.text.contains("n2: 3 requests failed, it stopped"), "{one:?}");
    }

    #[test]
    fn delays_are_told_as_such() {
        let slow = (Counts { delayed: 2, delay_ms: 90, ..Counts::default() }, None);
        let text = seen(&HOSTS[..1], &[slow]).expect("it was hit").text;
        assert_eq!(text, "n1: 2 syncs took 90 ms longer, it went on");
    }
}
