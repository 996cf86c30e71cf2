//! Marks running runs, so that the server finds them without a search.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

const MARKER_FOLDER: &str = ".live";

/// The mark of a running run, removed on drop. The mark of a killed run is harmless: that run has
/// no verdict, and its history does not grow.
#[derive(Debug)]
pub struct LiveMarker(PathBuf);

impl LiveMarker {
    /// Marks a run below the results directory.
    pub fn create(results: &Path, run: &Path) -> Result<Self> {
        let run = run.strip_prefix(results).unwrap_or(run).display().to_string();
        let folder = results.join(MARKER_FOLDER);
        let mark = folder.join(run.replace('/', "~"));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&mark, run))
            .with_context(|| format!("{} cannot be written", mark.display()))?;
        Ok(Self(mark))
    }
}

impl Drop for LiveMarker {
    fn drop(&mut self) {
        // A mark that cannot be removed is harmless.
        drop(fs::remove_file(&self.0));
    }
}

/// The marked runs, sorted by name.
pub fn list_live_runs(results: &Path) -> Vec<String> {
    let marks = fs::read_dir(results.join(MARKER_FOLDER)).into_iter().flatten().flatten();
    let mut runs: Vec<_> = marks.filter_map(|mark| fs::read_to_string(mark.path()).ok()).collect();
    runs.sort();
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_a_run_until_drop() {
        let results = tempfile::tempdir().expect("a directory");
        let mark =
            LiveMarker::create(results.path(), &results.path().join("raft/1")).expect("a mark");
        assert_eq!(list_live_runs(results.path()), ["raft/1"]);
        drop(mark);
        assert!(list_live_runs(results.path()).is_empty());
    }
}
