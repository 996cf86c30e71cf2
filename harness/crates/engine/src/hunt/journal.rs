//! The journal of a hunt: a file of lines, from which an interrupted hunt goes on.
//!
//! The first line has what was asked, the last one marks the end. It is only appended to. A torn
//! last line, left by a killed hunt, is ignored.

use super::choice::ChoiceAxis;
use super::policy::PolicyParameters;
use super::rate::Rate;
use super::signature::Signature;
use anyhow::{Context as _, Result};
use records::config::Config;
use records::suite::Outcome;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder of hunts, below the results.
const FOLDER: &str = "hunts";
/// The file in the folder of a hunt.
const FILE: &str = "journal.jsonl";

/// What a hunt was asked for, as far as going on depends on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HuntSettings {
    /// What can be drawn.
    pub axes: Vec<ChoiceAxis>,
    /// The configuration of the plainest run, without the seed: what all runs share.
    pub base: Config,
    /// How the next run is chosen.
    pub policy: PolicyParameters,
}

/// A line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HuntLine {
    /// What was asked.
    Begin {
        /// When the hunt began, UTC, RFC 3339.
        started: String,
        /// The seed of all draws.
        seed: u64,
        /// What was asked.
        settings: Box<HuntSettings>,
    },
    /// A regression file was played.
    Regression(RegressionResult),
    /// A run ended.
    Run(Box<RunLine>),
    /// A violation was confirmed and minimized.
    Finding(Box<FindingLine>),
    /// The hunt ended.
    End {
        /// Its exit code.
        exit: u8,
    },
}

/// A regression file that was played.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegressionResult {
    /// The file.
    pub file: String,
    /// What it is about.
    pub signature: Signature,
    /// In how many runs it showed.
    pub rate: Rate,
    /// The directory of the last run in which it showed.
    pub run: Option<String>,
    /// The time of the hunt that is spent, in milliseconds.
    pub spent_ms: u64,
}

/// A run of a hunt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunLine {
    /// Its number, from 0; decides what is drawn.
    pub number: u64,
    /// The value of each axis.
    pub picks: Vec<usize>,
    /// Whether it was drawn uniformly and counts for the estimate.
    pub uniform: bool,
    /// The seed of the run.
    pub seed: u64,
    /// Its outcome.
    pub outcome: Outcome,
    /// The exit code; `None` if a signal ended it.
    pub exit: Option<i32>,
    /// The verdict in one sentence.
    pub sentence: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The time of the hunt that is spent, in milliseconds.
    pub spent_ms: u64,
    /// The run's directory.
    pub run: Option<String>,
    /// The states that it was in, as hashes.
    pub states: Vec<u64>,
    /// The states that no run before was in.
    pub new: Vec<String>,
    /// What it violated, the worst first.
    pub signatures: Vec<Signature>,
}

/// A violation, confirmed and minimized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingLine {
    /// What tells it from others.
    pub signature: Signature,
    /// The verdict of the smallest run in one sentence.
    pub sentence: String,
    /// The kinds of fault in the smallest schedule.
    pub faults: Vec<String>,
    /// The number of the run that showed it first.
    pub first_run: u64,
    /// When that run ended, in milliseconds of the hunt.
    pub found_ms: u64,
    /// How often the run as it was showed it again.
    pub repeated: Rate,
    /// How often the smallest run showed it again.
    pub rate: Rate,
    /// The smallest schedule, one fault per line.
    pub schedule: String,
    /// How long the smallest run lasts, in milliseconds.
    pub limit_ms: u64,
    /// How many runs minimizing took.
    pub trials: u64,
    /// A command line that plays it again.
    pub repro: String,
    /// The report of a run that showed it.
    pub report: String,
    /// The regression file.
    pub regression: String,
    /// The time of the hunt that is spent, in milliseconds.
    pub spent_ms: u64,
}

/// The journal of a hunt, open for more lines.
#[derive(Debug)]
pub struct HuntJournal {
    folder: PathBuf,
    /// The seed of all draws.
    pub seed: u64,
    /// When the hunt began.
    pub started: String,
    /// The lines after the first one that were there when it was opened.
    pub earlier: Vec<HuntLine>,
}

impl HuntJournal {
    /// Goes on with the newest hunt if it was asked the same and has no end; else begins one.
    /// Without a seed, any seed is the same.
    pub fn open(
        results: &Path,
        settings: &HuntSettings,
        (seed, fresh_seed): (Option<u64>, u64),
        now: &jiff::Timestamp,
        fresh: bool,
    ) -> Result<Self> {
        let hunts = results.join(FOLDER);
        let newest = || newest_folder(&hunts).and_then(|folder| load_unfinished(folder, settings));
        let left = if fresh { None } else { newest() };
        if let Some(journal) = left.filter(|it| seed.is_none_or(|seed| seed == it.seed)) {
            return Ok(journal);
        }
        let seed = seed.unwrap_or(fresh_seed);
        let folder = hunts.join(format!("{}-{seed}", now.strftime("%Y%m%dT%H%M%S%3fZ")));
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let started = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let journal = Self { folder, seed, started: started.clone(), earlier: Vec::new() };
        journal.append(&HuntLine::Begin { started, seed, settings: Box::new(settings.clone()) })?;
        Ok(journal)
    }

