//! `harness shrink`: minimizes the fault schedule of an invalid run by running smaller schedules.

use super::failure::{Failure, machine, usage};
use super::output::{Format, print};
use super::test;
use anyhow::{Context as _, Result};
use engine::duration;
use engine::live::say;
use engine::nemesis::script;
use engine::run::options::{command_line, test_arguments};
use engine::run::plan::Plan;
use engine::suite::runner::{Orders, run_cells};
use engine::suite::shrink::{Candidate, shrink};
use records::RunDirectory;
use records::record::{Config, Validity, VerdictRecord};
use records::suite::{Cell, CellRecord, Expectation, Outcome};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The minimized schedule, in the directory of the run.
const FILE: &str = "shrunk.txt";
/// The schedule of the current trial, in the same directory.
const TRIAL: &str = "trial.txt";
const UNKNOWN: u8 = 2;
const INTERRUPTED: u8 = 130;

/// Options of `harness shrink`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Directory of the run, as printed after `results:`.
    run: PathBuf,
    /// Runs per schedule before it counts as passing.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..))]
    tries: u16,
    /// Time limit; after it the smallest failing schedule so far is the result.
    #[arg(long, default_value = "15m", value_parser = duration::parse)]
    budget: Duration,
}

/// Runs `harness shrink`: exits with 0 if a schedule fails again, with 2 if none does.
pub(crate) fn main(args: &Args, format: Format) -> Result<ExitCode> {
    let directory = RunDirectory::open(&args.run);
    let (record, verdict) = (directory.run().map_err(usage)?, directory.verdict().map_err(usage)?);
    if verdict.validity != Validity::Invalid {
        let text = format!(
            "{} is {}: only invalid runs can be shrunk",
            args.run.display(),
            verdict.validity.name()
        );
        return Err(Failure::Usage(text).into());
    }
    let start = initial_candidate(&directory, &record.config)?;
    let (stop_in, stop) = watch::channel(false);
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    runtime.block_on(async { test::watch_signals(stop_in) })?;
    let trials = Trials {
        directory,
        fail_fast: can_fail_fast(&record.config),
        config: record.config,
        wrong: failing_checks(&verdict),
        tries: args.tries,
        deadline: Instant::now() + args.budget,
        orders: runner_orders(stop)?,
        runtime,
        run: 0,
        failure: None,
    };
    trials.search(start, format)
}

fn initial_candidate(directory: &RunDirectory, config: &Config) -> Result<Candidate> {
    let file = directory.file(script::FILE);
    let name = file.display().to_string();
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::Usage(format!(
            "{name}: {error}; an older version recorded this run without its schedule"
        ))
    })?;
    let plan = Plan::new(config.clone(), Vec::new()).and_then(|plan| plan.play(&name, &text));
    let schedule = plan.map_err(usage)?.schedule;
    Ok(Candidate { schedule, limit_ms: config.time_limit_ms })
}

/// Whether such a run can stop at its first violation; checks of whole histories cannot.
fn can_fail_fast(config: &Config) -> bool {
    Plan::new(Config { fail_fast: true, ..config.clone() }, Vec::new()).is_ok()
}

fn runner_orders(stop: watch::Receiver<bool>) -> Result<Orders> {
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let called = std::env::args().next().unwrap_or_else(|| "harness".to_owned());
    Ok(Orders { program, called, jobs: 1, budget: None, stop })
}

/// The checks that failed; empty if the run is invalid for another reason.
fn failing_checks(verdict: &VerdictRecord) -> BTreeSet<String> {
    let convicting = verdict.checks.iter().filter(|check| check.validity == Validity::Invalid);
    convicting.map(|check| check.name.clone()).collect()
}

/// The state of the search.
struct Trials {
    directory: RunDirectory,
    config: Config,
    /// Whether a trial can stop at its first violation.
    fail_fast: bool,
    wrong: BTreeSet<String>,
    tries: u16,
    deadline: Instant,
    orders: Orders,
    runtime: tokio::runtime::Runtime,
    /// The number of runs so far.
    run: usize,
    /// The error that ended the search.
    failure: Option<anyhow::Error>,
}

