//! Tries what a run needs on this machine and says what is missing and what to do about it.
//!
//! Nothing is guessed from `/proc` or from version numbers: the very code that a run uses makes
//! namespaces, a network of two hosts with a one-way cut in it, and proxies, in processes that end
//! right away.

use crate::host::permissions::suggest_fix;
use crate::host::process::Replica;
use crate::host::sandbox;
use crate::host::thread::Host;
use crate::net::plan::{HostId, LinkPlan};
use crate::net::switch::shape::{PER_MILLE, Shape};
use crate::net::{Backend, Network, PairEvidence, try_filter};
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, getsid};
use serde::Serialize;
use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// Long enough for several probes of every link.
const OBSERVATION_TIME: Duration = Duration::from_millis(450);

/// How many datagrams are under way at once when round trips are counted.
const IN_FLIGHT: u32 = 8;

/// How long a child of a replica may take to be there.
const CHILD_TIMEOUT: Duration = Duration::from_secs(2);

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckResult {
    /// What it is.
    pub name: &'static str,
    /// It works.
    pub ok: bool,
    /// What was seen, or why it does not work.
    pub detail: String,
    /// What to do about it, where the detail does not say so already.
    pub fix: Option<String>,
}

/// Why something does not work.
struct CheckFailure {
    detail: String,
    fix: Option<String>,
}

/// Tries everything, each thing in a process of its own. Must be called while this process has but
/// one thread.
pub fn run_checks() -> Vec<CheckResult> {
    let spaces = || Ok("user, mount, pid, network, hostname and ipc namespaces".to_owned());
    vec![
        check_result("namespaces", run_in_sandbox(&spaces)),
        check_result("nf_tables", run_in_sandbox(&check_nf_tables)),
        check_result("bridge", run_in_sandbox(&|| run_async(check_bridge()))),
        check_result("switch", run_in_sandbox(&|| run_async(check_switch()))),
        check_result("processes", run_in_sandbox(&check_processes)),
        check_result("clocks", run_in_sandbox(&crate::host::clock::try_here)),
        check_result("disks", check_disks()),
        check_result("proxies", run_async(check_proxies()).map_err(CheckFailure::from)),
    ]
}

fn check_result(name: &'static str, tried: Result<String, CheckFailure>) -> CheckResult {
    match tried {
        Ok(detail) => CheckResult { name, ok: true, detail, fix: None },
        Err(CheckFailure { detail, fix }) => CheckResult { name, ok: false, detail, fix },
    }
}

impl From<anyhow::Error> for CheckFailure {
    fn from(error: anyhow::Error) -> Self {
        Self { detail: format!("{error:#}"), fix: None }
    }
}

/// The result of `attempt` in a sandbox.
fn run_in_sandbox(attempt: &dyn Fn() -> Result<String>) -> Result<String, CheckFailure> {
    let (mut outside, inside) =
        UnixStream::pair().context("cannot create the socket of the sandbox")?;
    let code = match sandbox::run_contained(&|| send_outcome(&inside, attempt()))? {
        Ok(code) => code,
        Err(detail) => return Err(CheckFailure { detail, fix: Some(suggest_fix()) }),
    };
    drop(inside);
    let mut text = String::new();
    outside.read_to_string(&mut text).context("cannot read from the sandbox")?;
    if code == 0 { Ok(text) } else { Err(CheckFailure { detail: text, fix: None }) }
}

/// Passes on the result; the exit code tells whether it is good.
fn send_outcome(mut outside: &UnixStream, tried: Result<String>) -> i32 {
    let code = i32::from(tried.is_err());
    let text = tried.unwrap_or_else(|error| format!("{error:#}"));
    if outside.write_all(text.as_bytes()).is_ok() { code } else { 255 }
}

/// Without a sandbox there are fewer faults of disks, but some.
fn check_disks() -> Result<String, CheckFailure> {
    let inside = run_in_sandbox(&|| crate::host::disk::try_here(true));
    inside.or_else(|_| crate::host::disk::try_here(false).map_err(CheckFailure::from))
}

fn run_async(attempt: impl Future<Output = Result<String>>) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("tokio does not start")?.block_on(attempt)
}

fn check_nf_tables() -> Result<String> {
    try_filter().map(|()| "rules in the bridge family, over netlink".to_owned())
}

