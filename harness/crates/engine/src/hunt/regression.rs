//! A regression file: what is needed to play a finding again, and what was found.
//!
//! It is a suite file whose schedule stands in it, with a table `[finding]`. So `harness suite`
//! plays one file or a folder of them, and a person can edit it. It expects a correct system.

use super::rate::{Rate, wilson_interval};
use super::signature::Signature;
use crate::run::options::{option_text, test_arguments};
use crate::suite::matrix::{FINDING, SuiteContext, read_suite};
use anyhow::{Context as _, Result};
use records::config::{Config, OPTIONS, OptionKind};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How a text of several lines is quoted in TOML.
const MULTILINE: &str = "\"\"\"";
/// No finding is played more often in one suite.
const MAX_PLAYS: u64 = 5;

/// A finding that can be played again.
#[derive(Clone, Debug, PartialEq)]
pub struct Regression {
    /// The configuration; its seed is the first one that is played.
    pub config: Config,
    /// The schedule.
    pub schedule: String,
    /// What was found.
    pub note: FindingNote,
}

/// What was found, how often it shows again, and by what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FindingNote {
    /// The verdict in one sentence.
    pub sentence: String,
    /// What tells it from other findings.
    #[serde(flatten)]
    pub signature: Signature,
    /// The kinds of fault in the schedule.
    pub faults: Vec<String>,
    /// The verdict of the run.
    pub verdict: String,
    /// In how many runs it showed again.
    pub rate: Rate,
    /// The interval of that share at 95 %.
    pub interval: (f64, f64),
    /// The day, UTC.
    pub date: String,
    /// The version of this tool.
    pub harness: String,
}

