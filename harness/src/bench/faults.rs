//! Measures the parts of faults: building a network, cutting it, stopping a process, setting its
//! clock, and the throughput of the networks.

use anyhow::{Context as _, Result, ensure};
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};
use testbed::host::clock::{self, Skew};
use testbed::host::process::Replica;
use testbed::net::plan::{HostId, LinkPlan};
use testbed::net::{Backend, Network};

/// How many hosts are built and cut.
const HOSTS: u8 = 5;
/// How many pairs of sockets ask and answer at once.
const PAIRS: usize = 8;
/// How long they do.
const MEASURE_TIME: Duration = Duration::from_secs(1);
/// A datagram that is not answered in this time is lost.
const DATAGRAM_TIMEOUT: Duration = Duration::from_millis(200);
/// How wrong the clock is set.
const CLOCK_SKEW_NS: i64 = 5_000_000_000;

/// Milliseconds, as often as something was done.
pub(crate) type Times = Vec<f64>;

pub(super) fn elapsed_ms(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

/// Builds five hosts and the links between them, each seen to work.
pub(crate) async fn time_build() -> Result<Times> {
    let began = Instant::now();
    let network = Network::build(Backend::Bridge, HOSTS, 1, None).await?;
    let took = elapsed_ms(began);
    drop(network);
    Ok(vec![took])
}

/// Cuts one host off four others and heals it again: a time for each.
pub(crate) async fn time_cuts(times: usize) -> Result<Times> {
    let network = Network::build(Backend::Bridge, HOSTS, 1, None).await?;
    let one = HostId(0);
    let others = || (1..HOSTS).map(HostId);
    let cut = LinkPlan::with_cuts(others().flat_map(|host| [(one, host), (host, one)]));
    let mut took = Times::new();
    for turn in 0..times {
        let plan = if turn % 2 == 0 { &cut } else { &LinkPlan::healed() };
        took.push(network.apply_plan(plan).await?.took.as_secs_f64() * 1e3);
    }
    Ok(took)
}

/// Stops a process until the kernel says so, and sets its clock: times of each.
pub(crate) async fn time_stops_and_clocks(times: usize, log: &Path) -> Result<(Times, Times)> {
    let network = Network::build(Backend::Bridge, 1, 1, None).await?;
    let mut replica =
        network.spawn_replica(HostId(0), Path::new("sleep"), &["1000".into()], log)?;
    // The pages that hold its clock are there once its loader has run.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (mut stops, mut clocks) = (Times::new(), Times::new());
    for turn in 0..times {
        stops.push(time_stop(&mut replica)?);
        let offset_ns = if turn % 2 == 0 { CLOCK_SKEW_NS } else { 0 };
        let began = Instant::now();
        clock::set_skew(&mut replica, &Skew { offset_ns, ..Skew::default() })?;
        clocks.push(elapsed_ms(began));
    }
    replica.kill()?;
    Ok((stops, clocks))
}

fn time_stop(replica: &mut Replica) -> Result<f64> {
    let began = Instant::now();
    replica.pause()?;
    while !replica.sample()?.is_stopped() {
        ensure!(began.elapsed() < DATAGRAM_TIMEOUT, "the process did not stop");
    }
    let took = elapsed_ms(began);
    replica.resume()?;
    Ok(took)
}

/// How many datagrams a second go from one host to another and back, eight at once.
pub(crate) async fn count_round_trips(backend: Backend) -> Result<f64> {
    let network = Network::build(backend, 2, 1, None).await?;
    let mut asking = Vec::new();
    for _ in 0..PAIRS {
        let (asks, answers) =
            (network.bind_udp_socket(HostId(0))?, network.bind_udp_socket(HostId(1))?);
        for socket in [&asks, &answers] {
            socket.set_read_timeout(Some(DATAGRAM_TIMEOUT))?;
        }
        asks.connect(answers.local_addr()?)?;
        answers.connect(asks.local_addr()?)?;
        std::thread::spawn(move || echo_datagrams(&answers));
        asking.push(std::thread::spawn(move || count_replies(&asks)));
    }
    let asked = tokio::task::spawn_blocking(move || {
        asking.into_iter().map(|thread| thread.join().unwrap_or(0)).sum::<u32>()
    });
    let trips = asked.await.context("those who asked are gone")?;
    Ok(f64::from(trips) / MEASURE_TIME.as_secs_f64())
}

fn count_replies(socket: &UdpSocket) -> u32 {
    let (began, mut trips, mut buffer) = (Instant::now(), 0, [0; 64]);
    while began.elapsed() < MEASURE_TIME {
        // One that is lost is asked again, and counts for nothing.
        if socket.send(&buffer).is_ok() && socket.recv(&mut buffer).is_ok() {
            trips += 1;
        }
    }
    trips
}

/// Answers until there has been no request for a while.
fn echo_datagrams(socket: &UdpSocket) {
    let mut buffer = [0; 64];
    while socket.recv(&mut buffer).is_ok() {
        // What cannot be sent is lost, and asked again.
        drop(socket.send(&buffer));
    }
}
