//! Starves replicas of CPU: they are stopped for most of the time, as on an overloaded machine.
//!
//! Unlike a pause it lets everything go on, too slowly: connections stay open, answers and
//! heartbeats come late, and timers fire in bursts. Evidence: the kernel reported the process as
//! stopped several times, and it is still the same.

use super::aim::{REPLICA_VARIANTS, aim_at_replicas, reject_replicas};
use super::samples::ReplicaSamples;
use super::{ActiveFault, BeginFuture, Cluster, ClusterView, Evidence, Nemesis, Target, try_all};
use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use std::time::{Duration, Instant};
use testbed::net::plan::HostId;
use workloads::Rng;

/// The fewest stops of each replica that confirm the fault.
const MIN_STOPS: u32 = 3;
/// How long a starved replica is stopped, and how long it runs.
const STOPPED_SLICE: Duration = Duration::from_millis(40);
const RUNNING_SLICE: Duration = Duration::from_millis(10);
/// How often it is looked at.
const TICK_INTERVAL: Duration = Duration::from_millis(5);
/// How much longer than planned the fault may last if the harness was too busy.
const MAX_EXTENSION: Duration = Duration::from_secs(2);

/// SIGSTOP and SIGCONT in turn.
pub(super) struct Starve;

impl Nemesis for Starve {
    fn name(&self) -> &'static str {
        "starve"
    }

    fn doc(&self) -> &'static str {
        "leaves replicas a fifth of their CPU time, in slices of 10 ms \
         (SIGSTOP and SIGCONT in turn)"
    }

    fn variants(&self) -> &'static [(&'static str, &'static str)] {
        REPLICA_VARIANTS
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
            target.hosts.iter().try_for_each(|host| cluster.member(*host).pause(self.name()))?;
            let replica = |host: &HostId| StarvedReplica::new(*host);
            let replicas = target.hosts.iter().map(replica).collect();
            Ok(Box::new(StarvedReplicas { replicas, samples }) as Box<dyn ActiveFault>)
        })
    }
}

/// Replicas that run only now and then.
struct StarvedReplicas {
    replicas: Vec<StarvedReplica>,
    samples: ReplicaSamples,
}

struct StarvedReplica {
    host: HostId,
    is_stopped: bool,
    /// Since when.
    since: Instant,
    /// How often the kernel reported it as stopped.
    stops: u32,
}

impl StarvedReplica {
    fn new(host: HostId) -> Self {
        Self { host, is_stopped: true, since: Instant::now(), stops: 0 }
    }

    /// Stops the process or lets it go on, if its time is up.
    fn toggle_process(&mut self, cluster: &mut Cluster) -> Result<()> {
        let member = cluster.member(self.host);
        let slice = if self.is_stopped { STOPPED_SLICE } else { RUNNING_SLICE };
        if self.since.elapsed() < slice || member.has_exited() {
            return Ok(());
        }
        let switched = if self.is_stopped {
            self.stops += u32::from(member.sample().is_ok_and(|sample| sample.is_stopped()));
            member.resume()
        } else {
            member.pause(Starve.name())
        };
        // One that has just exited is reported by the supervisor; the fault did not fail.
        if member.has_exited() {
            return Ok(());
        }
        switched?;
        (self.is_stopped, self.since) = (!self.is_stopped, Instant::now());
        Ok(())
    }

    /// Lets the process run. One that has exited is left to the supervisor.
    fn end_starvation(&self, cluster: &mut Cluster) -> Result<()> {
        let member = cluster.member(self.host);
        let resumed =
            if self.is_stopped && !member.has_exited() { member.resume() } else { Ok(()) };
        member.release();
        resumed
    }
}

impl ActiveFault for StarvedReplicas {
    fn tick(&mut self, cluster: &mut Cluster) -> Result<()> {
        for replica in &mut self.replicas {
            let host = replica.host;
            replica.toggle_process(cluster).with_context(|| format!("{host} cannot be starved"))?;
        }
        Ok(())
    }

    fn tick_interval(&self) -> Duration {
        TICK_INTERVAL
    }

    fn needs_more_time(&mut self, cluster: &mut Cluster, extended: Duration) -> Result<bool> {
        let mut few = self.replicas.iter().filter(|replica| replica.stops < MIN_STOPS);
        Ok(extended < MAX_EXTENSION
            && few.any(|replica| !cluster.member(replica.host).has_exited()))
    }

    fn end_fault<'a>(&'a mut self, cluster: &'a mut Cluster) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            try_all(&self.replicas, |replica| replica.end_starvation(cluster))?;
            self.samples.sample_after(cluster)
        })
    }

    fn weigh_evidence(&self) -> Result<Evidence> {
        let mut texts = Vec::new();
        let mut confirmed = true;
        for (replica, (host, begin, end)) in self.replicas.iter().zip(self.samples.pairs()) {
            let stops = replica.stops;
            confirmed &= begin.pid == end.pid && stops >= MIN_STOPS;
            let used = end.cpu_ticks.saturating_sub(begin.cpu_ticks);
            let pid = end.pid;
            texts.push(format!(
                "{host}: pid {pid} was stopped {stops} times, used {used} ticks of CPU"
            ));
        }
        Ok(Evidence::from_hosts(confirmed, &texts))
    }
}
