//! `harness test`: reads what is asked into a plan, enters a place where it can be carried out, and reports.

use super::failure::{Failure, MACHINE, usage};
use super::output::{Format, Telling, print, style};
use anyhow::{Context as _, Result, bail};
use engine::duration;
use engine::live::say;
use engine::nemesis::NEMESES;
use engine::run::plan::Plan;
use engine::run::{Finished, Place, check_names, run};
use records::RESULTS;
use records::record::Config;
use report::{Run, json, text};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use testbed::host::sandbox;
use testbed::net::Backend;
use testbed::net::switch::shape::WHOLE;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The same signal again within this time is the same gesture.
const ECHO: Duration = Duration::from_millis(200);
/// The exit code of a run that is told twice to stop.
const INTERRUPTED: i32 = 130;

/// What a run is asked for.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The system under test; `harness list` shows all.
    #[arg(long, default_value = "raft")]
    system: String,
    /// How many replicas, each on a host of its own.
    #[arg(long, alias = "node-count", default_value_t = 5)]
    nodes: u8,
    /// What clients do; `harness list` shows all.
    #[arg(long, default_value = "register")]
    workload: String,
    /// How fresh reads are asked to be: linearizable, lease (by a leader that trusts clocks), stale, or after (what the client has seen and done).
    #[arg(long, default_value = "linearizable")]
    read: String,
    #[arg(long, default_value = "partition,kill", help = nemesis_help())]
    nemesis: String,
    /// What goes wrong and when, line by line, instead of a nemesis: `at 3.2s partition leader|rest for 2s`,
    /// `after 100 ok writes kill leader`. Every run leaves its own as schedule.txt.
    #[arg(long, value_name = "FILE", conflicts_with = "nemesis")]
    schedule: Option<PathBuf>,
    /// How long clients and nemesis are at work: 30s, 1m30s, 500ms.
    #[arg(long, default_value = "30s", value_parser = duration::parse)]
    time_limit: Duration,
    /// How many clients; at least one speaks to each replica.
    #[arg(long, default_value_t = 10)]
    concurrency: u64,
    /// Calls per second that are meant to start.
    #[arg(long, default_value_t = 200)]
    rate: u64,
    /// Decides plan, schedule and every call but what a cas expects; chosen by chance if not given. Real
    /// interleavings still differ.
    #[arg(long)]
    seed: Option<u64>,
    /// What links are made of: `auto` takes namespaces where this machine allows them, else proxies; between
    /// namespaces a kernel bridge, or a switch in this process where packets are to be shaped or captured.
    #[arg(long, value_enum, default_value_t = NetChoice::Auto)]
    net: NetChoice,
    /// Switches on a seeded bug (several with commas), so that you can watch it being caught.
    #[arg(long = "unsafe", value_name = "NAME", value_delimiter = ',')]
    bugs: Vec<String>,
    /// A further argument of each replica of `raft`; once for each word: --node-arg=--snapshot-entries --node-arg=100.
    #[arg(long = "node-arg", value_name = "ARG", allow_hyphen_values = true)]
    node_args: Vec<String>,
    /// Another build of the system under test than the one in this binary.
    #[arg(long, value_name = "PATH")]
    bin: Option<PathBuf>,
    /// Stop the main phase at the first violation, then heal and judge as ever.
    #[arg(long)]
    fail_fast: bool,
    /// Write every packet between hosts and clients to capture.pcapng in the run's directory (takes the switch).
    #[arg(long)]
    capture: bool,
    /// How long messages between nodes take on average, in milliseconds (only where `maelstrom` carries them).
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// How those latencies differ: constant, uniform, or exponential.
    #[arg(long, value_name = "NAME", default_value = "constant")]
    latency_dist: String,
    /// The chance that a message between nodes is lost when it is sent, from 0 to below 1 (only `maelstrom`).
    #[arg(long, value_name = "CHANCE", default_value = "0", value_parser = per_mille)]
    loss: u16,
    /// Who nodes are told their neighbours are: grid, line, total, tree, tree2, tree3, tree4 (only `maelstrom`, broadcast).
    #[arg(long, value_name = "NAME", default_value = "grid")]
    topology: String,
    /// After `--`, the same as `--node-arg` for each word.
    #[arg(last = true, value_name = "ARG")]
    last_args: Vec<String>,
}

