//! `harness shrink`: minimizes the fault schedule of an invalid run by running smaller schedules.

use super::failure::{Failure, machine_error, usage_error};
use super::output::{Format, print};
use super::test;
use anyhow::{Context as _, Result};
use engine::duration;
use engine::live::print_stderr;
use engine::nemesis::script;
use engine::run::options::{command_line, test_arguments};
use engine::run::plan::Plan;
use engine::suite::runner::{RunnerOptions, run_cells};
use engine::suite::shrink::{Candidate, shrink_schedule};
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
pub(crate) struct ShrinkArgs {
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
pub(crate) fn main(args: &ShrinkArgs, format: Format) -> Result<ExitCode> {
    let directory = RunDirectory::open(&args.run);
    let (record, verdict) = (
        directory.read_run().map_err(usage_error)?,
        directory.read_verdict().map_err(usage_error)?,
    );
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
    let trials = ShrinkSearch {
        directory,
        fail_fast: can_fail_fast(&record.config),
        config: record.config,
        failing_checks: failing_checks(&verdict),
        tries: args.tries,
        deadline: Instant::now() + args.budget,
        orders: runner_orders(stop)?,
        runtime,
        run_count: 0,
        failure: None,
    };
    trials.minimize_schedule(start, format)
}

fn initial_candidate(directory: &RunDirectory, config: &Config) -> Result<Candidate> {
    let file = directory.file_path(script::FILE);
    let name = file.display().to_string();
    let text = std::fs::read_to_string(&file).map_err(|error| {
        Failure::Usage(format!(
            "{name}: {error}; an older version recorded this run without its schedule"
        ))
    })?;
    let plan =
        Plan::new(config.clone(), Vec::new()).and_then(|plan| plan.with_schedule(&name, &text));
    let schedule = plan.map_err(usage_error)?.schedule;
    Ok(Candidate { schedule, limit_ms: config.time_limit_ms })
}

/// Whether such a run can stop at its first violation; checks of whole histories cannot.
fn can_fail_fast(config: &Config) -> bool {
    Plan::new(Config { fail_fast: true, ..config.clone() }, Vec::new()).is_ok()
}

fn runner_orders(stop: watch::Receiver<bool>) -> Result<RunnerOptions> {
    let program = std::env::current_exe().context("cannot find the path of this program")?;
    let called = std::env::args().next().unwrap_or_else(|| "harness".to_owned());
    Ok(RunnerOptions { program, program_name: called, jobs: 1, budget: None, stop })
}

/// The checks that failed; empty if the run is invalid for another reason.
fn failing_checks(verdict: &VerdictRecord) -> BTreeSet<String> {
    let convicting = verdict.checks.iter().filter(|check| check.validity == Validity::Invalid);
    convicting.map(|check| check.name.clone()).collect()
}

/// The state of the search.
struct ShrinkSearch {
    directory: RunDirectory,
    config: Config,
    /// Whether a trial can stop at its first violation.
    fail_fast: bool,
    failing_checks: BTreeSet<String>,
    tries: u16,
    deadline: Instant,
    orders: RunnerOptions,
    runtime: tokio::runtime::Runtime,
    /// The number of runs so far.
    run_count: usize,
    /// The error that ended the search.
    failure: Option<anyhow::Error>,
}

impl ShrinkSearch {
    fn minimize_schedule(mut self, start: Candidate, format: Format) -> Result<ExitCode> {
        print_stderr(&format!(
            "checking that the run fails again: {} faults in {} s",
            start.schedule.len(),
            start.limit_ms / 1_000
        ));
        let again = self.fails_again(&start);
        if again != Some(true) {
            return self.not_reproduced();
        }
        let small = shrink_schedule(start.clone(), &mut |candidate| self.fails_again(candidate));
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        self.directory
            .write_file(FILE, &script::write_script(&small.schedule))
            .map_err(machine_error)?;
        // A remaining trial file is harmless.
        drop(std::fs::remove_file(self.directory.file_path(TRIAL)));
        self.print_result(&start, &small, format)?;
        Ok(if *self.orders.stop.borrow() { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
    }

    fn not_reproduced(self) -> Result<ExitCode> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if *self.orders.stop.borrow() {
            return Ok(ExitCode::from(INTERRUPTED));
        }
        print_stderr(&format!(
            "the run did not fail again in {} runs; interleavings differ, so try a higher --tries",
            self.run_count
        ));
        Ok(ExitCode::from(UNKNOWN))
    }

    /// Whether one of the runs fails in the same way; `None` if the time is up.
    fn fails_again(&mut self, candidate: &Candidate) -> Option<bool> {
        for _ in 0..self.tries {
            let limit = Duration::from_millis(candidate.limit_ms);
            if *self.orders.stop.borrow() || Instant::now() + limit > self.deadline {
                return None;
            }
            match self.run_trial(candidate) {
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

    fn run_trial(&mut self, candidate: &Candidate) -> Result<bool> {
        self.directory
            .write_file(TRIAL, &script::write_script(&candidate.schedule))
            .map_err(machine_error)?;
        self.run_count += 1;
        let cell = self.trial_cell(candidate, TRIAL);
        let mut ended = None;
        self.runtime.block_on(run_cells(&[cell], &self.orders, |_, record| {
            ended = Some(record);
            Ok(())
        }))?;
        let record = ended.context("the run has no record")?;
        let failed = self.is_same_failure(&record)?;
        let (faults, seconds) = (candidate.schedule.len(), candidate.limit_ms / 1_000);
        let word = if failed { "fails" } else { record.outcome.name() };
        print_stderr(&format!("  run {}: {faults} faults in {seconds} s: {word}", self.run_count));
        Ok(failed)
    }

    fn is_same_failure(&self, record: &CellRecord) -> Result<bool> {
        match record.outcome {
            Outcome::Finding => (),
            Outcome::Infra | Outcome::Crashed => {
                return Err(Failure::Machine(format!("a run failed: {}", record.sentence)).into());
            }
            _ => return Ok(false),
        }
        let run = record.run.as_ref().context("a finding has a run")?;
        let wrong = failing_checks(&RunDirectory::open(run.as_ref()).read_verdict()?);
        Ok(if self.failing_checks.is_empty() {
            wrong.is_empty()
        } else {
            !wrong.is_disjoint(&self.failing_checks)
        })
    }

    fn trial_cell(&self, candidate: &Candidate, file: &str) -> Cell {
        let config = Config {
            schedule: Some(self.directory.file_path(file).display().to_string()),
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

    fn print_result(&self, start: &Candidate, small: &Candidate, format: Format) -> Result<()> {
        let repro =
            command_line(&self.orders.program_name, &self.trial_cell(small, FILE).arguments);
        let file = self.directory.file_path(FILE).display().to_string();
        let text = script::write_script(&small.schedule);
        if format == Format::Json {
            let value = json!({
                "format": 1, "faults": small.schedule.len(), "limit_ms": small.limit_ms,
                "runs": self.run_count, "schedule": text, "file": file, "repro": repro,
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
            self.run_count
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::sample::sample_config;

    #[test]
    fn fails_fast_only_for_online_checks() {
        let of = |workload: &str| Config { workload: workload.to_owned(), ..sample_config() };
        assert!(can_fail_fast(&of("register")) && can_fail_fast(&of("set")));
        assert!(!can_fail_fast(&of("g-counter")));
    }
}