impl FindingNote {
    /// A note of today about an invalid run.
    pub fn new(
        signature: Signature,
        sentence: String,
        faults: Vec<String>,
        rate: Rate,
        now: &jiff::Timestamp,
    ) -> Self {
        Self {
            sentence,
            signature,
            faults,
            verdict: "invalid".to_owned(),
            rate,
            interval: wilson_interval(rate),
            date: now.strftime("%Y-%m-%d").to_string(),
            harness: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

impl Regression {
    /// The file's text.
    pub fn to_toml(&self) -> String {
        let plays = self.note.rate.runs_to_hit(MAX_PLAYS);
        let seeds: Vec<String> =
            (0..plays).map(|play| self.config.seed.saturating_add(play).to_string()).collect();
        let mut text = format!(
            "# Found by `harness hunt`. `harness suite FILE` plays it again, and is red while it \
             shows.\n\n# What a correct system gives.\nexpect = \"valid\"\nseeds = [{}]\n",
            seeds.join(", ")
        );
        text += &self.option_lines();
        text += &match self.schedule.contains(['"', '\\']) {
            true => format!("schedule = {}\n\n", quote_toml(&self.schedule)),
            false => format!("schedule = {MULTILINE}\n{}{MULTILINE}\n\n", self.schedule),
        };
        text + &self.note_lines()
    }

    /// A line for each option that the command line of such a run has.
    fn option_lines(&self) -> String {
        // With a schedule, options that only choose faults are not asked for.
        let played = Config { schedule: Some(FINDING.to_owned()), ..self.config.clone() };
        let arguments = test_arguments(&played);
        let is_asked = |name: &str| {
            let (option, assignment) = (format!("--{name}"), format!("--{name}="));
            arguments.iter().any(|word| *word == option || word.starts_with(&assignment))
        };
        let asked = OPTIONS.iter().filter(|option| option.in_suites && is_asked(option.name));
        let line = |option: &records::config::TestOption| {
            let text = option_text(option, &self.config);
            let value = match option.kind {
                OptionKind::Number { .. } | OptionKind::Probability | OptionKind::Flag => text,
                OptionKind::Words => quote_list(&self.config.node_args),
                OptionKind::NameSet(_) => quote_list(&self.config.bugs),
                _ => quote_toml(&text),
            };
            format!("{} = {value}\n", option.name)
        };
        asked.map(line).collect()
    }

    fn note_lines(&self) -> String {
        let FindingNote { sentence, signature, faults, verdict, rate, interval, date, harness } =
            &self.note;
        let Signature { system, check, anomaly, shape } = signature;
        let texts = [
            ("sentence", sentence),
            ("system", system),
            ("check", check),
            ("anomaly", anomaly),
            ("shape", shape),
            ("verdict", verdict),
            ("date", date),
            ("harness", harness),
        ];
        let texts = texts.map(|(key, text)| format!("{key} = {}\n", quote_toml(text))).concat();
        let (low, high) = interval;
        format!(
            "[{FINDING}]\n{texts}faults = {}\nrate = {{ hits = {}, runs = {} }}\n\
             interval = [{low:.3}, {high:.3}]\n",
            quote_list(faults),
            rate.hits,
            rate.runs
        )
    }
}

/// Reads a regression file; `None` of another suite file.
pub fn read_regression(
    file: &str,
    source: &str,
    context: &SuiteContext<'_>,
) -> Result<Option<Regression>, String> {
    let suite = read_suite(file, "regression", source, context)?;
    let note = read_note(source).map_err(|error| format!("{file}: [{FINDING}]: {error}"))?;
    let (Some(note), Some(config)) = (note, suite.configs.into_iter().next()) else {
        return Ok(None);
    };
    let schedule = suite.schedules.into_values().next().unwrap_or_default();
    Ok(Some(Regression { config, schedule, note }))
}

/// What a regression file tells about its finding; `None` of another suite file.
fn read_note(source: &str) -> Result<Option<FindingNote>> {
    /// Only this table of the file.
    #[derive(Deserialize)]
    struct NoteOnly {
        finding: Option<FindingNote>,
    }
    let note: NoteOnly = toml::from_str(source)?;
    Ok(note.finding)
}

/// The regression files of a folder, in order of name; none where there is no folder.
pub fn list_files(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("{} cannot be read", folder.display()))?;
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

fn quote_list(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quote_toml(text)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A text as a TOML string.
fn quote_toml(text: &str) -> String {
    // JSON escapes whatever TOML requires, but for the last control character.
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::sample::sample_config;

    fn sample_regression(rate: Rate) -> Regression {
        let signature = Signature {
            system: "raft".to_owned(),
            check: "linearizable".to_owned(),
            anomaly: "no order".to_owned(),
            shape: "it read # but the register held #".to_owned(),
        };
        let sentence = "key \"k2\": process 20 read 75\\ from n1\u{7f}\u{1b}".to_owned();
        let now = jiff::Timestamp::from_second(86_400).expect("a moment");
        let words = ["--snapshot-entries", "20"].map(str::to_owned).to_vec();
        Regression {
            config: Config {
                seed: 41,
                node_args: words,
                nemesis: vec!["kill".to_owned()],
                fail_fast: true,
                ..sample_config()
            },
            schedule: "at 1s kill leader for 1s\nat 3.5s kill n1 for 500ms\n".to_owned(),
            note: FindingNote::new(signature, sentence, vec!["kill".to_owned()], rate, &now),
        }
    }

    fn read_back(text: &str) -> Regression {
        let bugs = |_: &str| Ok(vec!["stale-reads".to_owned()]);
        let context =
            SuiteContext { first_seed: 1, bugs: &bugs, schedules: Path::new("schedules") };
        let read = read_regression("r.toml", text, &context).unwrap_or_else(|why| panic!("{why}"));
        read.expect("it has a finding")
    }

    #[test]
    fn what_is_written_is_read_again() {
        let written = sample_regression(Rate { hits: 4, runs: 5 });
        let text = written.to_toml();
        let mut read = read_back(&text);
        let file = read.config.schedule.take().expect("the schedule has a file");
        assert!(file.starts_with("schedules/"), "{file}");
        // What the schedule takes the place of is not written.
        read.config.nemesis.clone_from(&written.config.nemesis);
        read.config.pace.clone_from(&written.config.pace);
        let rounded = |(low, high): (f64, f64)| (format!("{low:.3}"), format!("{high:.3}"));
        assert_eq!(rounded(read.note.interval), rounded(written.note.interval));
        read.note.interval = written.note.interval;
        assert_eq!(read, written, "{text}");
        assert!(text.contains("seeds = [41, 42]\n"), "{text}");
    }

    #[test]
    fn a_rare_finding_is_played_more_often() {
        let seeds = |hits, runs| {
            let text = sample_regression(Rate { hits, runs }).to_toml();
            let line = text.lines().find(|line| line.starts_with("seeds")).map(str::to_owned);
            line.expect("seeds").split(',').count()
        };
        assert_eq!([seeds(5, 5), seeds(1, 2), seeds(0, 5)], [1, 5, 5]);
    }

    #[test]
    fn another_suite_is_no_regression() {
        assert_eq!(read_note("nodes = 3\n").expect("it is TOML"), None);
        assert!(read_note("[finding]\nsentence = 1\n").is_err());
        let none = tempfile::tempdir().expect("a directory").path().join("regressions");
        assert_eq!(list_files(&none).expect("no files"), Vec::<std::path::PathBuf>::new());
    }
}
