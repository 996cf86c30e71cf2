//! Confirms a violation by repetition, minimizes schedule and configuration, and writes the
//! regression file.

use super::journal::FindingLine;
use super::observe::{observe_run, read_config};
use super::playback::{
    Deadline, PlayableRun, Playback, PlaybackResult, stop_at_violation, with_schedule_file,
};
use super::reduce::shrink_config;
use super::regression::{FindingNote, Regression};
use super::state::FindingGroup;
use crate::nemesis::schedule::Schedule;
use crate::nemesis::script::{self, write_script};
use crate::run::options::{command_line, test_arguments};
use crate::run::plan::Plan;
use crate::suite::shrink::{Candidate, shrink_schedule};
use anyhow::{Context as _, Result};
use records::config::Config;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How much of the time that is left minimizing may take.
const MINIMIZING_SHARE: f64 = 0.7;

/// What investigating a violation needs.
pub(super) struct Investigation<'a> {
    pub(super) playback: Playback<'a>,
    /// The hunt's folder, for schedules.
    pub(super) folder: &'a Path,
    /// The folder of regression files.
    pub(super) regressions: &'a Path,
    /// How often a run is repeated to know its rate.
    pub(super) repeats: u64,
    /// When it must end; at once, if nothing is to be repeated.
    pub(super) deadline: Deadline,
    /// Whether it is minimized, or only confirmed.
    pub(super) minimize: bool,
    /// What is told of each step.
    pub(super) observer: &'a mut dyn FnMut(&str),
}

/// The smallest run so far that showed the violation.
struct SmallestRun {
    candidate: Candidate,
    config: Config,
    shown: (String, String),
}

