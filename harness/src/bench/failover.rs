//! Measures how long no write succeeds after the leader is killed or transfers leadership.
//!
//! Both survivors get requests on fresh connections every few milliseconds, whether or not earlier
//! requests were answered: this measures the cluster and not the timeout of a client.

use super::cluster::Cluster;
use super::connection::Connection;
use super::dialect::{Answer, name};
use anyhow::{Context as _, Result, ensure};
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

/// Transfers leadership to the next replica; returns the time until that one answers a write.
pub(crate) async fn hand_over(cluster: &mut Cluster) -> Result<Duration> {
    let leader = cluster.leader().await?;
    let to = cluster.others(leader).next().context("there are others")?;
    sleep(REST).await;
    let (address, next) = (cluster.address(leader), cluster.address(to));
    let wish = cluster.dialect.hand_over(address, &name(to));
    let wish = wish.context("only our store is asked to hand leadership on")?;
    let mut old = Connection::dial(address).await?;
    let mut new = Connection::dial(next).await?;
    let began = Instant::now();
    let (code, body) = old.ask(&wish).await?;
    ensure!(code == 200, "the leader does not hand on: {body}");
    let (code, body) = new.ask(&cluster.dialect.put(next, "handed", "x")).await?;
    let answer = cluster.dialect.understand(code, body);
    ensure!(answer != Answer::Failed, "the new leader takes no write: {body}");
    Ok(began.elapsed())
}

async fn first_write(cluster: &Cluster, dead: usize, began: Instant) -> Result<Duration> {
    let survivors: Vec<usize> = cluster.others(dead).collect();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = FuturesUnordered::new();
    loop {
        ensure!(began.elapsed() < PATIENCE, "no replica replaced the killed leader in time");
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
