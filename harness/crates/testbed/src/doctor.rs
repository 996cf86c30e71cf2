//! Tries what a run needs on this machine and says what is missing and what to do about it.
//!
//! Nothing is guessed from `/proc` or from version numbers: the very code that a run uses makes
//! namespaces, a network of two hosts with a one-way cut in it, and proxies, in processes that end
//! right away.

use crate::host::permissions::remedy;
use crate::host::process::Replica;
use crate::host::sandbox;
use crate::host::thread::Host;
use crate::net::plan::{HostId, LinkPlan};
use crate::net::switch::shape::{Shape, WHOLE};
use crate::net::{Backend, Fabric, PairEvidence, try_filter};
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
use workloads::Rng;

/// Long enough for several probes of every link.
const WATCH: Duration = Duration::from_millis(450);

/// How many datagrams are under way at once when round trips are counted.
const UNDER_WAY: u32 = 8;

/// How long a child of a replica may take to be there.
const FOUND_WITHIN: Duration = Duration::from_secs(2);

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
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
struct Trouble {
    detail: String,
    fix: Option<String>,
}

/// Tries everything, each thing in a process of its own. Must be called while this process has but
/// one thread.
pub fn examine() -> Vec<Row> {
    let spaces = || Ok("user, mount, pid, network, hostname and ipc namespaces".to_owned());
    vec![
        row("namespaces", in_sandbox(&spaces)),
        row("nf_tables", in_sandbox(&filter)),
        row("bridge", in_sandbox(&|| asynchronously(bridge()))),
        row("switch", in_sandbox(&|| asynchronously(switch()))),
        row("processes", in_sandbox(&processes)),
        row("clocks", in_sandbox(&crate::host::clock::try_here)),
        row("disks", disks()),
        row("proxies", asynchronously(proxies()).map_err(Trouble::from)),
    ]
}

fn row(name: &'static str, tried: Result<String, Trouble>) -> Row {
    match tried {
        Ok(detail) => Row { name, ok: true, detail, fix: None },
        Err(Trouble { detail, fix }) => Row { name, ok: false, detail, fix },
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self { detail: format!("{error:#}"), fix: None }
    }
}

/// What `attempt` says when it runs in a sandbox.
fn in_sandbox(attempt: &dyn Fn() -> Result<String>) -> Result<String, Trouble> {
    let (mut outside, inside) = UnixStream::pair().context("no socket to hear from the sandbox")?;
    let code = match sandbox::contain(&|| tell(&inside, attempt()))? {
        Ok(code) => code,
        Err(detail) => return Err(Trouble { detail, fix: Some(remedy()) }),
    };
    drop(inside);
    let mut text = String::new();
    outside.read_to_string(&mut text).context("the sandbox cannot be heard")?;
    if code == 0 { Ok(text) } else { Err(Trouble { detail: text, fix: None }) }
}

/// Passes on what was seen; the exit code says whether it is good.
fn tell(mut outside: &UnixStream, tried: Result<String>) -> i32 {
    let code = i32::from(tried.is_err());
    let text = tried.unwrap_or_else(|error| format!("{error:#}"));
    if outside.write_all(text.as_bytes()).is_ok() { code } else { 255 }
}

/// Without a sandbox there are fewer faults of disks, but some.
fn disks() -> Result<String, Trouble> {
    let inside = in_sandbox(&|| crate::host::disk::try_here(true));
    inside.or_else(|_| crate::host::disk::try_here(false).map_err(Trouble::from))
}

fn asynchronously(attempt: impl Future<Output = Result<String>>) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("tokio does not start")?.block_on(attempt)
}

fn filter() -> Result<String> {
    try_filter().map(|()| "rules in the bridge family, over netlink".to_owned())
}

async fn bridge() -> Result<String> {
    let begin = Instant::now();
    let fabric = Fabric::build(Backend::Bridge, 2, &Rng::new(0), None).await?;
    let built = begin.elapsed().as_millis();
    let one_way = LinkPlan::cut([(HostId(0), HostId(1))]);
    let cut = fabric.apply(&one_way).await?.took.as_millis();
    let mark = fabric.mark();
    tokio::time::sleep(WATCH).await;
    let bit = fabric.since(&mark).await?.iter().all(|pair| is_as_wanted(&one_way, pair));
    ensure!(bit, "a one-way cut did not hold or held both ways; use --net proxy");
    fabric.apply(&LinkPlan::healed()).await?;
    let trips = round_trips(&fabric)?;
    Ok(format!("two hosts in {built} ms, a one-way cut in {cut} ms, {trips} round trips a second"))
}

