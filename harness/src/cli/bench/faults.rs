//! `harness bench faults`: measures how quickly faults take effect, and the cost of its networks
//! and disks.
//!
//! Each part runs in a child process with its own namespaces, as runs do, so that parts do not
//! affect each other.

use super::timing::{best, calibrate, milliseconds};
use crate::bench::{
    Cluster, Dialect, Load, Pace, Place, Reach, Sample, Side, Times, Timing, Writes, building,
    cutting, quantile, round_trips, run, told, touching, writing,
};
use crate::cli::failure::{self, Failure};
use crate::cli::output::{Format, print};
use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use serde_json::{Value, json};
use std::hint::black_box;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};
use testbed::host::disk::DiskBackend;
use testbed::host::sandbox;
use testbed::net::{Backend, wake_loopback};

/// How often networks are built, and how often every other fault is timed.
const BUILDS: usize = 10;
const TIMES: usize = 200;
/// How often round trips are counted; the best counts.
const COUNTS: usize = 3;

/// What is to be measured, and for how long.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often plain loopback and a bridge, or disks that could fail, are loaded, in turn.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: u32,
    /// How many seconds each time.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// The directory under which replicas keep their data while they are measured.
    #[arg(long, value_name = "DIR", default_value = "results")]
    data: PathBuf,
    /// Measures this alone, once, in namespaces of its own, and prints the raw figures.
    #[arg(long, hide = true)]
    part: Option<Part>,
}

/// What a child measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Build,
    Cut,
    Touch,
    Bridge,
    Switch,
    Disk,
    Store,
    StoreFuse,
    StoreSeccomp,
}

