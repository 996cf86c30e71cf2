//! Makes disks fail, fill up or stall while replicas write to them.
//!
//! A replica may stop because its disk fails or is full: that is correct and no unexpected exit,
//! and it is restarted once the disk works again. It may take its time to stop, for which it has
//! [`DISK_FAULT_GRACE`]. A slow disk excuses no exit. A fault of disks that got no request is
//! skipped. Evidence: the disk counted what it did to requests.

use super::super::aim::{REPLICA_VARIANTS, aim_at_replicas, reject_replicas};
use super::super::cluster::DISK_FAULT_GRACE;
use super::super::{
    ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Requirement, Skip, Target,
    grudge, try_all,
};
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::time::Duration;
use testbed::host::disk::{self, DiskCounts};
use testbed::host::process::ProcessExit;
use testbed::net::plan::HostId;
use tokio::time::{Instant, sleep};
use workloads::Rng;

/// How much longer than planned the fault may last until every disk has hit a request, if any come.
const MAX_EXTENSION: Duration = Duration::from_millis(1_500);
const POLL: Duration = Duration::from_millis(10);
/// How long a replica whose requests failed may take to stop: it may have something to log before.
const STOP_TIMEOUT: Duration = Duration::from_millis(500);
/// How much longer a sync takes on a slow disk, in milliseconds, from and below.
const DELAY_MS: (u64, u64) = (20, 300);

/// One way in which a disk fails.
pub(in super::super) struct IoFault {
    name: &'static str,
    doc: &'static str,
    /// Whether a replica may stop because of it.
    excuses_exit: bool,
    fault: fn(u64) -> disk::Fault,
}

/// EIO.
pub(in super::super) const DISK_ERROR: IoFault = IoFault {
    name: "disk-error",
    doc: "lets every write and sync fail with EIO; \
          a replica that stops because of it is started again afterwards",
    excuses_exit: true,
    fault: |_| disk::Fault::IoError,
};
/// ENOSPC.
pub(in super::super) const DISK_FULL: IoFault = IoFault {
    name: "disk-full",
    doc: "lets every write fail with ENOSPC; \
          a replica that stops because of it is started again afterwards",
    excuses_exit: true,
    fault: |_| disk::Fault::Full,
};
/// Slow syncs.
pub(in super::super) const SLOW_DISK: IoFault = IoFault {
    name: "slow-disk",
    doc: "makes every sync of a replica's files take 20 to 300 ms longer",
    excuses_exit: false,
    fault: |random| disk::Fault::SlowSync(Duration::from_millis(random)),
};

impl Nemesis for IoFault {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        REPLICA_VARIANTS
    }

    fn requirements(&self) -> &'static [Requirement] {
        &[Requirement::Disks]
    }

    fn unsupported_here(&self) -> Option<String> {
        disk::no_disk_faults_reason().map(|why| format!("{why}; do without {}", self.name))
    }

    fn reject_aim(&self, aim: &str, hosts: usize) -> Option<String> {
        reject_replicas(self, aim, hosts)
    }

    fn choose_target(&self, variant: &str, view: &ClusterView, rng: &mut Rng) -> Option<Target> {
        let target = aim_at_replicas(variant, view, rng)?;
        let random = rng.between(DELAY_MS.0, DELAY_MS.1);
        let text = match (self.fault)(random) {
            disk::Fault::SlowSync(delay) => {
                format!("{}: syncs take {} ms longer", target.text, delay.as_millis())
            }
            _ => target.text,
        };
        Some(Target { random, text, ..target })
    }

    fn begin_fault<'a>(&'a self, target: &'a Target, cluster: &'a mut Cluster) -> BeginFuture<'a> {
        Box::pin(async move {
            let hosts = target.hosts.clone();
            cluster.sample_replicas(&hosts)?;
            for host in &hosts {
                let member = cluster.member(*host);
                member.disk()?.set_fault((self.fault)(target.random));
                member.hold(self.name);
            }
            let excuses_exit = self.excuses_exit;
            Ok(Box::new(FailingDisks { hosts, excuses_exit, ends: Vec::new() })
                as Box<dyn ActiveFault>)
        })
    }
}

/// Disks that fail.
struct FailingDisks {
    hosts: Vec<HostId>,
    excuses_exit: bool,
    /// For each, once the fault has ended.
    ends: Vec<DiskFaultEnd>,
}

/// What a disk did to requests, and how its replica exited meanwhile.
#[derive(Clone, Default)]
struct DiskFaultEnd {
    counts: DiskCounts,
    exit: Option<ProcessExit>,
}

