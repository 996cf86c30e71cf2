//! `harness bench faults`: measures how quickly faults take effect, and the cost of its networks
//! and disks.
//!
//! Each part runs in a child process with its own namespaces, as runs do, so that parts do not
//! affect each other.

use super::timing::{best_time, calibrate, to_milliseconds};
use crate::bench::{
    BenchDirectory, Cluster, Dialect, ElectionTiming, Load, Measurements, Pace, Sample, Target,
    Times, WriteTimes, compare_measurements, count_round_trips, quantile, run_load, time_build,
    time_cuts, time_disks, time_stops_and_clocks,
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
use testbed::net::{Backend, bring_up_loopback};

/// How often networks are built, and how often every other fault is timed.
const BUILDS: usize = 10;
const TIMES: usize = 200;
/// How often round trips are counted; the best counts.
const COUNTS: usize = 3;

/// What is to be measured, and for how long.
#[derive(clap::Args)]
pub(crate) struct FaultsArgs {
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
    part: Option<FaultPart>,
}

/// What a child measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum FaultPart {
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
pub(crate) fn main(args: &FaultsArgs, format: Format) -> Result<ExitCode> {
    if !(0.01..=600.0).contains(&args.seconds) {
        return Err(Failure::Usage("--seconds lies between 0.01 and 600".to_owned()).into());
    }
    if let Some(part) = args.part {
        return measure_in_sandbox(args, part);
    }
    let human = format == Format::Human;
    let calibration = to_milliseconds(best_time(|| black_box(calibrate())));
    if human {
        print(&format!("{calibration:.3} ms for 100 million additions, for scale"))?;
    }
    let rows = measure_rows(args, human)?;
    if !human {
        let table = json!({ "format": 1, "calibration_ms": calibration, "rows": rows });
        print(&serde_json::to_string_pretty(&table)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Measures one part in the sandbox.
fn measure_in_sandbox(args: &FaultsArgs, part: FaultPart) -> Result<ExitCode> {
    if let sandbox::Entered::Refused { why } = sandbox::enter(Instant::now())? {
        return Err(Failure::Machine(why).into());
    }
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let measured = runtime.block_on(measure_part(args, part));
    runtime.shutdown_background();
    print(&measured?.to_string())?;
    Ok(ExitCode::SUCCESS)
}

async fn measure_part(args: &FaultsArgs, part: FaultPart) -> Result<Value> {
    let place = BenchDirectory::create(&args.data)?;
    Ok(match part {
        FaultPart::Build => json!(time_build().await?),
        FaultPart::Cut => json!(time_cuts(TIMES).await?),
        FaultPart::Touch => {
            json!(time_stops_and_clocks(TIMES, &place.path().join("sleep.log")).await?)
        }
        FaultPart::Bridge => json!(count_round_trips(Backend::Bridge).await?),
        FaultPart::Switch => json!(count_round_trips(Backend::Switch).await?),
        FaultPart::Disk => json!(time_disks(TIMES, place.path())?),
        FaultPart::Store => compare_throughput(args, ComparedBackend::Bridge, &place).await?,
        FaultPart::StoreFuse => {
            compare_throughput(args, ComparedBackend::Disk(DiskBackend::Overlay), &place).await?
        }
        FaultPart::StoreSeccomp => {
            compare_throughput(args, ComparedBackend::Disk(DiskBackend::Seccomp), &place).await?
        }
    })
}

/// Has a child measure one part.
fn measure_in_child(args: &FaultsArgs, part: FaultPart) -> Result<Value> {
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

fn measure_rows(args: &FaultsArgs, human: bool) -> Result<Vec<Value>> {
    let mut built = Times::new();
    for _ in 0..BUILDS {
        built.extend(serde_json::from_value::<Times>(measure_in_child(args, FaultPart::Build)?)?);
    }
    let cut: Times = serde_json::from_value(measure_in_child(args, FaultPart::Cut)?)?;
    let (stops, clocks): (Times, Times) =
        serde_json::from_value(measure_in_child(args, FaultPart::Touch)?)?;
    let mut rows = vec![
        times_row("five hosts built, a bridge between them", &built, human)?,
        times_row("one of five hosts cut off, or healed", &cut, human)?,
        times_row("a process stopped", &stops, human)?,
        times_row("a wall clock set", &clocks, human)?,
    ];
    for (part, backend) in
        [(FaultPart::Bridge, Backend::Bridge), (FaultPart::Switch, Backend::Switch)]
    {
        rows.push(measure_round_trips(args, (part, backend), human)?);
    }
    let disks: Vec<(String, WriteTimes)> =
        serde_json::from_value(measure_in_child(args, FaultPart::Disk)?)?;
    for (name, (synced, _)) in &disks {
        rows.push(times_row(&format!("4 KiB written and synced, {name}"), synced, human)?);
    }
    for (name, (_, unsynced)) in &disks {
        rows.push(times_row(&format!("64 bytes written, {name}"), unsynced, human)?);
    }
    let has = |means: DiskBackend| disks.iter().any(|(name, _)| *name == means.to_string());
    let overlay = has(DiskBackend::Overlay).then_some(FaultPart::StoreFuse);
    let gate = has(DiskBackend::Seccomp).then_some(FaultPart::StoreSeccomp);
    for part in [Some(FaultPart::Store), overlay, gate].into_iter().flatten() {
        rows.push(measure_store(args, part, human)?);
    }
    Ok(rows)
}

fn measure_store(args: &FaultsArgs, part: FaultPart, human: bool) -> Result<Value> {
    let store = measure_in_child(args, part)?;
    if human {
        for line in store["told"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            print(line)?;
        }
    }
    Ok(store)
}

fn times_row(name: &str, times: &Times, human: bool) -> Result<Value> {
    let [p50, p99, most] = [0.5, 0.99, 1.0].map(|part| quantile(times, part));
    if human {
        let count = times.len();
        print(&format!(
            "{name:<43} p50 {p50:>8.3}  p99 {p99:>8.3}  most {most:>8.3} ms, {count} times"
        ))?;
    }
    Ok(json!({ "name": name, "p50_ms": p50, "p99_ms": p99, "most_ms": most, "times": times.len() }))
}

fn measure_round_trips(
    args: &FaultsArgs,
    (part, backend): (FaultPart, Backend),
    human: bool,
) -> Result<Value> {
    let mut best = 0.0_f64;
    for _ in 0..COUNTS {
        best = best.max(measure_in_child(args, part)?.as_f64().unwrap_or(0.0));
    }
    let name = format!("round trips over a {backend}, eight at once");
    if human {
        print(&format!("{name:<43} {best:>8.0}/s"))?;
    }
    Ok(json!({ "name": name, "per_second": best }))
}

/// What is compared with plain loopback and plain directories.
#[derive(Clone, Copy)]
enum ComparedBackend {
    Bridge,
    Disk(DiskBackend),
}

impl ComparedBackend {
    async fn start_cluster(
        self,
        timing: ElectionTiming,
        place: &BenchDirectory,
    ) -> Result<Cluster> {
        match self {
            Self::Bridge => Cluster::start_on_bridge(timing, place).await,
            Self::Disk(means) => Cluster::start_on_disks(means, timing, place).await,
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
async fn compare_throughput(
    args: &FaultsArgs,
    over: ComparedBackend,
    place: &BenchDirectory,
) -> Result<Value> {
    let timing = ElectionTiming { heartbeat_ms: 100, election_ms: 1000 };
    bring_up_loopback().await?;
    let mut one = over.start_cluster(timing, place).await?;
    let mut plain = Cluster::start(Dialect::Raft, timing, place).await?;
    let samples = [Sample::new(Dialect::Raft), Sample::new(Dialect::Raft)];
    let mut sides = [Measurements::default(), Measurements::default()];
    let time = Duration::from_secs_f64(args.seconds);
    let (pace, reach) = (Pace::Closed, Target::Leader);
    let load = Load { clients: 64, pace, target: reach, read_percent: 0, warm_up: time / 6, time };
    for pair in 0..args.pairs {
        let mut turns = [(&mut one, 0), (&mut plain, 1)];
        if pair % 2 == 1 {
            turns.reverse();
        }
        for (cluster, at) in turns {
            sides[at].0.push(run_load(cluster, load, &samples[at], u64::from(pair)).await?);
        }
    }
    comparison_row(&over.name(), &sides)
}

fn comparison_row(name: &str, [one, plain]: &[Measurements; 2]) -> Result<Value> {
    let (text, ratio) = compare_measurements(one, plain).context("both were measured")?;
    let lines = [
        format!("64 clients put, {name:<13} {}", one.to_text()),
        format!("64 clients put, loopback       {}", plain.to_text()),
        format!("  {name}/loopback: {text}"),
    ];
    let title = format!("puts, {name} against plain loopback");
    let (measured, loopback) = (one.to_json(), plain.to_json());
    let mut row = json!({ "name": title, "loopback": loopback, "ratio": ratio, "told": lines });
    row[name] = measured;
    Ok(row)
}
