//! Marks runs that are going on, so that a browser finds them without looking everywhere.

use anyhow::{Context as _, Result};
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = ".live";

/// A mark that stands as long as this lives. One that a killed run left behind is harmless: its run has no verdict,
/// and its history does not grow.
#[derive(Debug)]
pub struct Mark(PathBuf);

impl Mark {
    /// Marks a run below the results directory.
    pub fn set(results: &Path, run: &Path) -> Result<Self> {
        let run = run.strip_prefix(results).unwrap_or(run).display().to_string();
        let folder = results.join(FOLDER);
        let mark = folder.join(run.replace('/', "~"));
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(&mark, run))
            .with_context(|| format!("{} cannot be written", mark.display()))?;
        Ok(Self(mark))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // Where it cannot be taken away it is harmless.
        drop(fs::remove_file(&self.0));
    }
}

/// The runs that are marked, by name.
pub fn running(results: &Path) -> Vec<String> {
    let marks = fs::read_dir(results.join(FOLDER)).into_iter().flatten().flatten();
    let mut runs: Vec<_> = marks.filter_map(|mark| fs::read_to_string(mark.path()).ok()).collect();
    runs.sort();
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_marked_while_it_lasts() {
        let results = tempfile::tempdir().expect("a directory");
        let mark = Mark::set(results.path(), &results.path().join("raft/1")).expect("a mark");
        assert_eq!(running(results.path()), ["raft/1"]);
        drop(mark);
        assert!(running(results.path()).is_empty());
    }
}