fn has_hit(counts: &DiskCounts) -> bool {
    counts.errors + counts.delayed > 0
}

impl FailingDisks {
    /// Waits until each of these replicas has stopped, or patience ends. Each has a grace from then
    /// on.
    async fn await_exits(hosts: &[HostId], cluster: &mut Cluster) {
        let deadline = Instant::now() + STOP_TIMEOUT;
        let grace = (deadline + DISK_FAULT_GRACE).into_std();
        for host in hosts {
            cluster.member(*host).lasting.disk_grace = Some(grace);
        }
        for host in hosts {
            while !cluster.member(*host).has_exited() && Instant::now() < deadline {
                sleep(POLL).await;
            }
        }
    }
}

/// Lets a replica go, and restarts it if it has stopped. An exit that nothing excuses is reported.
fn release_and_restart(host: HostId, cluster: &mut Cluster) -> Result<Option<ProcessExit>> {
    let member = cluster.member(host);
    member.release();
    let exit = member.replica.poll_exit();
    if exit.is_some() {
        member.record_missed_exit(exit);
        cluster.restart_replica(host)?;
    }
    Ok(exit)
}

impl ActiveFault for FailingDisks {
    fn needs_more_time(&mut self, cluster: &mut Cluster, extended: Duration) -> Result<bool> {
        for host in &self.hosts {
            if !has_hit(&cluster.member(*host).disk()?.counts()) {
                return Ok(extended < MAX_EXTENSION);
            }
        }
        Ok(false)
    }

    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let mut excused = Vec::new();
            for host in &self.hosts {
                let counts = cluster.member(*host).disk()?.set_fault(disk::Fault::Healthy);
                if self.excuses_exit && counts.errors > 0 {
                    excused.push(*host);
                }
                self.ends.push(DiskFaultEnd { counts, exit: None });
            }
            Self::await_exits(&excused, cluster).await;
            try_all(self.hosts.iter().zip(&mut self.ends), |(host, end)| {
                end.exit = release_and_restart(*host, cluster)?;
                Ok(())
            })
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        if !self.ends.iter().any(|end| has_hit(&end.counts)) {
            // A replica without a majority may have nothing to write, and then a disk cannot fail
            // it.
            let names = grudge::host_names(&self.hosts);
            return Err(Skip::because(format!("{names} sent no request to the disk")).into());
        }
        let texts: Vec<String> =
            self.hosts.iter().zip(&self.ends).map(|(host, end)| format!("{host}: {end}")).collect();
        Ok(Evidence::from_hosts(true, &texts))
    }
}

impl std::fmt::Display for DiskFaultEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let DiskCounts { errors, delayed, delay_ms } = self.counts;
        match (errors, delayed) {
            (0, 0) => f.write_str("its disk got no request")?,
            (_, 0) => write!(f, "{errors} requests failed")?,
            _ => write!(f, "{delayed} syncs took {delay_ms} ms longer")?,
        }
        match self.exit {
            Some(exit) => write!(f, ", it stopped ({exit}) and was restarted"),
            None => f.write_str(", it went on"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt as _;

    fn ended_fault(ends: &[DiskFaultEnd]) -> FailingDisks {
        let hosts = grudge::all_hosts(ends.len());
        FailingDisks { hosts, excuses_exit: true, ends: ends.to_vec() }
    }

    #[test]
    fn disks_that_got_no_request_are_no_evidence() {
        let exit = ProcessExit::Status(std::process::ExitStatus::from_raw(1 << 8));
        let counts = DiskCounts { errors: 3, ..DiskCounts::default() };
        let hit = DiskFaultEnd { counts, exit: Some(exit) };
        let idle = DiskFaultEnd::default();
        let none = ended_fault(&[idle.clone(), idle.clone()])
            .weigh_evidence()
            .expect_err("nothing happened");
        assert!(none.is::<Skip>(), "{none}");
        let one = ended_fault(&[idle, hit]).weigh_evidence().expect("one was hit");
        assert!(one.confirmed && one.text.contains("n2: 3 requests failed, it stopped"), "{one:?}");
    }

    #[test]
    fn delays_are_told_as_such() {
        let counts = DiskCounts { delayed: 2, delay_ms: 90, ..DiskCounts::default() };
        let slow = ended_fault(&[DiskFaultEnd { counts, exit: None }]);
        let text = slow.weigh_evidence().expect("it was hit").text;
        assert_eq!(text, "n1: 2 syncs took 90 ms longer, it went on");
    }
}