impl Trials {
    fn search(mut self, start: Candidate, format: Format) -> Result<ExitCode> {
        say(&format!(
            "checking that the run fails again: {} faults in {} s",
            start.schedule.len(),
            start.limit_ms / 1_000
        ));
        let again = self.fails(&start);
        if again != Some(true) {
            return self.gave_up();
        }
        let small = shrink(start.clone(), &mut |candidate| self.fails(candidate));
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.directory.write(FILE, &script::write_script(&small.schedule)).map_err(machine)?;
        // A remaining trial file is harmless.
        drop(std::fs::remove_file(self.directory.file(TRIAL)));
        self.tell(&start, &small, format)?;
        Ok(if *self.orders.stop.borrow() { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
    }

    fn gave_up(self) -> Result<ExitCode> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if *self.orders.stop.borrow() {
            return Ok(ExitCode::from(INTERRUPTED));
        }
        say(&format!(
            "the run did not fail again in {} runs; interleavings differ, so try a higher --tries",
            self.run
        ));
        Ok(ExitCode::from(UNKNOWN))
    }

    /// Whether one of the runs fails in the same way; `None` if the time is up.
    fn fails(&mut self, candidate: &Candidate) -> Option<bool> {
        for _ in 0..self.tries {
            let limit = Duration::from_millis(candidate.limit_ms);
            if *self.orders.stop.borrow() || Instant::now() + limit > self.deadline {
                return None;
            }
            match self.attempt(candidate) {
                Ok(true) => return Some(true),
                Ok(false) => (),
                Err(error) => {
                    self.failure = Some(error);
                    return None;
                }
            }
        }
        Some(false)
    }

    fn attempt(&mut self, candidate: &Candidate) -> Result<bool> {
        self.directory.write(TRIAL, &script::write_script(&candidate.schedule)).map_err(machine)?;
        self.run += 1;
        let cell = self.cell(candidate, TRIAL);
        let mut ended = None;
        self.runtime.block_on(run_cells(&[cell], &self.orders, |_, record| {
            ended = Some(record);
            Ok(())
        }))?;
        let record = ended.context("the run has no record")?;
        let failed = self.is_the_same(&record)?;
        let (faults, seconds) = (candidate.schedule.len(), candidate.limit_ms / 1_000);
        let word = if failed { "fails" } else { record.outcome.name() };
        say(&format!("  run {}: {faults} faults in {seconds} s: {word}", self.run));
        Ok(failed)
    }

    fn is_the_same(&self, record: &CellRecord) -> Result<bool> {
        match record.outcome {
            Outcome::Finding => (),
            Outcome::Infra | Outcome::Crashed => {
                return Err(Failure::Machine(format!("a run failed: {}", record.sentence)).into());
            }
            _ => return Ok(false),
        }
        let run = record.run.as_ref().context("a finding has a run")?;
        let wrong = failing_checks(&RunDirectory::open(run.as_ref()).verdict()?);
        Ok(if self.wrong.is_empty() { wrong.is_empty() } else { !wrong.is_disjoint(&self.wrong) })
    }

    fn cell(&self, candidate: &Candidate, file: &str) -> Cell {
        let config = Config {
            schedule: Some(self.directory.file(file).display().to_string()),
            time_limit_ms: candidate.limit_ms,
            fail_fast: self.fail_fast,
            ..self.config.clone()
        };
        Cell {
            family: "shrink".to_owned(),
            seed: config.seed,
            arguments: test_arguments(&config),
            expect: Expectation::Valid,
            limit_ms: candidate.limit_ms,
        }
    }

    fn tell(&self, start: &Candidate, small: &Candidate, format: Format) -> Result<()> {
        let repro = command_line(&self.orders.called, &self.cell(small, FILE).arguments);
        let file = self.directory.file(FILE).display().to_string();
        let text = script::write_script(&small.schedule);
        if format == Format::Json {
            let value = json!({
                "format": 1, "faults": small.schedule.len(), "limit_ms": small.limit_ms,
                "runs": self.run, "schedule": text, "file": file, "repro": repro,
            });
            return print(&serde_json::to_string_pretty(&value)?);
        }
        let size =
            |of: &Candidate| format!("{} faults in {} s", of.schedule.len(), of.limit_ms / 1_000);
        let lines: String = match text.is_empty() {
            true => "  (fails without faults)\n".to_owned(),
            false => text.lines().map(|line| format!("  {line}\n")).collect(),
        };
        print(&format!(
            "{} reduced to {} in {} runs:\n\n{lines}\nschedule: {file}\nrepro:    {repro}",
            size(start),
            size(small),
            self.run
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::sample::config;

    #[test]
    fn fails_fast_only_for_online_checks() {
        let of = |workload: &str| Config { workload: workload.to_owned(), ..config() };
        assert!(can_fail_fast(&of("register")) && !can_fail_fast(&of("set")));
    }
}
