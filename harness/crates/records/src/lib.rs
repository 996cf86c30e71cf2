//! Stores runs: a directory per run, and a line per run in the index.
//!
//! Files that may be read while they are written are replaced atomically. The index is append-only.

pub mod config;
pub mod index;
mod live;
pub mod logs;
pub mod options;
pub mod record;
pub mod replica_log;
#[cfg(any(test, feature = "sample"))]
pub mod sample;
#[cfg(any(test, feature = "sample"))]
pub mod schema;
pub mod suite;

use anyhow::{Context as _, Result, bail};
pub use live::{LiveMarker, list_live_runs};
use record::{IndexLine, RunRecord, VerdictRecord};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The results directory, below the current directory.
pub const RESULTS: &str = "results";

/// The index of all runs in the results directory.
const INDEX_FILE: &str = "index.jsonl";

/// The directory of one run.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Creates the directory `<results>/<family>/<stamp>-<seed>`; a second run in the same second
    /// gets a suffix.
    pub fn create(results: &Path, family: &str, stamp: &str, seed: u64) -> Result<Self> {
        let parent = results.join(family);
        create_directory(&parent)?;
        for attempt in 1.. {
            let suffix = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let path = parent.join(format!("{stamp}-{seed}{suffix}"));
            match fs::create_dir(&path) {
                Ok(()) => {
                    let directory = Self { path };
                    create_directory(&directory.path.join("logs"))?;
                    create_directory(&directory.path.join("trace"))?;
                    return Ok(directory);
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => (),
                Err(error) => {
                    return Err(error)
                        .with_context(|| format!("{} cannot be created", path.display()));
                }
            }
        }
        unreachable!("some suffix is free")
    }

    /// The directory of a finished run.
    pub fn open(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file in it.
    pub fn file_path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The log of a replica.
    pub fn log_path(&self, replica: &str) -> PathBuf {
        self.path.join("logs").join(format!("{replica}.log"))
    }

    /// The data directory of a replica, as an absolute path: replicas may have another working
    /// directory.
    pub fn data_dir(&self, replica: &str) -> PathBuf {
        let path = self.path.join("data").join(replica);
        std::path::absolute(&path).unwrap_or(path)
    }

    /// The protocol trace of the replica on a host, as an absolute path, like [`Self::data_dir`].
    pub fn trace_path(&self, replica: &str) -> PathBuf {
        let path = self.path.join("trace").join(format!("{replica}.jsonl"));
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Removes the data and the protocol traces of the replicas.
    pub fn remove_data(&self) -> Result<()> {
        ["data", "trace"].into_iter().map(|name| self.path.join(name)).try_for_each(|directory| {
            match fs::remove_dir_all(&directory) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    Err(error).with_context(|| format!("{} cannot be removed", directory.display()))
                }
                _ => Ok(()),
            }
        })
    }

    /// Writes a file atomically.
    pub fn write_file(&self, name: &str, text: &str) -> Result<()> {
        let (path, draft) = (self.file_path(name), self.file_path(&format!(".{name}.draft")));
        fs::write(&draft, text)
            .and_then(|()| fs::rename(&draft, &path))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Writes a value as JSON atomically.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).context("a record is not JSON")?;
        self.write_file(name, &(text + "\n"))
    }

    /// `run.json`.
    pub fn read_run(&self) -> Result<RunRecord> {
        self.read_json("run.json")
    }

    /// `verdict.json`.
    pub fn read_verdict(&self) -> Result<VerdictRecord> {
        if !self.file_path("verdict.json").exists() && self.file_path("history.jsonl").exists() {
            let path = self.path().display();
            bail!(
                "{path} has no verdict: the run was killed before it was checked, or is still \
                 running; `harness check {path} --model NAME` checks its history so far"
            );
        }
        self.read_json("verdict.json")
    }

    fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.file_path(name);
        let text = fs::read_to_string(&path).with_context(|| {
            format!("{} cannot be read; is this the directory of a finished run?", path.display())
        })?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is not a file of a run", path.display()))
    }
}

fn create_directory(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("{} cannot be created", path.display()))
}

/// Adds a run to the index with a single write, so that lines of concurrent runs do not mix.
pub fn append_to_index(results: &Path, line: &IndexLine) -> Result<()> {
    let path = results.join(INDEX_FILE);
    let text = serde_json::to_string(line).context("a record is not JSON")? + "\n";
    let file = fs::OpenOptions::new().create(true).append(true).open(&path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_two_runs_in_one_second_separate_directories() {
        let results = tempfile::tempdir().expect("a directory");
        let make = || {
            RunDirectory::create(results.path(), "raft", "20260101T000000Z", 7)
                .expect("a directory")
        };
        assert_ne!(make().path(), make().path());
    }

    #[test]
    fn explains_that_a_directory_is_not_a_run() {
        let results = tempfile::tempdir().expect("a directory");
        let error = RunDirectory::open(results.path()).read_run().expect_err("it is empty");
        assert!(error.to_string().ends_with("is this the directory of a finished run?"), "{error}");
    }

    #[test]
    fn explains_that_a_run_has_no_verdict() {
        let results = tempfile::tempdir().expect("a directory");
        fs::write(results.path().join("history.jsonl"), "").expect("it is written");
        let error = RunDirectory::open(results.path()).read_verdict().expect_err("it was killed");
        assert!(error.to_string().contains("harness check"), "{error}");
    }
}
