//! Runs a hunt: regression files first, then runs that are drawn one after the other, several at a
//! time; each new violation is investigated before the next run is drawn.

use super::choice::Choices;
use super::investigate::Investigation;
use super::journal::{FindingLine, HuntJournal, HuntLine, HuntSettings, RegressionResult, RunLine};
use super::observe::observe_run;
use super::playback::{
    Deadline, PlayableRun, Playback, make_cell, stop_at_violation, with_schedule_file,
};
use super::policy::PolicyParameters;
use super::redact::Redactor;
use super::regression::{Regression, list_files, read_regression};
use super::state::HuntState;
use super::summary::HuntRecord;
use crate::spelling::hash_text;
use crate::suite::matrix::SuiteContext;
use crate::suite::runner::{RunnerOptions, run_cell};
use anyhow::{Context as _, Result, anyhow};
use records::config::Config;
use records::suite::CellRecord;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use workloads::Rng;

/// Where no run of so many could be judged, none will be.
const HOPELESS_RUNS: u64 = 4;
/// Seeds of runs are short enough to read out.
const SEEDS: u64 = 1_000_000_000;

/// What a hunt is asked for.
pub struct HuntOrder<'a> {
    /// What can be drawn.
    pub choices: Choices,
    /// How the next run is chosen.
    pub policy: PolicyParameters,
    /// The seed of all draws; without one, an interrupted hunt goes on with its own.
    pub seed: Option<u64>,
    /// The seed of a new hunt without one.
    pub random_seed: u64,
    /// After this time no run begins.
    pub budget: Duration,
    /// How long one violation may be investigated.
    pub investigation: Duration,
    /// How often a violation is repeated to know its rate.
    pub repeats: u64,
    /// The hunt ends after so many different violations.
    pub max_findings: Option<usize>,
    /// Whether an interrupted hunt is left as it is.
    pub fresh: bool,
    /// The folder of results.
    pub results: PathBuf,
    /// The folder of regression files.
    pub regressions: PathBuf,
    /// How children are run.
    pub runner: RunnerOptions,
    /// The names of seeded bugs, which nothing here may read.
    pub bugs: Vec<String>,
    /// Whether a configuration can be planned.
    pub accepts: &'a dyn Fn(&Config) -> bool,
}

