//! Observations of each replica during a run: the lines of `replicas.jsonl`.
//!
//! They are for display beside the history. Roles, terms and indices are as the system reports
//! them, so no check reads them. The report names missing observations.

use super::RunDirectory;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read as _;

/// The file.
pub const FILE: &str = "replicas.jsonl";
/// The most bytes of a log that are read; a report shows far fewer.
const MOST_OF_A_LOG: u64 = 128 << 20;

/// One observation, a line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    /// The time, in nanoseconds since the run began.
    pub time: u64,
    /// The name of the replica.
    pub replica: String,
    /// What was observed.
    #[serde(flatten)]
    pub what: Sighting,
}

/// A property of a replica. Each value holds until the next observation of the same kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sighting {
    /// The state of its process.
    Process(Life),
    /// The status it reported; `None` if it did not answer in time.
    Says(Option<Said>),
    /// The setting of its wall clock.
    Clock(WrongClock),
    /// The length of its log in bytes.
    Log(u64),
}

impl Sighting {
    /// The key of its kind in a line.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Says(_) => "says",
            Self::Clock(_) => "clock",
            Self::Log(_) => "log",
        }
    }
}

/// Whether a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Life {
    /// Running.
    Up,
    /// Stopped by a signal.
    Stopped,
    /// Not running.
    Down,
}

/// The status that a replica reports, as far as its system has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The role as the system names it: `leader`, `follower`, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The term, or the system's equivalent that grows with every leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// The commit index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<u64>,
    /// The last entry that is in its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
}

/// The difference of a wall clock from the right time; all 0 if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WrongClock {
    /// The offset.
    pub offset_ms: f64,
    /// The drift from then on.
    pub drift_percent: f64,
    /// If not 0, the clock is right in every other period of this length.
    pub strobe_ms: f64,
}

/// The observations and logs of a run, for display.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The lines of the file, in order; empty if a run has no such file.
    pub sights: Vec<Sight>,
    /// The log of each replica, by name.
    pub logs: BTreeMap<String, Vec<u8>>,
}

impl Observed {
    /// Reads the observations and logs. Unknown lines are skipped: no verdict depends on them.
    pub fn read<'a>(directory: &RunDirectory, replicas: impl Iterator<Item = &'a str>) -> Self {
        let text = std::fs::read_to_string(directory.file(FILE)).unwrap_or_default();
        let sights = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let log = |name: &str| Some((name.to_owned(), beginning(&directory.log(name)).ok()?));
        Self { sights, logs: replicas.filter_map(log).collect() }
    }
}

/// The beginning of a log, up to [`MOST_OF_A_LOG`] bytes.
fn beginning(log: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(log)?.take(MOST_OF_A_LOG).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_a_line() {
        let said = Said { role: Some("leader".into()), term: Some(3), ..Said::default() };
        let wrong = WrongClock { offset_ms: -64.0, ..WrongClock::default() };
        for (what, line) in [
            (Sighting::Process(Life::Stopped), r#""process":"stopped""#),
            (Sighting::Says(Some(said)), r#""says":{"role":"leader","term":3}"#),
            (Sighting::Says(None), r#""says":null"#),
            (
                Sighting::Clock(wrong),
                r#""clock":{"offset_ms":-64.0,"drift_percent":0.0,"strobe_ms":0.0}"#,
            ),
            (Sighting::Log(9), r#""log":9"#),
        ] {
            let sight = Sight { time: 5, replica: "n1".into(), what };
            let text = serde_json::to_string(&sight).expect("JSON");
            assert!(text.contains(&format!("\"{}\":", sight.what.kind())));
            assert_eq!(text, format!("{{\"time\":5,\"replica\":\"n1\",{line}}}"));
            assert_eq!(serde_json::from_str::<Sight>(&text).expect("a sight"), sight);
        }
    }

    #[test]
    fn skips_missing_files_and_unknown_lines() {
        let results = tempfile::tempdir().expect("a directory");
        let directory = RunDirectory::open(results.path());
        assert!(Observed::read(&directory, ["n1"].into_iter()).sights.is_empty());
        let lines = "{\"time\":1,\"replica\":\"n1\",\"log\":2}\nnonsense\n\
                     {\"time\":2,\"replica\":\"n1\",\"later\":1}\n";
        std::fs::write(directory.file(FILE), lines).expect("a file");
        assert_eq!(Observed::read(&directory, ["n1"].into_iter()).sights.len(), 1);
    }
}