/// Carries out `harness bench faults`.
pub(crate) fn main(args: &Args, format: Format) -> Result<ExitCode> {
    if !(0.01..=600.0).contains(&args.seconds) {
        return Err(Failure::Usage("--seconds lies between 0.01 and 600".to_owned()).into());
    }
    if let Some(part) = args.part {
        return alone(args, part);
    }
    let human = format == Format::Human;
    let calibration = milliseconds(best(|| black_box(calibrate())));
    if human {
        print(&format!("{calibration:.3} ms for 100 million additions, for scale"))?;
    }
    let rows = rows(args, human)?;
    if !human {
        let table = json!({ "format": 1, "calibration_ms": calibration, "rows": rows });
        print(&serde_json::to_string_pretty(&table)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures one part in the sandbox.
fn alone(args: &Args, part: Part) -> Result<ExitCode> {
    if let sandbox::Entered::Refused { why } = sandbox::enter(Instant::now())? {
        return Err(Failure::Machine(why).into());
    }
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let measured = runtime.block_on(measure(args, part));
    runtime.shutdown_background();
    print(&measured?.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure(args: &Args, part: Part) -> Result<Value> {
    let place = Place::make(&args.data)?;
    Ok(match part {
        Part::Build => json!(building().await?),
        Part::Cut => json!(cutting(TIMES).await?),
        Part::Touch => json!(touching(TIMES, &place.path().join("sleep.log")).await?),
        Part::Bridge => json!(round_trips(Backend::Bridge).await?),
        Part::Switch => json!(round_trips(Backend::Switch).await?),
        Part::Disk => json!(writing(TIMES, place.path())?),
        Part::Store => carried(args, Over::Bridge, &place).await?,
        Part::StoreFuse => carried(args, Over::Disk(DiskBackend::Overlay), &place).await?,
        Part::StoreSeccomp => carried(args, Over::Disk(DiskBackend::Seccomp), &place).await?,
    })
}

/// Has a child measure one part.
fn child(args: &Args, part: Part) -> Result<Value> {
    let name = part.to_possible_value().context("each part has a name")?;
    let mut command = Command::new("/proc/self/exe");
    command.args(["bench", "faults", "--part", name.get_name(), "--data"]).arg(&args.data);
    let pace = [args.pairs.to_string(), args.seconds.to_string()];
    command.args(["--pairs", &pace[0], "--seconds", &pace[1]]).stderr(Stdio::inherit());
    let output = command.output().context("this program cannot be run again")?;
    if !output.status.success() {
        let text = format!("{} could not be measured; its reason stands above", name.get_name());
        let machine = output.status.code() == Some(i32::from(failure::MACHINE));
        return Err(if machine { Failure::Machine(text).into() } else { anyhow::anyhow!(text) });
    }
    serde_json::from_slice(&output.stdout).context("a child printed no figures")
}

fn rows(args: &Args, human: bool) -> Result<Vec<Value>> {
    let mut built = Times::new();
    for _ in 0..BUILDS {
        built.extend(serde_json::from_value::<Times>(child(args, Part::Build)?)?);
    }
    let cut: Times = serde_json::from_value(child(args, Part::Cut)?)?;
    let (stops, clocks): (Times, Times) = serde_json::from_value(child(args, Part::Touch)?)?;
    let mut rows = vec![
        row("five hosts built, a bridge between them", &built, human)?,
        row("one of five hosts cut off, or healed", &cut, human)?,
        row("a process stopped", &stops, human)?,
        row("a wall clock set", &clocks, human)?,
    ];
    for (part, backend) in [(Part::Bridge, Backend::Bridge), (Part::Switch, Backend::Switch)] {
        rows.push(trips(args, (part, backend), human)?);
    }
    let disks: Vec<(String, Writes)> = serde_json::from_value(child(args, Part::Disk)?)?;
    for (name, (synced, _)) in &disks {
        rows.push(row(&format!("4 KiB written and synced, {name}"), synced, human)?);
    }
    for (name, (_, unsynced)) in &disks {
        rows.push(row(&format!("64 bytes written, {name}"), unsynced, human)?);
    }
    let has = |means: DiskBackend| disks.iter().any(|(name, _)| *name == means.to_string());
    let overlay = has(DiskBackend::Overlay).then_some(Part::StoreFuse);
    let gate = has(DiskBackend::Seccomp).then_some(Part::StoreSeccomp);
    for part in [Some(Part::Store), overlay, gate].into_iter().flatten() {
        rows.push(store(args, part, human)?);
    }
    Ok(rows)
}

fn store(args: &Args, part: Part, human: bool) -> Result<Value> {
    let store = child(args, part)?;
    if human {
        for line in store["told"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            print(line)?;
        }
    }
    Ok(store)
}

fn row(name: &str, times: &Times, human: bool) -> Result<Value> {
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|part| quantile(times, part));
    if human {
        let count = times.len();
        print(&format!(
            "{name:<43} p50 {p50:>8.3}  p99 {p99:>8.3}  most {most:>8.3} ms, {count} times"
        ))?;
    }
    Ok(json!({ "name": name, "p50_ms": p50, "p99_ms": p99, "most_ms": most, "times": times.len() }))
}

fn trips(args: &Args, (part, backend): (Part, Backend), human: bool) -> Result<Value> {
    let mut best = 0.0_f64;
    for _ in 0..COUNTS {
        best = best.max(child(args, part)?.as_f64().unwrap_or(0.0));
    }
    let name = format!("round trips over a {backend}, eight at once");
    if human {
        print(&format!("{name:<43} {best:>8.0}/s"))?;
    }
    Ok(json!({ "name": name, "per_second": best }))
}

/// What is compared with plain loopback and plain directories.
#[derive(Clone, Copy)]
enum Over {
    Bridge,
    Disk(DiskBackend),
}

impl Over {
    async fn start(self, timing: Timing, place: &Place) -> Result<Cluster> {
        match self {
            Self::Bridge => Cluster::start_bridged(timing, place).await,
            Self::Disk(means) => Cluster::start_on(means, timing, place).await,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Bridge => "bridge".to_owned(),
            Self::Disk(means) => means.to_string(),
        }
    }
}

/// What the store carries over this, as a part of what it carries over plain loopback.
async fn carried(args: &Args, over: Over, place: &Place) -> Result<Value> {
    let timing = Timing { heartbeat_ms: 100, election_ms: 1000 };
    wake_loopback().await?;
    let mut one = over.start(timing, place).await?;
    let mut plain = Cluster::start(Dialect::Raft, timing, place).await?;
    let samples = [Sample::new(Dialect::Raft), Sample::new(Dialect::Raft)];
    let mut sides = [Side::default(), Side::default()];
    let time = Duration::from_secs_f64(args.seconds);
    let (pace, reach) = (Pace::Closed, Reach::Leader);
    let load = Load { clients: 64, pace, reach, reads: 0, warm_up: time / 6, time };
    for pair in 0..args.pairs {
        let mut turns = [(&mut one, 0), (&mut plain, 1)];
        if pair % 2 == 1 {
            turns.reverse();
        }
        for (cluster, at) in turns {
            sides[at].0.push(run(cluster, load, &samples[at], u64::from(pair)).await?);
        }
    }
    compared(&over.name(), &sides)
}

fn compared(name: &str, [one, plain]: &[Side; 2]) -> Result<Value> {
    let (text, ratio) = told(one, plain).context("both were measured")?;
    let lines = [
        format!("64 clients put, {name:<13} {}", one.told()),
        format!("64 clients put, loopback       {}", plain.told()),
        format!("  {name}/loopback: {text}"),
    ];
    let title = format!("puts, {name} against plain loopback");
    let (measured, loopback) = (one.json(), plain.json());
    let mut row = json!({ "name": title, "loopback": loopback, "ratio": ratio, "told": lines });
    row[name] = measured;
    Ok(row)
}
