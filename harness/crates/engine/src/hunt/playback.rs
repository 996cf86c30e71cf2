//! Plays a schedule again and again, as child processes, until enough is known.

use super::observe::observe_run;
use super::rate::Rate;
use super::redact::Redactor;
use super::signature::Signature;
use crate::run::options::test_arguments;
use crate::run::plan::Plan;
use crate::suite::runner::{RunnerOptions, run_cells};
use anyhow::{Context as _, Result};
use records::config::Config;
use records::suite::{Cell, CellRecord, Expectation, Outcome};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// A run with a schedule from a file.
#[derive(Clone, Debug)]
pub(super) struct PlayableRun {
    /// Its configuration; the schedule is in the file that it names.
    pub(super) config: Config,
    /// What must show.
    pub(super) signature: Signature,
}

/// Plays runs for a hunt.
pub(super) struct Playback<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) runner: &'a RunnerOptions,
    pub(super) redactor: &'a Redactor,
}

/// How often a run showed what it must show.
#[derive(Clone, Debug, Default)]
pub(super) struct PlaybackResult {
    pub(super) rate: Rate,
    /// The directory of the last run that showed it, and its sentence.
    pub(super) shown: Option<(String, String)>,
}

impl Playback<'_> {
    /// Plays a run with these seeds, several at a time.
    pub(super) fn play(
        &self,
        run: &PlayableRun,
        seeds: impl IntoIterator<Item = u64>,
    ) -> Result<PlaybackResult> {
        let make = |seed| make_cell(&Config { seed, ..run.config.clone() });
        let cells: Vec<Cell> = seeds.into_iter().map(make).collect();
        let mut result = PlaybackResult::default();
        self.runtime.block_on(run_cells(&cells, self.runner, |_, record| {
            self.weigh_run(run, &record, &mut result);
            Ok(())
        }))?;
        Ok(result)
    }

    /// Plays a run with one seed after the other until it shows once.
    pub(super) fn play_until_shown(
        &self,
        run: &PlayableRun,
        seeds: impl IntoIterator<Item = u64>,
    ) -> Result<PlaybackResult> {
        let mut all = PlaybackResult::default();
        for seed in seeds {
            let one = self.play(run, [seed])?;
            all.rate.hits += one.rate.hits;
            all.rate.runs += one.rate.runs;
            if one.shown.is_some() {
                all.shown = one.shown;
                break;
            }
        }
        Ok(all)
    }

    fn weigh_run(&self, run: &PlayableRun, record: &CellRecord, result: &mut PlaybackResult) {
        // What was interrupted or not possible here says nothing.
        if !record.outcome.is_settled() {
            return;
        }
        let seen = match (&record.run, record.outcome) {
            (Some(directory), Outcome::Finding) => {
                Some((directory, observe_run(Path::new(directory), self.redactor)))
            }
            _ => None,
        };
        let alike = |signature: &Signature| signature.is_alike(&run.signature);
        let shown = seen.filter(|(_, seen)| seen.signatures.iter().any(alike));
        result.rate.add_run(shown.is_some());
        if let Some((directory, seen)) = shown {
            result.shown = Some((directory.clone(), seen.sentence));
        }
    }
}

/// The cell of a configuration.
pub(super) fn make_cell(config: &Config) -> Cell {
    Cell {
        family: "hunt".to_owned(),
        seed: config.seed,
        arguments: test_arguments(config),
        expect: Expectation::Valid,
        limit_ms: config.time_limit_ms,
    }
}

/// The configuration with `--fail-fast` where a check can judge early.
pub(super) fn stop_at_violation(config: Config) -> Config {
    let early = Config { fail_fast: true, ..config.clone() };
    if Plan::new(early.clone(), Vec::new()).is_ok() { early } else { config }
}

/// Writes a schedule to a file, and returns the configuration that plays it.
pub(super) fn with_schedule_file(config: &Config, file: PathBuf, text: &str) -> Result<Config> {
    std::fs::write(&file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(Config { schedule: Some(file.display().to_string()), ..config.clone() })
}

/// The time until which something may last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(pub(super) Instant);

impl Deadline {
    /// The same with only this share of the time that is left.
    pub(super) fn shorten(self, share: f64) -> Self {
        let now = Instant::now();
        Self(now + self.0.saturating_duration_since(now).mul_f64(share))
    }

    /// Whether a run of this length can end in time.
    pub(super) fn allows(self, limit_ms: u64) -> bool {
        Instant::now() + Duration::from_millis(limit_ms) <= self.0
    }
}
