//! Measures how long no write succeeds after the leader is killed or transfers leadership.
//!
//! Both survivors get requests on fresh connections every few milliseconds, whether or not earlier
//! requests were answered: this measures the cluster and not the timeout of a client.

use super::cluster::Cluster;
use super::connection::Connection;
use super::dialect::{Response, replica_name};
use anyhow::{Context as _, Result, ensure};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

/// Between requests to the same survivor.
const REQUEST_INTERVAL: Duration = Duration::from_millis(5);
/// How long the cluster rests before it is hit.
const REST: Duration = Duration::from_millis(300);
const FAILOVER_TIMEOUT: Duration = Duration::from_secs(20);

/// Kills the leader, waits for the first write that is accepted, and brings the killed one back.
pub(crate) async fn measure_failover(cluster: &mut Cluster) -> Result<Duration> {
    let leader = cluster.wait_for_leader().await?;
    sleep(REST).await;
    let began = Instant::now();
    cluster.kill_replica(leader)?;
    let took = wait_for_write(cluster, leader, began).await?;
    cluster.restart_replica(leader).await?;
    Ok(took)
}

/// Transfers leadership to the next replica; returns the time until that one answers a write.
pub(crate) async fn measure_transfer(cluster: &mut Cluster) -> Result<Duration> {
    let leader = cluster.wait_for_leader().await?;
    let to = cluster.other_replicas(leader).next().context("there are others")?;
    sleep(REST).await;
    let (address, next) = (cluster.client_address(leader), cluster.client_address(to));
    let wish = cluster.dialect.encode_transfer(address, &replica_name(to));
    let wish = wish.context("only our store is asked to hand leadership on")?;
    let mut old = Connection::connect(address).await?;
    let mut new = Connection::connect(next).await?;
    let began = Instant::now();
    let (code, body) = old.send_request(&wish).await?;
    ensure!(code == 200, "the leader does not hand on: {body}");
    let (code, body) = new.send_request(&cluster.dialect.encode_put(next, "handed", "x")).await?;
    let answer = cluster.dialect.decode_response(code, body);
    ensure!(answer != Response::Failed, "the new leader takes no write: {body}");
    Ok(began.elapsed())
}

async fn wait_for_write(cluster: &Cluster, dead: usize, began: Instant) -> Result<Duration> {
    let survivors: Vec<usize> = cluster.other_replicas(dead).collect();
    let mut ticks = interval(REQUEST_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut asked = FuturesUnordered::new();
    loop {
        ensure!(
            began.elapsed() < FAILOVER_TIMEOUT,
            "no replica replaced the killed leader in time"
        );
        tokio::select! {
            _ = ticks.tick() => asked.extend(survivors.iter().map(|to| try_write(cluster, *to))),
            Some(done) = asked.next() => if done { return Ok(began.elapsed()) },
        }
    }
}

async fn try_write(cluster: &Cluster, to: usize) -> bool {
    let address = cluster.client_address(to);
    let Ok(mut connection) = Connection::connect(address).await else { return false };
    let answered =
        connection.send_request(&cluster.dialect.encode_put(address, "failover", "x")).await;
    answered
        .is_ok_and(|(code, body)| cluster.dialect.decode_response(code, body) != Response::Failed)
}
