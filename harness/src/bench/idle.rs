//! Counts the elections of an idle cluster and the scheduling stalls of the machine. An election
//! during a stall is caused by the machine; any other is caused by the timing settings.

use super::cluster::Cluster;
use anyhow::{Context as _, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long a watch sleeps at a time.
const NAP: Duration = Duration::from_millis(5);
/// Sleeping so much longer than asked is a stall.
const STALL: Duration = Duration::from_millis(25);

/// What happened while nothing did.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct IdleStats {
    pub(crate) seconds: f64,
    /// By how much the highest term grew.
    pub(crate) elections: u64,
    /// Naps of any core that took 25 ms too long, and the longest of all delays.
    pub(crate) stalls: u64,
    pub(crate) longest_ms: f64,
}

/// Lets the cluster be for so long.
pub(crate) async fn measure_idle(cluster: &mut Cluster, time: Duration) -> Result<IdleStats> {
    cluster.wait_for_leader().await?;
    let before = cluster.highest_term().await.context("no replica tells its term")?;
    let over = Arc::new(AtomicBool::new(false));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let watches: Vec<JoinHandle<CoreStalls>> = (0..cores)
        .map(|core| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || watch_core(core, &over))
        })
        .collect();
    let began = Instant::now();
    tokio::time::sleep(time).await;
    let seconds = began.elapsed().as_secs_f64();
    over.store(true, Ordering::Relaxed);
    let after = cluster.highest_term().await.context("no replica tells its term any more")?;
    let mut idle = IdleStats { seconds, elections: after - before, ..IdleStats::default() };
    for watch in watches {
        let watch = watch.join().map_err(|_| anyhow::anyhow!("a watch has died"))?;
        idle.stalls += watch.stalls;
        idle.longest_ms = idle.longest_ms.max(watch.longest.as_secs_f64() * 1e3);
    }
    Ok(idle)
}

#[derive(Default)]
struct CoreStalls {
    stalls: u64,
    longest: Duration,
}

/// Naps on one core until all is over, and notes what took too long.
fn watch_core(core: usize, over: &AtomicBool) -> CoreStalls {
    let mut only = CpuSet::new();
    if only.set(core).is_ok() {
        // Where that is refused the kernel chooses the core.
        let _ = sched_setaffinity(Pid::from_raw(0), &only);
    }
    let mut watch = CoreStalls::default();
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        std::thread::sleep(NAP);
        let late = began.elapsed().saturating_sub(NAP);
        watch.stalls += u64::from(late > STALL);
        watch.longest = watch.longest.max(late);
    }
    watch
}