/// Reads a chance in thousandths.
fn per_mille(text: &str) -> Result<u16, String> {
    let wrong = || {
        format!("{text:?} is no chance from 0 to below 1, in thousandths; write for example 0.05")
    };
    let thousandths = text.parse::<f64>().map_err(|_| wrong())? * f64::from(WHOLE);
    let known = (0..WHOLE).find(|it| (f64::from(*it) - thousandths).abs() < 1e-6);
    known.ok_or_else(wrong)
}

fn nemesis_help() -> String {
    let names: Vec<_> = NEMESES.iter().map(|nemesis| nemesis.name()).collect();
    format!(
        "What goes wrong: {}; several with commas, a variant after a colon (`partition:leader,kill`); `disk` is all that harm disks, `all` is every one",
        names.join(", ")
    )
}

/// What links are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum NetChoice {
    /// Namespaces where this machine allows them, else proxies.
    Auto,
    /// A network namespace per host, joined by a kernel bridge.
    Namespaces,
    /// A user-space TCP proxy per directed link.
    Proxy,
    /// A network namespace per host, joined by a user-space switch that can shape links.
    Switch,
}

impl NetChoice {
    fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Namespaces => "namespaces",
            Self::Proxy => "proxy",
            Self::Switch => "switch",
        }
    }
}

/// Carries out `harness test`.
pub(crate) fn main(args: &Args, telling: Telling, began: Instant) -> Result<ExitCode> {
    carry_out(plan(args)?, telling, began)
}

/// Enters the place that the plan asks for, carries it out there, and reports.
pub(super) fn carry_out(plan: Plan, telling: Telling, began: Instant) -> Result<ExitCode> {
    let net = <NetChoice as clap::ValueEnum>::from_str(&plan.config.net, false);
    let net = net.map_err(|why| Failure::Usage(format!("--net {}: {why}", plan.config.net)))?;
    // From here on this may be another process: one that lives in namespaces of its own.
    let Entrance { backend, why, began } = enter(net, began)?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let (stop_in, stop) = watch::channel(false);
    let finished = runtime.block_on(async {
        watch_signals(stop_in)?;
        let style = style(std::io::stderr().is_terminal());
        run(
            plan,
            Place {
                began,
                backend,
                why,
                results: RESULTS.into(),
                style,
                quiet: telling.quiet,
                stop,
            },
        )
        .await
    })?;
    runtime.shutdown_background();
    Ok(ExitCode::from(told(&finished, telling.format)))
}

/// Says what came of a run. A finding that cannot be printed is a finding still: its exit code stays.
fn told(finished: &Finished, format: Format) -> u8 {
    let exit = finished.verdict.exit;
    let Err(error) = show(finished, format) else { return exit };
    let path = finished.directory.path().display();
    say(&format!("harness: {error:#}; what came of the run is in {path}"));
    if exit == 0 { MACHINE } else { exit }
}

fn plan(args: &Args) -> Result<Plan> {
    let config = Config {
        system: args.system.clone(),
        nodes: args.nodes,
        workload: args.workload.clone(),
        read: args.read.clone(),
        nemesis: args.nemesis.split(',').map(|part| part.trim().to_owned()).collect(),
        time_limit_ms: u64::try_from(args.time_limit.as_millis()).unwrap_or(u64::MAX),
        concurrency: args.concurrency,
        rate: args.rate,
        seed: args.seed.unwrap_or_else(any_seed),
        net: args.net.name().to_owned(),
        bugs: args.bugs.clone(),
        node_args: [args.node_args.as_slice(), &args.last_args].concat(),
        bin: args.bin.as_ref().map(|bin| bin.display().to_string()),
        schedule: None,
        fail_fast: args.fail_fast,
        capture: args.capture,
        latency_ms: args.latency,
        latency_dist: args.latency_dist.clone(),
        loss_per_mille: args.loss,
        topology: args.topology.clone(),
    };
    let plan = checked(config)?;
    match &args.schedule {
        Some(file) => play(plan, file),
        None => Ok(plan),
    }
}