async fn switch() -> Result<String> {
    let begin = Instant::now();
    let fabric = Fabric::build(Backend::Switch, 2, &Rng::new(0), None).await?;
    let built = begin.elapsed().as_millis();
    let link = (HostId(0), HostId(1));
    let lossy = Shape { loss: WHOLE, ..Shape::default() };
    fabric.apply(&LinkPlan { shapes: [(link, lossy)].into(), ..LinkPlan::healed() }).await?;
    tokio::time::sleep(WATCH).await;
    let lost = fabric.counts().and_then(|counts| Some(counts.get(&link)?.lost)).unwrap_or_default();
    ensure!(lost > 0, "no packet was lost that should have been; do without packet");
    fabric.apply(&LinkPlan::healed()).await?;
    let trips = round_trips(&fabric)?;
    Ok(format!(
        "two hosts in {built} ms, {lost} packets lost on purpose, {trips} round trips a second"
    ))
}

/// How many datagrams a second get to another host and back, some at a time.
fn round_trips(fabric: &Fabric) -> Result<u128> {
    let (near, far) = (fabric.socket(HostId(0))?, fabric.socket(HostId(1))?);
    let there = far.local_addr()?;
    near.set_read_timeout(Some(WATCH))?;
    far.set_read_timeout(Some(WATCH))?;
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 16];
        // An empty one is the last.
        while let Ok((1.., from)) = far.recv_from(&mut buffer) {
            // The receiver notices a datagram that cannot be sent back.
            drop(far.send_to(&[1], from));
        }
    });
    let begin = Instant::now();
    for _ in 0..UNDER_WAY {
        near.send_to(&[1], there)?;
    }
    let mut count = 0;
    while begin.elapsed() < WATCH {
        near.recv(&mut [0; 16]).context("a datagram did not come back")?;
        near.send_to(&[1], there)?;
        count += 1;
    }
    near.send_to(&[], there)?;
    let per_second = count * 1_000 / begin.elapsed().as_millis().max(1);
    echo.join().map_err(|_| anyhow!("the echo died"))?;
    Ok(per_second)
}

fn is_as_wanted(plan: &LinkPlan, pair: &PairEvidence) -> bool {
    let is_cut = plan.cuts.contains(&(pair.from, pair.to));
    pair.offered > 0 && (pair.delivered == 0) == is_cut && (pair.dropped > 0) == is_cut
}

/// Kills a replica whose child has a session of its own, and looks whether that is gone too.
fn processes() -> Result<String> {
    let host = Host::enclosing("init")?;
    let args = ["-c", "setsid sleep 60 & exec sleep 60"].map(OsString::from);
    let began = Instant::now();
    let mut replica = Replica::spawn(&host, Path::new("/bin/sh"), &args, Path::new("/dev/null"))?;
    let started = began.elapsed();
    let session = |pid: &i32| getsid(Some(Pid::from_raw(*pid))).ok() == Some(Pid::from_raw(*pid));
    let escaped = loop {
        if let Some(pid) = replica.processes()?.into_iter().find(session) {
            break Pid::from_raw(pid);
        }
        ensure!(began.elapsed() < FOUND_WITHIN, "a child of a replica was not found");
        std::thread::sleep(Duration::from_millis(1));
    };
    let began = Instant::now();
    replica.kill()?;
    let killed = began.elapsed();
    ensure!(kill(escaped, None) == Err(Errno::ESRCH), "a child of a replica outlived it");
    let [started, killed] = [started, killed].map(|took| took.as_secs_f64() * 1e3);
    Ok(format!(
        "a replica in a pid namespace of its own in {started:.1} ms, dead with all it started in {killed:.1} ms"
    ))
}

async fn proxies() -> Result<String> {
    Ok(Fabric::build(Backend::Proxy, 2, &Rng::new(0), None).await?.describe())
}
