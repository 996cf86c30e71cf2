//! `harness scenario`: runs a scenario about Raft act by act, and checks that it shows its claims.

use super::failure::{Failure, usage_error};
use super::output::{Format, print};
use crate::scenario::trace::{self, RunTrace};
use crate::scenario::{Act, SCENARIOS, Scenario};
use anyhow::{Context as _, Result};
use engine::live::print_stderr;
use records::{RESULTS, RunDirectory};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use testbed::host::process::die_with_parent;

/// The exit code of a scenario with an unproven claim.
const UNPROVEN: u8 = 1;
/// Exit codes from here on mean that the run itself failed.
const NO_RUN: i32 = 3;

/// Options of `harness scenario`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(crate) struct ScenarioArgs {
    /// Name of the scenario.
    #[arg(group = "which")]
    name: Option<String>,
    /// List the scenarios and their questions.
    #[arg(long, group = "which")]
    list: bool,
    /// Run all scenarios.
    #[arg(long, group = "which")]
    all: bool,
    /// Seed of the clients' operations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The outcome of an act.
#[derive(Serialize)]
struct ActResult {
    scenario: &'static str,
    question: &'static str,
    act: &'static str,
    story: Vec<String>,
    shown: Vec<String>,
    missing: Vec<String>,
    results: String,
}

/// Runs `harness scenario`.
pub(crate) fn main(args: &ScenarioArgs, format: Format) -> Result<ExitCode> {
    if args.list {
        return list_scenarios(format).map(|()| ExitCode::SUCCESS);
    }
    let mut played = Vec::new();
    for scenario in select_scenarios(args)? {
        for act in scenario.acts {
            print_stderr(&format!("{}: {}", scenario.name, act.title));
            let one = run_act(scenario, act, args.seed)?;
            if format == Format::Human {
                print(&format_act(&one))?;
            }
            played.push(one);
        }
    }
    if format == Format::Json {
        print(&serde_json::to_string_pretty(&played)?)?;
    }
    let well = played.iter().all(|one| one.missing.is_empty());
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(UNPROVEN) })
}

fn list_scenarios(format: Format) -> Result<()> {
    let rows: Vec<(&str, &str)> = SCENARIOS.iter().map(|it| (it.name, it.question)).collect();
    match format {
        Format::Json => print(&serde_json::to_string_pretty(&rows)?),
        Format::Human => {
            let line = |(name, question): &(&str, &str)| format!("{name:16}  {question}\n");
            print(&rows.iter().map(line).collect::<String>())
        }
    }
}

fn select_scenarios(args: &ScenarioArgs) -> Result<Vec<&'static Scenario>> {
    let wanted = |it: &&Scenario| args.all || args.name.as_deref() == Some(it.name);
    let chosen: Vec<&Scenario> = SCENARIOS.iter().filter(wanted).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = SCENARIOS.iter().map(|it| it.name).collect();
        let name = args.name.as_deref().unwrap_or_default();
        let text = format!("there is no scenario {name:?}; there are: {}", names.join(", "));
        return Err(Failure::Usage(text).into());
    }
    Ok(chosen)
}

/// Writes the schedule of an act to the results directory, because the `repro:` line refers to it.
fn write_schedule(scenario: &Scenario, act: &Act) -> Result<PathBuf> {
    let number = scenario.acts.iter().position(|it| std::ptr::eq(it, act)).unwrap_or(0) + 1;
    let path = Path::new(RESULTS).join(format!("{}-{number}.schedule.txt", scenario.name));
    std::fs::create_dir_all(RESULTS)
        .and_then(|()| std::fs::write(&path, act.schedule))
        .map_err(|error| Failure::Machine(format!("cannot write {}: {error}", path.display())))?;
    Ok(path)
}

/// Runs an act as a child process and checks its claims against the results.
fn run_act(scenario: &'static Scenario, act: &'static Act, seed: u64) -> Result<ActResult> {
    let script = write_schedule(scenario, act)?;
    let mut command =
        Command::new(std::env::current_exe().context("cannot find the path of this program")?);
    command.args(["--format", "json", "test", "--seed"]).arg(seed.to_string());
    command.arg("--schedule").arg(&script).args(act.options);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    die_with_parent(&mut command);
    let output = command.output().context("cannot start the run")?;
    let exit = output.status.code().unwrap_or(NO_RUN);
    if exit >= NO_RUN {
        let text =
            format!("the run failed with exit code {exit}; see `harness doctor` for this machine");
        return Err(Failure::Machine(text).into());
    }
    let verdict: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("the run's verdict is not JSON")?;
    let results =
        verdict["results"].as_str().context("the run printed no results directory")?.to_owned();
    let trace = read_trace(&RunDirectory::open(Path::new(&results)))?;
    Ok(check_act(scenario, act, (exit, &verdict), &trace, results))
}

fn check_act(
    scenario: &'static Scenario,
    act: &'static Act,
    (exit, verdict): (i32, &serde_json::Value),
    trace: &RunTrace,
    results: String,
) -> ActResult {
    let sentence = verdict["sentence"].as_str().unwrap_or_default();
    let mut shown = Vec::new();
    let mut missing = Vec::new();
    if exit == i32::from(act.exit) {
        shown.push(format!("verdict as expected (exit code {exit}): {sentence}"));
    } else {
        missing.push(format!("verdict (exit code {exit}, expected {}): {sentence}", act.exit));
    }
    for claim in act.claims {
        match claim(trace) {
            Ok(sentence) => shown.push(sentence),
            Err(sentence) => missing.push(sentence),
        }
    }
    let Scenario { name, question, .. } = scenario;
    ActResult {
        scenario: name,
        question,
        act: act.title,
        story: trace.to_lines(),
        shown,
        missing,
        results,
    }
}

fn read_trace(directory: &RunDirectory) -> Result<RunTrace> {
    let run = directory.read_run().map_err(usage_error)?;
    let zero = run.timings.clock_unix_ms.context("run.json has no clock_unix_ms")?;
    let mut turns = Vec::new();
    for replica in &run.replicas {
        let log = directory.log_path(&replica.name);
        let text = std::fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
        turns.extend(trace::parse_role_changes(&String::from_utf8_lossy(&text), zero));
    }
    turns.sort_by_key(|turn| turn.at_ms);
    let history = std::fs::read_to_string(directory.file_path("history.jsonl"))
        .context("cannot read the history of the run")?;
    let faults = directory.read_verdict()?.faults;
    Ok(RunTrace { role_changes: turns, operations: trace::parse_operations(&history), faults })
}

fn format_act(played: &ActResult) -> String {
    let mut text = format!("{}: {}\n", played.scenario, played.question);
    text += &format!("  {}\n", played.act);
    for line in &played.story {
        text += &format!("  {line}\n");
    }
    for line in &played.shown {
        text += &format!("  ✓ {line}\n");
    }
    for line in &played.missing {
        text += &format!("  ✗ {line}\n");
    }
    text + &format!("  report: {}/report.html\n", played.results.trim_end_matches('/'))
}