/// The plan of a configuration whose program and bugs exist.
pub(super) fn checked(config: Config) -> Result<Plan> {
    let argv = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let bin = config.bin.as_ref().map(PathBuf::from);
    if let Some(bin) = &bin {
        executable(bin)?;
    }
    let plan = Plan::new(config, argv).map_err(usage)?;
    known_bugs(&plan, bin.as_ref()).map_err(usage)?;
    Ok(plan)
}

/// The plan with the schedule of a file.
pub(super) fn play(plan: Plan, file: &Path) -> Result<Plan> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::Usage(format!("{name}: this schedule cannot be read: {error}"))
    })?;
    plan.play(&name, &text).map_err(usage)
}

fn executable(bin: &Path) -> Result<()> {
    let may = nix::unistd::access(bin, nix::unistd::AccessFlags::X_OK).is_ok();
    if bin.is_file() && may {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "--bin {}: there is no such program, or it may not be executed",
        bin.display()
    ))
    .into())
}

fn known_bugs(plan: &Plan, bin: Option<&PathBuf>) -> Result<()> {
    if plan.config.bugs.is_empty() {
        return Ok(());
    }
    let known = plan.system.bugs(bin)?;
    for bug in &plan.config.bugs {
        if !known.iter().any(|(name, _)| name == bug) {
            let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
            if names.is_empty() {
                bail!("--unsafe {bug}: {} has no seeded bugs to switch on", plan.config.system);
            }
            bail!("--unsafe {bug}: there is no such bug; there are: {}", names.join(", "));
        }
    }
    Ok(())
}

/// Small, so that it can be read out and typed.
fn any_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish() % 1_000_000
}

/// Where the run is going to take place.
struct Entrance {
    backend: Backend,
    /// Why links are not made of what `auto` prefers.
    why: Option<String>,
    /// When the command began, in whatever process.
    began: Instant,
}

fn enter(choice: NetChoice, began: Instant) -> Result<Entrance> {
    if choice == NetChoice::Proxy {
        return Ok(Entrance { backend: Backend::Proxy, why: None, began });
    }
    match (sandbox::enter(began)?, choice) {
        (sandbox::Entered::Inside { began }, NetChoice::Switch) => {
            Ok(Entrance { backend: Backend::Switch, why: None, began })
        }
        (sandbox::Entered::Inside { began }, _) => {
            Ok(Entrance { backend: Backend::Bridge, why: None, began })
        }
        (sandbox::Entered::Refused { why }, NetChoice::Namespaces | NetChoice::Switch) => {
            Err(Failure::Machine(format!("{why}; --net proxy works without namespaces")).into())
        }
        (sandbox::Entered::Refused { why }, _) => {
            Ok(Entrance { backend: Backend::Proxy, why: Some(why), began })
        }
    }
}

/// The first INT, TERM or HUP asks the run to stop early, the second stops it at once.
///
/// The same gesture may come twice, to the process and to its group (`timeout` does that), so a second one counts
/// only when it comes a little later.
pub(super) fn watch_signals(stop: watch::Sender<bool>) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT cannot be watched")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM cannot be watched")?;
    let mut hang_up = signal(SignalKind::hangup()).context("SIGHUP cannot be watched")?;
    tokio::spawn(async move {
        let mut first = None;
        loop {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
                _ = hang_up.recv() => (),
            }
            match first {
                Some(at) if Instant::now().duration_since(at) < ECHO => continue,
                Some(_) => std::process::exit(INTERRUPTED),
                None => first = Some(Instant::now()),
            }
            stop.send_replace(true);
            say("interrupted: healing, then judging what there is (once more stops at once)");
        }
    });
    Ok(())
}

fn show(finished: &Finished, format: Format) -> Result<()> {
    let path = finished.directory.path().display().to_string();
    let run = Run {
        record: &finished.record,
        verdict: &finished.verdict,
        history: &finished.history,
        observed: &finished.observed,
        check_names: check_names(&finished.record.config),
        directory: &path,
    };
    match format {
        Format::Human => print(&text(&run, style(std::io::stdout().is_terminal()))),
        Format::Json => print(&json(&run)),
    }
}
