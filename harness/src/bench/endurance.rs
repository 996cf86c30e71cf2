//! Writes to a bounded set of keys for long, and records the size of the replicas: overwritten
//! values must be reclaimed.

use super::cluster::Cluster;
use super::load::{Load, Pace, Target, run_load};
use super::sample::Sample;
use anyhow::{Result, ensure};
use std::time::Duration;

/// How many times memory is looked at.
const SAMPLES: u64 = 10;
const SLICE: Duration = Duration::from_secs(2);

/// How large the largest replica was after so many writes.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub(crate) struct MemorySample {
    pub(crate) writes: u64,
    pub(crate) largest_bytes: u64,
}

/// Writes so often, or a little more often.
pub(crate) async fn run_endurance(
    cluster: &mut Cluster,
    sample: &Sample,
    writes: u64,
    seed: u64,
) -> Result<Vec<MemorySample>> {
    let load = Load {
        clients: 64,
        pace: Pace::Closed,
        target: Target::Leader,
        read_percent: 0,
        warm_up: Duration::ZERO,
        time: SLICE,
    };
    let (mut looks, mut done, mut slice) = (Vec::new(), 0, 0);
    while done < writes {
        let measured = run_load(cluster, load, sample, seed.wrapping_add(slice)).await?;
        ensure!(measured.done > 0, "nothing was written for {} s", SLICE.as_secs());
        done += measured.done;
        slice += 1;
        if done * SAMPLES >= writes * (looks.len() as u64 + 1) {
            looks.push(MemorySample { writes: done, largest_bytes: cluster.largest_rss_bytes()? });
        }
    }
    Ok(looks)
}