    /// The hunt's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Appends one line in one write, on a new line even after a torn one.
    pub fn append(&self, line: &HuntLine) -> Result<()> {
        let path = self.folder.join(FILE);
        let text = serde_json::to_string(line).context("a line is not JSON")?;
        let torn = fs::read(&path).is_ok_and(|text| text.last().is_some_and(|end| *end != b'\n'));
        let text = if torn { format!("\n{text}\n") } else { text + "\n" };
        let file = fs::OpenOptions::new().create(true).append(true).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

fn newest_folder(hunts: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(hunts).ok()?.flatten().map(|entry| entry.path());
    folders.filter(|folder| folder.join(FILE).is_file()).max()
}

/// The journal in this folder, if it was asked the same and has no end.
fn load_unfinished(folder: PathBuf, settings: &HuntSettings) -> Option<HuntJournal> {
    let text = fs::read_to_string(folder.join(FILE)).ok()?;
    let mut lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let Some(HuntLine::Begin { started, seed, settings: asked }) = lines.next() else {
        return None;
    };
    let earlier: Vec<HuntLine> = lines.collect();
    let ended = earlier.iter().any(|line| matches!(line, HuntLine::End { .. }));
    (*asked == *settings && !ended).then_some(HuntJournal { folder, seed, started, earlier })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use records::sample::sample_config;

    pub(in super::super) fn sample_settings() -> HuntSettings {
        let axis = |name: &str, values: [&str; 2]| ChoiceAxis {
            name: name.to_owned(),
            option: name.to_owned(),
            values: values.map(str::to_owned).to_vec(),
        };
        HuntSettings {
            axes: vec![axis("workload", ["append", "set"]), axis("nemesis", ["kill", "pause"])],
            base: sample_config(),
            policy: PolicyParameters::default(),
        }
    }

    pub(in super::super) fn sample_run(number: u64, states: &[u64]) -> RunLine {
        RunLine {
            number,
            picks: vec![0, 1],
            uniform: number.is_multiple_of(5),
            seed: number + 100,
            outcome: Outcome::Passed,
            exit: Some(0),
            sentence: "all is well".to_owned(),
            took_ms: 9_000,
            spent_ms: 10_000 * (number + 1),
            run: Some("results/x".to_owned()),
            states: states.to_vec(),
            new: Vec::new(),
            signatures: Vec::new(),
        }
    }

    fn open_at(results: &Path, second: i64, seed: Option<u64>, fresh: bool) -> HuntJournal {
        let now = jiff::Timestamp::from_second(second).expect("a moment");
        HuntJournal::open(results, &sample_settings(), (seed, 77), &now, fresh).expect("a journal")
    }

    #[test]
    fn goes_on_with_an_interrupted_hunt() {
        let results = tempfile::tempdir().expect("a directory");
        let first = open_at(results.path(), 0, None, false);
        assert_eq!((first.seed, first.earlier.len()), (77, 0));
        let run = HuntLine::Run(Box::new(sample_run(0, &[1, 2])));
        first.append(&run).expect("it is written");
        let file = first.folder().join(FILE);
        let torn = fs::OpenOptions::new().append(true).open(&file);
        torn.and_then(|mut file| file.write_all(b"{\"run\":{\"num")).expect("a torn line");
        let again = open_at(results.path(), 9, None, false);
        assert_eq!((again.folder(), &again.earlier), (first.folder(), &vec![run.clone()]));
        again.append(&run).expect("it is written");
        assert_eq!(open_at(results.path(), 10, Some(77), false).earlier.len(), 2);
        assert_ne!(open_at(results.path(), 11, Some(78), false).folder(), first.folder());
    }

    #[test]
    fn begins_anew_after_an_end_and_for_other_settings() {
        let results = tempfile::tempdir().expect("a directory");
        let first = open_at(results.path(), 0, None, false);
        let other = HuntSettings { axes: Vec::new(), ..sample_settings() };
        let now = jiff::Timestamp::from_second(1).expect("a moment");
        let second = HuntJournal::open(results.path(), &other, (None, 5), &now, false);
        assert_ne!(second.expect("a journal").folder(), first.folder());
        let third = open_at(results.path(), 2, None, true);
        third.append(&HuntLine::End { exit: 0 }).expect("it is written");
        assert_ne!(open_at(results.path(), 3, None, false).folder(), third.folder());
    }
}
