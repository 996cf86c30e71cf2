//! Names what was seen of each replica while a run lasted: the lines of `replicas.jsonl`.
//!
//! It is there to be looked at beside the history. Roles, terms and indices are the system's own word, so no check
//! reads them; what is missing here is missing in the report, which says so.

use super::RunDirectory;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read as _;

/// The file.
pub const FILE: &str = "replicas.jsonl";
/// How many bytes of a replica's log are read for a report that has room for far fewer.
const MOST_OF_A_LOG: u64 = 128 << 20;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    /// When, in nanoseconds since the run began.
    pub time: u64,
    /// Of which replica.
    pub replica: String,
    /// What.
    #[serde(flatten)]
    pub what: Sighting,
}

/// What can be seen of a replica. Each kind holds until the next of its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sighting {
    /// What the harness did to its process, or saw become of it.
    Process(Life),
    /// What it said of itself when it was asked; nothing where it did not answer in time.
    Says(Option<Said>),
    /// What its wall clock was set to.
    Clock(WrongClock),
    /// How many bytes its log held by then.
    Log(u64),
}

impl Sighting {
    /// Its kind, as a line names it.
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
    /// It runs.
    Up,
    /// It stands still.
    Stopped,
    /// It is gone.
    Down,
}

/// What a replica says of itself, as far as its system says such things.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// In the system's own word: `leader`, `follower` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Its term, or whatever grows with every leader.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub term: Option<u64>,
    /// The last entry that it knows to be committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<u64>,
    /// The last entry that is in its state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
}

/// How a wall clock differs from the right one; all 0 where it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WrongClock {
    /// Ahead by so much.
    pub offset_ms: f64,
    /// Gaining so much from then on.
    pub drift_percent: f64,
    /// If not 0, it is right in every other period of this length.
    pub strobe_ms: f64,
}

/// What a run's directory has besides history and verdict, for the eye.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The lines of the file, in order; none in runs from before there was one.
    pub sights: Vec<Sight>,
    /// What each replica's log says, by name.
    pub logs: BTreeMap<String, Vec<u8>>,
}

impl Observed {
    /// Reads what is there. A line that is not understood is passed over: nothing depends on it.
    pub fn read<'a>(directory: &RunDirectory, replicas: impl Iterator<Item = &'a str>) -> Self {
        let text = std::fs::read_to_string(directory.file(FILE)).unwrap_or_default();
        let sights = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let log = |name: &str| Some((name.to_owned(), beginning(&directory.log(name)).ok()?));
        Self { sights, logs: replicas.filter_map(log).collect() }
    }
}

/// What a log begins with: all of it, unless it is enormous.
fn beginning(log: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(log)?.take(MOST_OF_A_LOG).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_short_and_comes_back() {
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
    fn what_is_not_there_or_not_understood_is_passed_over() {
        let results = tempfile::tempdir().expect("a directory");
        let directory = RunDirectory::open(results.path());
        assert!(Observed::read(&directory, ["n1"].into_iter()).sights.is_empty());
        let lines = "{\"time\":1,\"replica\":\"n1\",\"log\":2}\nnonsense\n{\"time\":2,\"replica\":\"n1\",\"later\":1}\n";
        std::fs::write(directory.file(FILE), lines).expect("a file");
        assert_eq!(Observed::read(&directory, ["n1"].into_iter()).sights.len(), 1);
    }
}