/// What happens during a hunt.
pub enum HuntEvent<'a> {
    /// An interrupted hunt goes on from this journal.
    Resumed(&'a Path),
    /// A regression file was played.
    Regression(&'a RegressionResult),
    /// A file among the regressions cannot be played.
    BadRegression(&'a str),
    /// A run began: what is drawn, in words.
    Began(&'a str),
    /// A run ended: what was drawn, in words.
    Ended(&'a RunLine, &'a str),
    /// A violation is being investigated: its first sentence.
    Investigating(&'a str),
    /// A step of the investigation.
    Step(&'a str),
    /// A violation was investigated.
    Found(&'a FindingLine),
}

/// Tells what happens, with what is known so far.
pub type HuntObserver<'a> = dyn FnMut(&HuntEvent<'_>, &HuntState) + 'a;

/// Runs a hunt to its end.
pub fn run_hunt(
    order: &HuntOrder<'_>,
    runtime: &Runtime,
    observer: &mut HuntObserver<'_>,
) -> Result<HuntRecord> {
    let plainest = vec![0; order.choices.axes.len()];
    let base = order.choices.make_config(&plainest, 0).context("the options are no run")?;
    let settings = HuntSettings { axes: order.choices.axes.clone(), base, policy: order.policy };
    let now = jiff::Timestamp::now();
    let seeds = (order.seed, order.random_seed);
    let journal = HuntJournal::open(&order.results, &settings, seeds, &now, order.fresh)?;
    let mut state = HuntState::new(&settings);
    journal.earlier.iter().for_each(|line| state.apply(line));
    let earlier_ms = state.spent_ms;
    let mut session = HuntSession {
        order,
        runtime,
        observer,
        redactor: Redactor::new(order.bugs.iter().cloned()),
        next_run: state.next_run,
        base: settings.base.clone(),
        began: Instant::now(),
        earlier_ms,
        journal,
        state,
    };
    if !session.journal.earlier.is_empty() {
        let path = session.journal.folder().to_owned();
        (session.observer)(&HuntEvent::Resumed(&path), &session.state);
    }
    session.play_regressions()?;
    session.hunt()?;
    session.finish(&settings)
}

struct HuntSession<'a> {
    order: &'a HuntOrder<'a>,
    runtime: &'a Runtime,
    observer: &'a mut HuntObserver<'a>,
    redactor: Redactor,
    /// The number of the next run that is drawn.
    next_run: u64,
    /// What all runs share.
    base: Config,
    began: Instant,
    /// The time that was spent before this process began.
    earlier_ms: u64,
    journal: HuntJournal,
    state: HuntState,
}

impl HuntSession<'_> {
    fn spent_ms(&self) -> u64 {
        let here = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.earlier_ms.saturating_add(here)
    }

    fn is_stopped(&self) -> bool {
        *self.order.runner.stop.borrow()
    }

    fn record(&mut self, line: HuntLine) -> Result<()> {
        self.journal.append(&line)?;
        self.state.apply(&line);
        Ok(())
    }

    /// Plays the regression files of this system that were not played yet.
    fn play_regressions(&mut self) -> Result<()> {
        for file in list_files(&self.order.regressions)? {
            let name = file.display().to_string();
            let is_played = self.state.regressions.iter().any(|result| result.file == name);
            if is_played || self.is_stopped() {
                continue;
            }
            match self.read_regression(&file, &name) {
                Ok(Some(regression)) if regression.note.signature.system == self.base.system => {
                    self.play_regression(&name, regression)?;
                }
                Ok(_) => (),
                Err(why) => (self.observer)(&HuntEvent::BadRegression(&why), &self.state),
            }
        }
        Ok(())
    }

    fn read_regression(&self, file: &Path, name: &str) -> Result<Option<Regression>, String> {
        let source = std::fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
        let bugs = |_: &str| Ok(self.order.bugs.clone());
        let schedules = self.journal.folder();
        read_regression(name, &source, &SuiteContext { first_seed: 1, bugs: &bugs, schedules })
    }

    /// Plays a regression with the build and the seeded bugs of this hunt.
    fn play_regression(&mut self, name: &str, regression: Regression) -> Result<()> {
        let Config { bugs, bin, net, .. } = self.base.clone();
        let config = Config { bugs, bin, net, ..regression.config };
        if !(self.order.accepts)(&config) {
            return Ok(());
        }
        let stem = regression.note.signature.file_stem();
        let file = self.journal.folder().join(format!("{stem}-regression.txt"));
        let seed = config.seed;
        let plays = regression.note.rate.runs_to_hit(self.order.repeats.max(1));
        let config = with_schedule_file(&stop_at_violation(config), file, &regression.schedule)?;
        let run = PlayableRun { config, signature: regression.note.signature.clone() };
        let playback = self.playback();
        let seeds = (0..plays).map(|play| seed.wrapping_add(play));
        let played = playback.play_until_shown(&run, seeds)?;
        if self.is_stopped() && played.rate.hits == 0 {
            return Ok(());
        }
        let result = RegressionResult {
            file: name.to_owned(),
            signature: regression.note.signature,
            rate: played.rate,
            run: played.shown.map(|(directory, _)| directory),
            spent_ms: self.spent_ms(),
        };
        self.record(HuntLine::Regression(result.clone()))?;
        (self.observer)(&HuntEvent::Regression(&result), &self.state);
        Ok(())
    }

    fn playback(&self) -> Playback<'_> {
        let runner = &self.order.runner;
        Playback { runtime: self.runtime, runner, redactor: &self.redactor }
    }

    /// Draws runs and investigates what they show, until time or interest ends.
    fn hunt(&mut self) -> Result<()> {
        while !self.is_stopped() {
            if self.state.next_unconfirmed().is_some() {
                self.investigate_next()?;
            } else if self.may_draw() {
                self.runtime.block_on(self.explore())?;
            } else {
                break;
            }
        }
        Ok(())
    }

    /// Whether another run is drawn.
    fn may_draw(&self) -> bool {
        let in_time = self.fits_budget(self.base.time_limit_ms);
        let enough = self.order.max_findings.is_some_and(|most| self.state.new_findings() >= most);
        let hopeless = self.state.judged_runs() == 0 && self.state.all_runs() >= HOPELESS_RUNS;
        in_time && !enough && !hopeless && !self.is_stopped()
    }

    fn fits_budget(&self, limit_ms: u64) -> bool {
        let budget_ms = u64::try_from(self.order.budget.as_millis()).unwrap_or(u64::MAX);
        self.spent_ms().saturating_add(limit_ms) <= budget_ms
    }

    /// Plays drawn runs, as many at a time as was asked, until a new violation shows.
    async fn explore(&mut self) -> Result<()> {
        let mut running = JoinSet::new();
        loop {
            while running.len() < self.order.runner.jobs
                && self.state.next_unconfirmed().is_none()
                && self.may_draw()
            {
                let (number, picks, config) = self.draw_run()?;
                let runner = self.order.runner.clone();
                running.spawn(async move {
                    (number, picks, run_cell(make_cell(&config), &runner).await)
                });
            }
            let Some(ended) = running.join_next().await else { return Ok(()) };
            let (number, picks, record) = ended?;
            self.end_run(number, picks, record)?;
        }
    }

    fn draw_run(&mut self) -> Result<(u64, Vec<usize>, Config)> {
        let number = self.next_run;
        self.next_run += 1;
        let mut random = Rng::new(self.journal.seed).fork(&format!("run-{number}"));
        let mut picks = self.state.bandit.draw(number, &mut random);
        let seed = random.below(SEEDS);
        self.shorten_to_fit(&mut picks, seed);
        let settled = self.order.choices.settle(picks, seed, self.order.accepts);
        let (picks, config) =
            settled.ok_or_else(|| anyhow!("no combination of these options can be played"))?;
        let words = self.order.choices.describe(&picks);
        (self.observer)(&HuntEvent::Began(&words), &self.state);
        Ok((number, picks, stop_at_violation(config)))
    }

    /// Takes the shortest main phase where the drawn one would exceed the budget.
    fn shorten_to_fit(&self, picks: &mut [usize], seed: u64) {
        let choices = &self.order.choices;
        let axis = choices.axes.iter().position(|axis| axis.name == "time-limit");
        let config = choices.make_config(picks, seed);
        if let (Some(axis), Some(config)) = (axis, config)
            && !self.fits_budget(config.time_limit_ms)
        {
            picks[axis] = 0;
        }
    }

    fn end_run(&mut self, number: u64, picks: Vec<usize>, record: CellRecord) -> Result<()> {
        if record.outcome == records::suite::Outcome::Interrupted {
            return Ok(());
        }
        let run = record.run.as_ref().filter(|_| record.outcome.is_settled());
        let seen = run.map(|run| observe_run(Path::new(run), &self.redactor)).unwrap_or_default();
        let hashed: Vec<(u64, &String)> =
            seen.states.iter().map(|state| (hash_text(state), state)).collect();
        let new = hashed.iter().filter(|(hash, _)| !self.state.has_seen(*hash));
        let line = RunLine {
            number,
            uniform: self.state.bandit.is_uniform(number),
            seed: record.cell.seed,
            outcome: record.outcome,
            exit: record.exit,
            sentence: record.sentence,
            took_ms: record.took_ms,
            spent_ms: self.spent_ms(),
            run: record.run,
            new: new.map(|(_, state)| (*state).clone()).collect(),
            states: hashed.iter().map(|(hash, _)| *hash).collect(),
            signatures: seen.signatures,
            picks,
        };
        self.record(HuntLine::Run(Box::new(line.clone())))?;
        let words = self.order.choices.describe(&line.picks);
        (self.observer)(&HuntEvent::Ended(&line, &words), &self.state);
        Ok(())
    }

    fn investigate_next(&mut self) -> Result<()> {
        let Some(group) = self.state.next_unconfirmed().cloned() else { return Ok(()) };
        let title = group.signature.to_string();
        (self.observer)(&HuntEvent::Investigating(&title), &self.state);
        // What differs only in its witness is repeated, but not minimized once more.
        let is_alike = |other: &super::state::FindingGroup| {
            other.details.is_some() && other.signature.is_alike(&group.signature)
        };
        let minimize = !self.state.findings.iter().any(is_alike);
        let (observer, state) = (&mut *self.observer, &self.state);
        let runner = &self.order.runner;
        let investigation = Investigation {
            playback: Playback { runtime: self.runtime, runner, redactor: &self.redactor },
            folder: self.journal.folder(),
            regressions: &self.order.regressions,
            repeats: self.order.repeats,
            deadline: Deadline(Instant::now() + self.order.investigation),
            minimize,
            observer: &mut |step| observer(&HuntEvent::Step(step), state),
        };
        let finding = investigation.investigate(&group)?;
        let finding = FindingLine { spent_ms: self.spent_ms(), ..finding };
        self.record(HuntLine::Finding(Box::new(finding.clone())))?;
        (self.observer)(&HuntEvent::Found(&finding), &self.state);
        Ok(())
    }

    fn finish(self, settings: &HuntSettings) -> Result<HuntRecord> {
        let interrupted = self.is_stopped();
        let spent_ms = self.spent_ms();
        let record = HuntRecord::new(&self.journal, settings, &self.state, (spent_ms, interrupted));
        if !interrupted {
            self.journal.append(&HuntLine::End { exit: record.exit })?;
        }
        Ok(record)
    }
}
