//! Kills replicas again and again, as soon as each has run for a moment: recovery itself is
//! interrupted.
//!
//! The fault lasts longer if the harness was too busy to kill and restart in time. Evidence: every
//! replica was killed at least twice, and another process than at the beginning runs at the end.

use super::aim::{REPLICA_VARIANTS, aim_at_replicas, reject_replicas};
use super::samples::ReplicaSamples;
use super::{ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Target, try_all};
use anyhow::Result;
use futures_util::future::BoxFuture;
use std::time::{Duration, Instant};
use testbed::net::plan::HostId;
use workloads::Rng;

/// The fewest kills of each replica that confirm the fault.
const MIN_KILLS: u32 = 2;
/// How long a replica is down, and how long it runs.
const DOWN: Duration = Duration::from_millis(50);
const UP: Duration = Duration::from_millis(250);
/// How much longer than planned the fault may last if the harness was too busy.
const MAX_EXTENSION: Duration = Duration::from_secs(2);

/// SIGKILL after every start.
pub(super) struct CrashLoop;

impl Nemesis for CrashLoop {
    fn name(&self) -> &'static str {
        "crash-loop"
    }

    fn doc(&self) -> &'static str {
        "kills replicas every time they have run for some tenths of a second, \
         as a supervisor restarts them"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        REPLICA_VARIANTS
    }

    fn duration_ms(&self) -> (u64, u64) {
        (1_500, 4_000)
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
            let mut replicas = Vec::new();
            for host in &target.hosts {
                cluster.member(*host).kill(self.name())?;
                replicas.push(LoopingReplica::just_killed(*host));
            }
            Ok(Box::new(CrashLoops { replicas, samples }) as Box<dyn ActiveFault>)
        })
    }
}

/// Replicas that are killed again and again.
struct CrashLoops {
    replicas: Vec<LoopingReplica>,
    samples: ReplicaSamples,
}

struct LoopingReplica {
    host: HostId,
    /// The loop has started it since the last kill.
    is_up: bool,
    /// When it was last started or killed.
    since: Instant,
    kills: u32,
}

impl LoopingReplica {
    fn just_killed(host: HostId) -> Self {
        Self { host, is_up: false, since: Instant::now(), kills: 1 }
    }

    /// Kills or starts the replica, if its time is up.
    fn kill_or_restart(&mut self, cluster: &mut Cluster) -> Result<()> {
        let waited = self.since.elapsed();
        match cluster.member(self.host).has_exited() {
            true if waited > DOWN => {
                self.start_replica(cluster)?;
                cluster.member(self.host).hold(CrashLoop.name());
                self.is_up = true;
            }
            false if waited > UP => {
                cluster.member(self.host).kill(CrashLoop.name())?;
                (self.is_up, self.kills) = (false, self.kills + 1);
            }
            _ => return Ok(()),
        }
        self.since = Instant::now();
        Ok(())
    }

    /// Starts the replica. If it was up, it has exited by itself, and that is reported.
    fn start_replica(&self, cluster: &mut Cluster) -> Result<()> {
        let member = cluster.member(self.host);
        if self.is_up {
            let exit = member.replica.poll_exit();
            member.record_missed_exit(exit);
        }
        cluster.restart_replica(self.host)
    }

    fn end_loop(&self, cluster: &mut Cluster) -> Result<()> {
        if cluster.member(self.host).has_exited() {
            self.start_replica(cluster)?;
        }
        cluster.member(self.host).release();
        Ok(())
    }
}

impl ActiveFault for CrashLoops {
    fn tick(&mut self, cluster: &mut Cluster) -> Result<()> {
        self.replicas.iter_mut().try_for_each(|replica| replica.kill_or_restart(cluster))
    }

    fn needs_more_time(&mut self, _: &mut Cluster, extended: Duration) -> Result<bool> {
        let few = self.replicas.iter().any(|replica| replica.kills < MIN_KILLS);
        Ok(few && extended < MAX_EXTENSION)
    }

    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            try_all(&self.replicas, |replica| replica.end_loop(cluster))?;
            self.samples.sample_after(cluster)
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        let mut texts = Vec::new();
        for (replica, (host, old, new)) in self.replicas.iter().zip(self.samples.pairs()) {
            let (kills, old, new) = (replica.kills, old.pid, new.pid);
            texts.push(format!("{host}: killed {kills} times, from pid {old} to pid {new}"));
        }
        let often = self.replicas.iter().all(|replica| replica.kills >= MIN_KILLS);
        Ok(Evidence::from_hosts(often && self.samples.were_replaced(), &texts))
    }
}