async fn check_bridge() -> Result<String> {
    let begin = Instant::now();
    let network = Network::build(Backend::Bridge, 2, 0, None).await?;
    let built = begin.elapsed().as_millis();
    let one_way = LinkPlan::with_cuts([(HostId(0), HostId(1))]);
    let cut = network.apply_plan(&one_way).await?.took.as_millis();
    let mark = network.snapshot_traffic();
    tokio::time::sleep(OBSERVATION_TIME).await;
    let bit = network.traffic_since(&mark).await?.iter().all(|pair| matches_plan(&one_way, pair));
    ensure!(bit, "a one-way cut did not hold or held both ways; use --net proxy");
    network.apply_plan(&LinkPlan::healed()).await?;
    let trips = measure_round_trips(&network)?;
    Ok(format!("two hosts in {built} ms, a one-way cut in {cut} ms, {trips} round trips a second"))
}

async fn check_switch() -> Result<String> {
    let begin = Instant::now();
    let network = Network::build(Backend::Switch, 2, 0, None).await?;
    let built = begin.elapsed().as_millis();
    let link = (HostId(0), HostId(1));
    let lossy = Shape { loss: PER_MILLE, ..Shape::default() };
    network.apply_plan(&LinkPlan { shapes: [(link, lossy)].into(), ..LinkPlan::healed() }).await?;
    tokio::time::sleep(OBSERVATION_TIME).await;
    let lost =
        network.link_counts().and_then(|counts| Some(counts.get(&link)?.lost)).unwrap_or_default();
    ensure!(lost > 0, "no packet was lost that should have been; do without packet");
    network.apply_plan(&LinkPlan::healed()).await?;
    let trips = measure_round_trips(&network)?;
    Ok(format!(
        "two hosts in {built} ms, {lost} packets lost on purpose, {trips} round trips a second"
    ))
}

/// How many datagrams a second get to another host and back, some at a time.
fn measure_round_trips(network: &Network) -> Result<u128> {
    let (near, far) = (network.bind_udp_socket(HostId(0))?, network.bind_udp_socket(HostId(1))?);
    let there = far.local_addr()?;
    near.set_read_timeout(Some(OBSERVATION_TIME))?;
    far.set_read_timeout(Some(OBSERVATION_TIME))?;
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 16];
        // An empty one is the last.
        while let Ok((1.., from)) = far.recv_from(&mut buffer) {
            // The receiver notices a datagram that cannot be sent back.
            drop(far.send_to(&[1], from));
        }
    });
    let begin = Instant::now();
    for _ in 0..IN_FLIGHT {
        near.send_to(&[1], there)?;
    }
    let mut count = 0;
    while begin.elapsed() < OBSERVATION_TIME {
        near.recv(&mut [0; 16]).context("a datagram did not come back")?;
        near.send_to(&[1], there)?;
        count += 1;
    }
    near.send_to(&[], there)?;
    let per_second = count * 1_000 / begin.elapsed().as_millis().max(1);
    echo.join().map_err(|_| anyhow!("the echo died"))?;
    Ok(per_second)
}

fn matches_plan(plan: &LinkPlan, pair: &PairEvidence) -> bool {
    let is_cut = plan.cuts.contains(&(pair.from, pair.to));
    pair.offered > 0 && (pair.delivered == 0) == is_cut && (pair.dropped > 0) == is_cut
}

/// Kills a replica whose child has a session of its own, and looks whether that is gone too.
fn check_processes() -> Result<String> {
    let host = Host::with_pid_namespaces("init")?;
    let args = ["-c", "setsid sleep 60 & exec sleep 60"].map(OsString::from);
    let began = Instant::now();
    let mut replica = Replica::spawn(&host, Path::new("/bin/sh"), &args, Path::new("/dev/null"))?;
    let started = began.elapsed();
    let session = |pid: &i32| getsid(Some(Pid::from_raw(*pid))).ok() == Some(Pid::from_raw(*pid));
    let escaped = loop {
        if let Some(pid) = replica.list_processes()?.into_iter().find(session) {
            break Pid::from_raw(pid);
        }
        ensure!(began.elapsed() < CHILD_TIMEOUT, "a child of a replica was not found");
        std::thread::sleep(Duration::from_millis(1));
    };
    let began = Instant::now();
    replica.kill()?;
    let killed = began.elapsed();
    ensure!(kill(escaped, None) == Err(Errno::ESRCH), "a child of a replica outlived it");
    let [started, killed] = [started, killed].map(|took| took.as_secs_f64() * 1e3);
    Ok(format!(
        "a replica in a pid namespace of its own in {started:.1} ms, \
         dead with all it started in {killed:.1} ms"
    ))
}

async fn check_proxies() -> Result<String> {
    Ok(Network::build(Backend::Proxy, 2, 0, None).await?.describe())
}
