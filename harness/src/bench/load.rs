//! Puts load on a cluster from many connections, and measures the latency of each operation.
//!
//! A closed loop sends the next request after the response, and gives the throughput. An open loop
//! sends requests at scheduled times, and measures latency from the scheduled time, so that a stall
//! cannot hide delayed requests (coordinated omission).

use super::cluster::Cluster;
use super::connection::Connection;
use super::dialect::{Dialect, Response};
use super::sample::Sample;
use super::time;
use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use hdrhistogram::Histogram;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use workloads::Rng;

/// How many keys there are.
pub(crate) const KEYS: u64 = 1000;
/// How many bytes a value has.
pub(crate) const VALUE_BYTES: usize = 64;
/// How long an answer is waited for.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a client waits that was refused.
const PAUSE: Duration = Duration::from_millis(2);
/// A timer of the loader's own may be this late without the system being to blame.
const TIMER_SLACK: Duration = Duration::from_millis(2);
/// The longest latency that is told apart, in microseconds.
const MAX_LATENCY_US: u64 = 60_000_000;

/// When clients ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Pace {
    /// As soon as the last answer is there.
    Closed,
    /// So often in a second, all together.
    Open(f64),
}

/// The replicas that receive requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The leader.
    Leader,
    /// The others.
    Followers,
    /// Every replica alike: where there are several groups, each has a leader of its own.
    AllReplicas,
}

/// What is to be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) clients: usize,
    pub(crate) pace: Pace,
    pub(crate) target: Target,
    /// How many of a hundred operations read.
    pub(crate) read_percent: u64,
    pub(crate) warm_up: Duration,
    pub(crate) time: Duration,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Measurement {
    /// Operations carried out, and not, within the time.
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) per_second: f64,
    /// In microseconds.
    pub(crate) latency: Histogram<u64>,
    /// How many cores the loader kept busy.
    pub(crate) loader_cores: f64,
    /// How many cores the replicas kept busy.
    pub(crate) server_cores: f64,
    /// How often the leader waited for its disk, if it tells.
    pub(crate) syncs_per_write: Option<f64>,
}

/// Puts the load on.
pub(crate) async fn run_load(
    cluster: &mut Cluster,
    load: Load,
    sample: &Sample,
    seed: u64,
) -> Result<Measurement> {
    let leader = cluster.wait_for_leader().await?;
    let targets: Vec<SocketAddr> = match load.target {
        Target::Leader => vec![cluster.client_address(leader)],
        Target::Followers => {
            cluster.other_replicas(leader).map(|number| cluster.client_address(number)).collect()
        }
        Target::AllReplicas => {
            let others =
                cluster.other_replicas(leader).map(|number| cluster.client_address(number));
            std::iter::once(cluster.client_address(leader)).chain(others).collect()
        }
    };
    let mut connections = open_connections(&targets, load.clients).await?;
    let start = Instant::now();
    let (from, end) = (start + load.warm_up, start + load.warm_up + load.time);
    let rng = Rng::new(seed);
    let mut client = |number: usize| Client {
        dialect: cluster.dialect,
        address: targets[number % targets.len()],
        load,
        number,
        start,
        from,
        end,
        sample,
        rng: rng.fork(&number.to_string()),
        connection: connections.pop(),
        counts: ClientCounts::new(),
    };
    let clients =
        join_all((0..load.clients).map(|number| client(number).run()).collect::<Vec<_>>());
    let (before, syncs) = (cluster.cpu_seconds()?, cluster.sync_count(leader).await);
    let own = time::process_cpu_seconds();
    let began = Instant::now();
    let tallies = clients.await;
    let took = began.elapsed().as_secs_f64();
    let (own, served) = (time::process_cpu_seconds() - own, cluster.cpu_seconds()? - before);
    let syncs = cluster.sync_count(leader).await.zip(syncs).map(|(after, before)| after - before);
    let tally = tallies.into_iter().fold(ClientCounts::new(), ClientCounts::merge);
    let writes = tally.write_count.max(1) as f64;
    Ok(Measurement {
        done: tally.done,
        failed: tally.failed,
        per_second: tally.done as f64 / load.time.as_secs_f64(),
        latency: tally.latency,
        loader_cores: own / took,
        server_cores: served / took,
        syncs_per_write: syncs.filter(|_| tally.write_count > 0).map(|syncs| syncs / writes),
    })
}

