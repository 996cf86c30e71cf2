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
const MAX_LOG_BYTES: u64 = 128 << 20;

/// One observation, a line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObservationRecord {
    /// The time, in nanoseconds since the run began.
    pub time: u64,
    /// The name of the replica.
    pub replica: String,
    /// What was observed.
    #[serde(flatten)]
    pub observation: Observation,
}

/// A property of a replica. Each value holds until the next observation of the same kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observation {
    /// The state of its process.
    Process(ProcessState),
    /// The status it reported; `None` if it did not answer in time.
    Says(Option<ReportedStatus>),
    /// The setting of its wall clock.
    Clock(ClockDeviation),
    /// The length of its log in bytes.
    Log(u64),
}

impl Observation {
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
pub enum ProcessState {
    /// Running.
    Up,
    /// Stopped by a signal.
    Stopped,
    /// Not running.
    Down,
}

/// The status that a replica reports, as far as its system has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportedStatus {
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
pub struct ClockDeviation {
    /// The offset.
    pub offset_ms: f64,
    /// The drift from then on.
    pub drift_percent: f64,
    /// If not 0, the clock is right in every other period of this length.
    pub strobe_ms: f64,
}

/// The observations and logs of a run, for display.
#[derive(Clone, Debug, Default)]
pub struct ReplicaTelemetry {
    /// The lines of the file, in order; empty if a run has no such file.
    pub observations: Vec<ObservationRecord>,
    /// The log of each replica, by name.
    pub logs: BTreeMap<String, Vec<u8>>,
}

impl ReplicaTelemetry {
    /// Reads the observations and logs. Unknown lines are skipped: no verdict depends on them.
    pub fn read<'a>(directory: &RunDirectory, replicas: impl Iterator<Item = &'a str>) -> Self {
        let text = std::fs::read_to_string(directory.file_path(FILE)).unwrap_or_default();
        let observations =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let log =
            |name: &str| Some((name.to_owned(), read_prefix(&directory.log_path(name)).ok()?));
        Self { observations, logs: replicas.filter_map(log).collect() }
    }
}

/// The beginning of a log, up to [`MOST_OF_A_LOG`] bytes.
fn read_prefix(log: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(log)?.take(MAX_LOG_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_a_line() {
        let said = ReportedStatus {
            role: Some("leader".into()),
            term: Some(3),
            ..ReportedStatus::default()
        };
        let wrong = ClockDeviation { offset_ms: -64.0, ..ClockDeviation::default() };
        for (what, line) in [
            (Observation::Process(ProcessState::Stopped), r#""process":"stopped""#),
            (Observation::Says(Some(said)), r#""says":{"role":"leader","term":3}"#),
            (Observation::Says(None), r#""says":null"#),
            (
                Observation::Clock(wrong),
                r#""clock":{"offset_ms":-64.0,"drift_percent":0.0,"strobe_ms":0.0}"#,
            ),
            (Observation::Log(9), r#""log":9"#),
        ] {
            let observation =
                ObservationRecord { time: 5, replica: "n1".into(), observation: what };
            let text = serde_json::to_string(&observation).expect("JSON");
            assert!(text.contains(&format!("\"{}\":", observation.observation.kind())));
            assert_eq!(text, format!("{{\"time\":5,\"replica\":\"n1\",{line}}}"));
            assert_eq!(
                serde_json::from_str::<ObservationRecord>(&text).expect("a observation"),
                observation
            );
        }
    }

    #[test]
    fn skips_missing_files_and_unknown_lines() {
        let results = tempfile::tempdir().expect("a directory");
        let directory = RunDirectory::open(results.path());
        assert!(ReplicaTelemetry::read(&directory, ["n1"].into_iter()).observations.is_empty());
        let lines = "{\"time\":1,\"replica\":\"n1\",\"log\":2}\nnonsense\n\
                     {\"time\":2,\"replica\":\"n1\",\"later\":1}\n";
        std::fs::write(directory.file_path(FILE), lines).expect("a file");
        assert_eq!(ReplicaTelemetry::read(&directory, ["n1"].into_iter()).observations.len(), 1);
    }
}
