//! `harness test`: makes a plan of the arguments, enters the sandbox, carries the plan out,
//! reports.

mod given;
mod table;

use super::failure::{Failure, MACHINE, usage_error};
use super::output::{Format, OutputOptions, output_style, print};
use anyhow::{Context as _, Result, bail};
use engine::live::print_stderr;
use engine::run::plan::Plan;
use engine::run::swarm::draw_configuration;
use engine::run::{FinishedRun, RunContext, check_names, run};
use engine::spelling::nearest_word;
pub(crate) use given::GivenOptions;
use records::RESULTS;
use records::record::Config;
use report::{Run, json, text};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
pub(crate) use table::TestArgs;
use testbed::host::sandbox;
use testbed::net::Backend;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// A second signal within this time counts as the first.
const SIGNAL_ECHO: Duration = Duration::from_millis(200);
/// The exit code of a run that is interrupted twice.
const INTERRUPTED: i32 = 130;

/// Carries out `harness test`.
pub(crate) fn main(args: &TestArgs, options: OutputOptions, began: Instant) -> Result<ExitCode> {
    run_plan(make_plan(args)?, options, began)
}

/// Enters the sandbox that the plan needs, carries the plan out there, and reports.
pub(super) fn run_plan(plan: Plan, options: OutputOptions, began: Instant) -> Result<ExitCode> {
    // From here on this may be another process, in namespaces of its own.
    let SandboxEntry { backend, why, began } = enter_sandbox(&plan.config.net, began)?;
    let runtime = tokio::runtime::Runtime::new().context("the runtime cannot be started")?;
    let (stop_in, stop) = watch::channel(false);
    let finished = runtime.block_on(async {
        watch_signals(stop_in)?;
        let style = output_style(std::io::stderr().is_terminal());
        run(
            plan,
            RunContext {
                began,
                backend,
                fallback_reason: why,
                results: RESULTS.into(),
                style,
                quiet: options.quiet,
                stop,
            },
        )
        .await
    })?;
    runtime.shutdown_background();
    Ok(ExitCode::from(report_run(&finished, options.format)))
}

/// Reports a run. The exit code is the verdict's even if the report cannot be printed.
fn report_run(finished: &FinishedRun, format: Format) -> u8 {
    let exit = finished.verdict.exit;
    let Err(error) = print_report(finished, format) else { return exit };
    let path = finished.directory.path().display();
    print_stderr(&format!("harness: {error:#}; the results of the run are in {path}"));
    if exit == 0 { MACHINE } else { exit }
}

fn make_plan(args: &TestArgs) -> Result<Plan> {
    let mut config = args.values.clone().into_config(random_seed())?;
    let mut drawn = Vec::new();
    if config.swarm {
        (config, drawn) = draw_configuration(&config, &args.given).map_err(usage_error)?;
    }
    let schedule = config.schedule.take();
    let plan = Plan { drawn, ..checked_plan(config)? };
    match schedule {
        Some(file) => load_schedule(plan, Path::new(&file)),
        None => Ok(plan),
    }
}

/// The plan of a configuration, after checking that its program and its bugs exist.
pub(super) fn checked_plan(config: Config) -> Result<Plan> {
    let argv = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let bin = config.bin.as_ref().map(PathBuf::from);
    if let Some(bin) = &bin {
        check_executable(bin)?;
    }
    let plan = Plan::new(config, argv).map_err(usage_error)?;
    check_bugs(&plan, bin.as_ref()).map_err(usage_error)?;
    Ok(plan)
}

/// The plan with the schedule from a file.
pub(super) fn load_schedule(plan: Plan, file: &Path) -> Result<Plan> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| {
        Failure::Usage(format!("{name}: this schedule cannot be read: {error}"))
    })?;
    plan.with_schedule(&name, &text).map_err(usage_error)
}

fn check_executable(bin: &Path) -> Result<()> {
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

fn check_bugs(plan: &Plan, bin: Option<&PathBuf>) -> Result<()> {
    if plan.config.bugs.is_empty() {
        return Ok(());
    }
    let known = plan.system.list_bugs(bin)?;
    for bug in &plan.config.bugs {
        if !known.iter().any(|known| known.name == *bug) {
            let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
            if names.is_empty() {
                bail!("--unsafe {bug}: {} has no seeded bugs to switch on", plan.config.system);
            }
            let near = nearest_word(bug, &names).map(|near| format!("did you mean {near}? "));
            bail!(
                "--unsafe {bug}: {} has no such bug; {}`harness list` shows all {}",
                plan.config.system,
                near.unwrap_or_default(),
                names.len()
            );
        }
    }
    Ok(())
}

/// A random seed, small enough to read out and type.
pub(super) fn random_seed() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish() % 1_000_000
}

/// Where the run takes place.
struct SandboxEntry {
    backend: Backend,
    /// Why links are not built from what `auto` prefers.
    why: Option<String>,
    /// When the command began, possibly in another process.
    began: Instant,
}

/// Enters the sandbox, unless `net` asks for proxies.
fn enter_sandbox(net: &str, began: Instant) -> Result<SandboxEntry> {
    if net == "proxy" {
        return Ok(SandboxEntry { backend: Backend::Proxy, why: None, began });
    }
    match (sandbox::enter(began)?, net) {
        (sandbox::Entered::Inside { began }, "switch") => {
            Ok(SandboxEntry { backend: Backend::Switch, why: None, began })
        }
        (sandbox::Entered::Inside { began }, _) => {
            Ok(SandboxEntry { backend: Backend::Bridge, why: None, began })
        }
        (sandbox::Entered::Refused { why }, "auto") => {
            Ok(SandboxEntry { backend: Backend::Proxy, why: Some(why), began })
        }
        (sandbox::Entered::Refused { why }, _) => {
            Err(Failure::Machine(format!("{why}; --net proxy works without namespaces")).into())
        }
    }
}

/// Lets the first INT, TERM or HUP stop the run early, and the second stop it at once.
///
/// One request may send a signal twice, to the process and to its group (`timeout` does that), so
/// a second signal counts only when it comes a little later.
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
                Some(at) if Instant::now().duration_since(at) < SIGNAL_ECHO => continue,
                Some(_) => std::process::exit(INTERRUPTED),
                None => first = Some(Instant::now()),
            }
            stop.send_replace(true);
            print_stderr(
                "interrupted: healing, then judging what there is (once more stops at once)",
            );
        }
    });
    Ok(())
}

fn print_report(finished: &FinishedRun, format: Format) -> Result<()> {
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
        Format::Human => print(&text(&run, output_style(std::io::stdout().is_terminal()))),
        Format::Json => print(&json(&run)),
    }
}