impl Investigation<'_> {
    /// Everything that there is to say about a violation.
    pub(super) fn investigate(mut self, group: &FindingGroup) -> Result<FindingLine> {
        let directory = group.directory.as_ref().context("a violation has a run")?;
        let run = Path::new(directory);
        let mut config = stop_at_violation(read_config(run)?);
        let schedule = read_schedule(run, &config)?;
        config.schedule = None;
        let seen = observe_run(run, self.playback.redactor);
        let mut best = SmallestRun {
            candidate: Candidate { schedule, limit_ms: config.time_limit_ms },
            config,
            shown: (directory.clone(), seen.sentence),
        };
        let repeated = self.repeat(&best, group)?;
        let mut rate = repeated.rate;
        let mut trials = 0;
        if repeated.rate.hits > 0 && self.minimize {
            let original = (best.candidate.clone(), best.config.clone());
            // The last part is for the rate of the smallest run.
            let deadline = self.deadline;
            self.deadline = deadline.shorten(MINIMIZING_SHARE);
            trials = self.minimize_run(&mut best, group)?;
            self.deadline = deadline;
            if original != (best.candidate.clone(), best.config.clone()) {
                let again = self.repeat(&best, group)?;
                rate = again.rate;
                best.shown = again.shown.unwrap_or(best.shown);
            }
        } else if let Some(shown) = repeated.shown {
            best.shown = shown;
        }
        self.write_finding(group, &best, (repeated.rate, rate), trials)
    }

    /// The configuration that plays a candidate from a file of the hunt.
    fn playable(
        &self,
        candidate: &Candidate,
        config: &Config,
        group: &FindingGroup,
        name: &str,
    ) -> Result<PlayableRun> {
        let config = Config { time_limit_ms: candidate.limit_ms, ..config.clone() };
        let file = self.folder.join(format!("{}-{name}.txt", group.signature.file_stem()));
        let config = with_schedule_file(&config, file, &write_script(&candidate.schedule))?;
        Ok(PlayableRun { config, signature: group.signature.clone() })
    }

    /// Repeats a run with fresh seeds, as often as there is time.
    fn repeat(&mut self, best: &SmallestRun, group: &FindingGroup) -> Result<PlaybackResult> {
        let run = self.playable(&best.candidate, &best.config, group, "repeated")?;
        let (jobs, seed) = (self.playback.runner.jobs as u64, best.config.seed);
        let mut all = PlaybackResult::default();
        let mut done = 0;
        while done < self.repeats && self.may_play(run.config.time_limit_ms) {
            let next = (done + jobs).min(self.repeats);
            let some =
                self.playback.play(&run, (done..next).map(|turn| seed.wrapping_add(turn)))?;
            done = next;
            all.rate.hits += some.rate.hits;
            all.rate.runs += some.rate.runs;
            all.shown = some.shown.or(all.shown);
        }
        (self.observer)(&format!("it showed again in {}", all.rate));
        Ok(all)
    }

    fn may_play(&self, limit_ms: u64) -> bool {
        !*self.playback.runner.stop.borrow() && self.deadline.allows(limit_ms)
    }

    /// Minimizes the schedule, then the configuration; returns the number of trials.
    fn minimize_run(&mut self, best: &mut SmallestRun, group: &FindingGroup) -> Result<u64> {
        let mut trials = Trials { count: 0, shown: None, failure: None };
        let config = best.config.clone();
        best.candidate = shrink_schedule(best.candidate.clone(), &mut |candidate| {
            self.try_run(candidate, &config, group, &mut trials)
        });
        let candidate = best.candidate.clone();
        best.config = shrink_config(config, &mut |config| {
            self.try_run(&candidate, config, group, &mut trials)
        });
        best.shown = trials.shown.unwrap_or_else(|| best.shown.clone());
        trials.failure.map_or(Ok(trials.count), Err)
    }

    /// Whether one of as many runs as fit at a time shows the violation; `None` if the time is up.
    fn try_run(
        &mut self,
        candidate: &Candidate,
        config: &Config,
        group: &FindingGroup,
        trials: &mut Trials,
    ) -> Option<bool> {
        let is_plannable = Plan::new(config.clone(), Vec::new()).is_ok();
        if !is_plannable {
            return Some(false);
        }
        if trials.failure.is_some() || !self.may_play(candidate.limit_ms) {
            return None;
        }
        let seeds = 0..(self.playback.runner.jobs as u64).max(2);
        let seeds = seeds.map(|turn| config.seed.wrapping_add(turn));
        let played = self
            .playable(candidate, config, group, "trial")
            .and_then(|run| self.playback.play(&run, seeds));
        match played {
            Ok(result) => {
                trials.count += result.rate.runs;
                let failed = result.shown.is_some();
                trials.shown = result.shown.or(trials.shown.take());
                let word = if failed { "fails" } else { "passes" };
                let seconds = candidate.limit_ms / 1_000;
                let Config { concurrency, rate, .. } = config;
                (self.observer)(&format!(
                    "{} faults in {seconds} s, {concurrency} clients, {rate}/s: {word}",
                    candidate.schedule.len()
                ));
                Some(failed)
            }
            Err(error) => {
                trials.failure = Some(error);
                None
            }
        }
    }

    fn write_finding(
        &self,
        group: &FindingGroup,
        best: &SmallestRun,
        (repeated, rate): (super::rate::Rate, super::rate::Rate),
        trials: u64,
    ) -> Result<FindingLine> {
        let run = self.playable(&best.candidate, &best.config, group, "smallest")?;
        let kinds = best.candidate.schedule.iter().map(|fault| fault.kind.clone());
        let faults: Vec<String> = kinds.collect::<BTreeSet<_>>().into_iter().collect();
        let (directory, sentence) = &best.shown;
        let schedule = write_script(&best.candidate.schedule);
        let now = jiff::Timestamp::now();
        let signature = group.signature.clone();
        let note =
            FindingNote::new(signature.clone(), sentence.clone(), faults.clone(), rate, &now);
        let regression =
            Regression { config: run.config.clone(), schedule: schedule.clone(), note };
        let file = write_regression(self.regressions, &regression)?;
        let program = &self.playback.runner.program_name;
        Ok(FindingLine {
            signature,
            sentence: sentence.clone(),
            faults,
            first_run: group.first_run,
            found_ms: group.found_ms,
            repeated,
            rate,
            schedule,
            limit_ms: best.candidate.limit_ms,
            trials,
            repro: command_line(program, &test_arguments(&run.config)),
            report: format!("{}/report.html", directory.trim_end_matches('/')),
            regression: file.display().to_string(),
            spent_ms: 0,
        })
    }
}

/// What was tried while minimizing.
struct Trials {
    /// The number of runs.
    count: u64,
    /// The last run that failed: its directory, its sentence.
    shown: Option<(String, String)>,
    /// The error that ended the search.
    failure: Option<anyhow::Error>,
}

/// The schedule that a run recorded.
fn read_schedule(run: &Path, config: &Config) -> Result<Schedule> {
    let file = run.join(script::FILE);
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    let plan = Plan::new(config.clone(), Vec::new())?;
    Ok(plan.with_schedule(&file.display().to_string(), &text)?.schedule)
}

/// Writes a regression file, named by the signature.
fn write_regression(folder: &Path, regression: &Regression) -> Result<PathBuf> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot create {}", folder.display()))?;
    let file = folder.join(format!("{}.toml", regression.note.signature.file_stem()));
    std::fs::write(&file, regression.to_toml())
        .with_context(|| format!("{} cannot be written", file.display()))?;
    Ok(file)
}
