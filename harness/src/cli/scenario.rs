//! `harness scenario`: plays a question about Raft act by act, tells the story, and says whether it went as it should.

use super::failure::{Failure, usage};
use super::output::{Format, print};
use crate::scenario::story::{self, Story};
use crate::scenario::{Act, SCENARIOS, Scenario};
use anyhow::{Context as _, Result};
use engine::live::say;
use records::{RESULTS, RunDirectory};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use testbed::host::process::die_with_parent;

/// The exit code of a scenario that did not show what it should.
const OTHERWISE: u8 = 1;
/// Exit codes of a run from here on say that it could not be carried out.
const NO_RUN: i32 = 3;

/// Which scenario.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("which").required(true))]
pub(crate) struct Args {
    /// The scenario's name.
    #[arg(group = "which")]
    name: Option<String>,
    /// Lists the scenarios and their questions.
    #[arg(long, group = "which")]
    list: bool,
    /// Plays them all.
    #[arg(long, group = "which")]
    all: bool,
    /// Decides what clients call.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// What came of an act.
#[derive(Serialize)]
struct Played {
    scenario: &'static str,
    question: &'static str,
    act: &'static str,
    story: Vec<String>,
    shown: Vec<String>,
    missing: Vec<String>,
    results: String,
}

/// Carries out `harness scenario`.
pub(crate) fn main(args: &Args, format: Format) -> Result<ExitCode> {
    if args.list {
        return list(format).map(|()| ExitCode::SUCCESS);
    }
    let mut played = Vec::new();
    for scenario in chosen(args)? {
        for act in scenario.acts {
            say(&format!("{}: {}", scenario.name, act.title));
            let one = play(scenario, act, args.seed)?;
            if format == Format::Human {
                print(&told(&one))?;
            }
            played.push(one);
        }
    }
    if format == Format::Json {
        print(&serde_json::to_string_pretty(&played)?)?;
    }
    let well = played.iter().all(|one| one.missing.is_empty());
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::from(OTHERWISE) })
}

fn list(format: Format) -> Result<()> {
    let rows: Vec<(&str, &str)> = SCENARIOS.iter().map(|it| (it.name, it.question)).collect();
    match format {
        Format::Json => print(&serde_json::to_string_pretty(&rows)?),
        Format::Human => {
            let line = |(name, question): &(&str, &str)| format!("{name:16}  {question}\n");
            print(&rows.iter().map(line).collect::<String>())
        }
    }
}

fn chosen(args: &Args) -> Result<Vec<&'static Scenario>> {
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

/// Writes an act's schedule beside the runs, where the run's own `repro:` line finds it again.
fn script(scenario: &Scenario, act: &Act) -> Result<PathBuf> {
    let number = scenario.acts.iter().position(|it| std::ptr::eq(it, act)).unwrap_or(0) + 1;
    let path = Path::new(RESULTS).join(format!("{}-{number}.schedule.txt", scenario.name));
    std::fs::create_dir_all(RESULTS).and_then(|()| std::fs::write(&path, act.schedule)).map_err(
        |error| Failure::Machine(format!("{} cannot be written: {error}", path.display())),
    )?;
    Ok(path)
}

/// Carries out an act as a run of its own, and looks at what it left behind.
fn play(scenario: &'static Scenario, act: &'static Act, seed: u64) -> Result<Played> {
    let script = script(scenario, act)?;
    let mut command = Command::new(std::env::current_exe().context("who am I?")?);
    command.args(["--format", "json", "test", "--seed"]).arg(seed.to_string());
    command.arg("--schedule").arg(&script).args(act.options);
    command.stdin(Stdio::null()).stderr(Stdio::null());
    die_with_parent(&mut command);
    let output = command.output().context("the run cannot be started")?;
    let exit = output.status.code().unwrap_or(NO_RUN);
    if exit >= NO_RUN {
        let text = format!(
            "the run ended with exit code {exit}; `harness doctor` says what this machine can do"
        );
        return Err(Failure::Machine(text).into());
    }
    let verdict: serde_json::Value =
        serde_json::from_slice(&output.stdout).context("the run's verdict is not JSON")?;
    let results = verdict["results"].as_str().context("the run left no results")?.to_owned();
    let story = read(&RunDirectory::open(Path::new(&results)))?;
    Ok(judged(scenario, act, (exit, &verdict), &story, results))
}

fn judged(
    scenario: &'static Scenario,
    act: &'static Act,
    (exit, verdict): (i32, &serde_json::Value),
    story: &Story,
    results: String,
) -> Played {
    let sentence = verdict["sentence"].as_str().unwrap_or_default();
    let mut shown = Vec::new();
    let mut missing = Vec::new();
    if exit == i32::from(act.exit) {
        shown.push(format!("the judge, as expected (exit code {exit}): {sentence}"));
    } else {
        missing
            .push(format!("the judge (exit code {exit}, expected was {}): {sentence}", act.exit));
    }
    for claim in act.claims {
        match claim(story) {
            Ok(sentence) => shown.push(sentence),
            Err(sentence) => missing.push(sentence),
        }
    }
    let Scenario { name, question, .. } = scenario;
    Played {
        scenario: name,
        question,
        act: act.title,
        story: story.lines(),
        shown,
        missing,
        results,
    }
}

fn read(directory: &RunDirectory) -> Result<Story> {
    let run = directory.run().map_err(usage)?;
    let zero = run.timings.clock_unix_ms.context("the run did not say when its clock began")?;
    let mut turns = Vec::new();
    for replica in &run.replicas {
        let log = directory.log(&replica.name);
        let text =
            std::fs::read(&log).with_context(|| format!("{} cannot be read", log.display()))?;
        turns.extend(story::turns(&String::from_utf8_lossy(&text), zero));
    }
    turns.sort_by_key(|turn| turn.at_ms);
    let history = std::fs::read_to_string(directory.file("history.jsonl"))
        .context("the run's history cannot be read")?;
    let faults = directory.verdict()?.faults;
    Ok(Story { turns, answers: story::answers(&history), faults })
}

fn told(played: &Played) -> String {
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