/// Opens the connections of all clients before the first request, so that no latency includes
/// the time to accept them.
async fn open_connections(targets: &[SocketAddr], clients: usize) -> Result<Vec<Connection>> {
    let mut connections = Vec::with_capacity(clients);
    for number in (0..clients).rev() {
        let dialled =
            timeout(RESPONSE_TIMEOUT, Connection::connect(targets[number % targets.len()])).await;
        connections.push(dialled.context("a connection takes too long")??);
    }
    Ok(connections)
}

struct ClientCounts {
    done: u64,
    failed: u64,
    /// Writes carried out, those of the warm-up, too.
    write_count: u64,
    latency: Histogram<u64>,
}

impl ClientCounts {
    fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, MAX_LATENCY_US, 3).expect("bounds in order");
        Self { done: 0, failed: 0, write_count: 0, latency }
    }

    fn merge(mut self, other: Self) -> Self {
        self.done += other.done;
        self.failed += other.failed;
        self.write_count += other.write_count;
        self.latency.add(other.latency).expect("the same bounds");
        self
    }
}

/// One connection's worth of load.
struct Client<'s> {
    dialect: Dialect,
    address: SocketAddr,
    load: Load,
    number: usize,
    start: Instant,
    from: Instant,
    end: Instant,
    sample: &'s Sample,
    rng: Rng,
    connection: Option<Connection>,
    counts: ClientCounts,
}

impl Client<'_> {
    async fn run(mut self) -> ClientCounts {
        for turn in 0.. {
            let counts_from = self.wait_for_turn(turn).await;
            if counts_from >= self.end {
                break;
            }
            let done = self.run_operation().await;
            let now = Instant::now();
            if now >= self.from && now < self.end {
                self.record_latency(done, now - counts_from);
            }
            if !done {
                sleep(PAUSE).await;
            }
        }
        self.counts
    }

    /// Waits for the turn, and says from when its latency counts.
    async fn wait_for_turn(&self, turn: u32) -> Instant {
        let now = Instant::now();
        let Pace::Open(per_second) = self.load.pace else { return now };
        let place = self.number as f64 + f64::from(turn) * self.load.clients as f64;
        let meant = self.start + Duration::from_secs_f64(place / per_second);
        if meant <= now {
            return meant;
        }
        sleep_until(meant).await;
        let now = Instant::now();
        if now < meant + TIMER_SLACK { now } else { meant }
    }

    fn record_latency(&mut self, done: bool, took: Duration) {
        if done {
            self.counts.done += 1;
            self.counts
                .latency
                .saturating_record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        } else {
            self.counts.failed += 1;
        }
    }

    /// Carries out one operation; whether it was done.
    async fn run_operation(&mut self) -> bool {
        let key = self.rng.below(KEYS);
        let name = format!("k{key}");
        let reads = self.rng.percent_chance(self.load.read_percent);
        let value = (!reads).then(|| self.sample.fresh_value(VALUE_BYTES));
        let request = match &value {
            Some(value) => self.dialect.encode_put(self.address, &name, value),
            None => self.dialect.encode_get(self.address, &name),
        };
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => match Connection::connect(self.address).await {
                Ok(connection) => connection,
                Err(_) => return false,
            },
        };
        let watched = self.sample.invoke(key, value.as_deref());
        let answered = timeout(RESPONSE_TIMEOUT, connection.send_request(&request)).await;
        let answer = match &answered {
            Ok(Ok((status, body))) => self.dialect.decode_response(*status, body),
            _ => Response::Failed,
        };
        self.sample.complete(watched, &answer);
        let done = answer != Response::Failed;
        self.counts.write_count += u64::from(done && !reads);
        if matches!(answered, Ok(Ok(_))) {
            self.connection = Some(connection);
        }
        done
    }
}
