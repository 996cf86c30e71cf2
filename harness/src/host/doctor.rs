//! Tries what a run needs on this machine and says what is missing and what to do about it.
//!
//! Nothing is guessed from `/proc` or from version numbers: the very code that a run uses makes namespaces, a
//! network of two hosts with a one-way cut in it, and proxies, in processes that end right away.

use super::refusal::remedy;
use super::sandbox;
use crate::net::plan::{HostId, LinkPlan};
use crate::net::{Backend, Fabric, PairEvidence, try_filter};
use anyhow::{Context as _, Result, ensure};
use serde::Serialize;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Long enough for several probes of every link.
const WATCH: Duration = Duration::from_millis(450);

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Row {
    /// What it is.
    pub(crate) name: &'static str,
    /// It works.
    pub(crate) ok: bool,
    /// What was seen, or why it does not work.
    pub(crate) detail: String,
    /// What to do about it, where the detail does not say so already.
    pub(crate) fix: Option<String>,
}

/// Why something does not work.
struct Trouble {
    detail: String,
    fix: Option<String>,
}

/// Tries everything, each thing in a process of its own. Must be called while this process has but one thread.
pub(crate) fn examine() -> Vec<Row> {
    let spaces = || Ok("user, mount, pid, network, hostname and ipc namespaces".to_owned());
    vec![
        row("namespaces", in_sandbox(&spaces)),
        row("nf_tables", in_sandbox(&filter)),
        row("bridge", in_sandbox(&|| asynchronously(bridge()))),
        row("clocks", in_sandbox(&super::clock::try_here)),
        row("disks", in_sandbox(&super::disk::try_here)),
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

fn asynchronously(attempt: impl Future<Output = Result<String>>) -> Result<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("tokio does not start")?.block_on(attempt)
}

fn filter() -> Result<String> {
    try_filter().map(|()| "rules in the bridge family, over netlink".to_owned())
}

async fn bridge() -> Result<String> {
    let begin = Instant::now();
    let fabric = Fabric::build(Backend::Bridge, 2).await?;
    let built = begin.elapsed().as_millis();
    let one_way = LinkPlan { cuts: [(HostId(0), HostId(1))].into() };
    let cut = fabric.apply(&one_way).await?.took.as_millis();
    let mark = fabric.mark();
    tokio::time::sleep(WATCH).await;
    let bit = fabric.since(&mark).await?.iter().all(|pair| is_as_wanted(&one_way, pair));
    ensure!(bit, "a one-way cut did not hold or held both ways; use --net proxy");
    Ok(format!("two hosts in {built} ms, a one-way cut in {cut} ms"))
}

fn is_as_wanted(plan: &LinkPlan, pair: &PairEvidence) -> bool {
    let is_cut = plan.cuts.contains(&(pair.from, pair.to));
    pair.offered > 0 && (pair.delivered == 0) == is_cut && (pair.dropped > 0) == is_cut
}

async fn proxies() -> Result<String> {
    Ok(Fabric::build(Backend::Proxy, 2).await?.describe())
}
