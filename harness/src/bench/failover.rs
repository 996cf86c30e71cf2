//! Measures how long nobody takes a write after the leader was killed.
//!
//! Both survivors are asked all the time on fresh connections, a request every few milliseconds, whether or not earlier
//! ones were answered: what is measured is the cluster, not the patience of a client that happened to ask a moment too early.

use super::cluster::Cluster;
use super::connection::Connection;
use super::dialect::Answer;
use anyhow::{Result, ensure};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// Between requests to the same survivor.
const EVERY: Duration = Duration::from_millis(5);
/// How long the cluster rests before it is hit.
const REST: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(20);

/// Kills the leader, waits for the first write that is accepted, and brings the killed one back.
pub(crate) async fn fail_over(cluster: &mut Cluster) -> Result<Duration> {
    let leader = cluster.leader().await?;
    sleep(REST).await;
    let began = Instant::now();
    cluster.kill(leader)?;
    let took = first_write(cluster, leader, began).await?;
    cluster.revive(leader).await?;
    Ok(took)
}

async fn first_write(cluster: &Cluster, dead: usize, began: Instant) -> Result<Duration> {
    let survivors: Vec<usize> = cluster.others(dead).collect();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = FuturesUnordered::new();
    loop {
        ensure!(began.elapsed() < PATIENCE, "nobody took over from the killed leader");
        tokio::select! {
            _ = ticks.tick() => asked.extend(survivors.iter().map(|to| write(cluster, *to))),
            Some(done) = asked.next() => if done { return Ok(began.elapsed()) },
        }
    }
}

async fn write(cluster: &Cluster, to: usize) -> bool {
    let address = cluster.address(to);
    let Ok(mut connection) = Connection::dial(address).await else { return false };
    let answered = connection.ask(&cluster.dialect.put(address, "failover", "x")).await;
    answered.is_ok_and(|(code, body)| cluster.dialect.understand(code, body) != Answer::Failed)
}
