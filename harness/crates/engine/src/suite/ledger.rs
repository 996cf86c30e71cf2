//! Records the result of each cell on disk, so that an interrupted suite can be resumed.
//!
//! A ledger is a file of lines: the first lists the cells, the last marks the end. It is only
//! appended to. A torn last line, left by a killed controller, is ignored.

use anyhow::{Context as _, Result};
use records::suite::{Cell, CellRecord};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The folder of ledgers, below the results.
const FOLDER: &str = "suites";

/// What is known of a suite.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    /// When the suite began.
    pub started: String,
    /// The final results of cells, in the order in which they ended.
    pub settled: Vec<CellRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LedgerLine {
    Begin { started: String, cells: Vec<Cell> },
    Cell(Box<CellRecord>),
    End { exit: u8 },
}

impl Ledger {
    /// Resumes the newest ledger if it lists exactly these cells and has no end; else starts one.
    pub fn open(
        results: &Path,
        suite: &str,
        cells: &[Cell],
        now: &jiff::Timestamp,
        fresh: bool,
    ) -> Result<Self> {
        let folder = results.join(FOLDER).join(suite);
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let left = if fresh {
            None
        } else {
            newest_ledger(&folder).and_then(|path| load_unfinished(path, cells))
        };
        match left {
            Some(ledger) => Ok(ledger),
            None => {
                let path = folder.join(now.strftime("%Y%m%dT%H%M%S%3fZ.jsonl").to_string());
                let started = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                let ledger = Self { path, started: started.clone(), settled: Vec::new() };
                ledger.append_line(&LedgerLine::Begin { started, cells: cells.to_vec() })?;
                Ok(ledger)
            }
        }
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends the result of a cell.
    pub fn record(&self, cell: &CellRecord) -> Result<()> {
        self.append_line(&LedgerLine::Cell(Box::new(cell.clone())))
    }

    /// Appends the end of the suite.
    pub fn record_end(&self, exit: u8) -> Result<()> {
        self.append_line(&LedgerLine::End { exit })
    }

    /// Appends one line in one write, on a new line even after a torn one.
    fn append_line(&self, line: &LedgerLine) -> Result<()> {
        let text = serde_json::to_string(line).context("a record is not JSON")?;
        let torn =
            fs::read(&self.path).is_ok_and(|text| text.last().is_some_and(|end| *end != b'\n'));
        let text = if torn { format!("\n{text}\n") } else { text + "\n" };
        let file = fs::OpenOptions::new().create(true).append(true).open(&self.path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

fn newest_ledger(folder: &Path) -> Option<PathBuf> {
    let paths = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    paths.filter(|path| path.extension().is_some_and(|end| end == "jsonl")).max()
}

/// The ledger in this file, if it lists these cells and has no end.
fn load_unfinished(path: PathBuf, cells: &[Cell]) -> Option<Ledger> {
    let text = fs::read_to_string(&path).ok()?;
    let mut lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let Some(LedgerLine::Begin { started, cells: these }) = lines.next() else { return None };
    if these != cells {
        return None;
    }
    let mut settled = Vec::new();
    for line in lines {
        match line {
            LedgerLine::Cell(cell) if cell.outcome.is_settled() => settled.push(*cell),
            LedgerLine::Cell(_) => (),
            LedgerLine::Begin { .. } | LedgerLine::End { .. } => return None,
        }
    }
    Some(Ledger { path, started, settled })
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::suite::{Outcome, sample};

    fn timestamp_at(second: i64) -> jiff::Timestamp {
        jiff::Timestamp::from_second(second).expect("a moment")
    }

    #[test]
    fn resumes_an_interrupted_suite() {
        let results = tempfile::tempdir().expect("a directory");
        let cells = [sample::sample_cell(Outcome::Passed).cell];
        let open = |second, fresh| {
            Ledger::open(results.path(), "smoke", &cells, &timestamp_at(second), fresh)
                .expect("a ledger")
        };
        let first = open(0, false);
        for outcome in [Outcome::Infra, Outcome::Finding, Outcome::Interrupted] {
            first.record(&sample::sample_cell(outcome)).expect("it is written");
        }
        fs::OpenOptions::new()
            .append(true)
            .open(first.path())
            .and_then(|mut file| file.write_all(b"{\"cell\":{\"fam"))
            .expect("a torn line");
        let again = open(9, false);
        assert_eq!((again.path(), again.started.as_str()), (first.path(), "1970-01-01T00:00:00Z"));
        assert_eq!(
            again.settled,
            [sample::sample_cell(Outcome::Finding)],
            "inconclusive cells run again"
        );
        again.record(&sample::sample_cell(Outcome::Passed)).expect("it is written");
        assert_eq!(open(10, false).settled.len(), 2, "a torn line does not swallow the next");
        assert_ne!(open(11, true).path(), first.path());
    }

    #[test]
    fn ignores_finished_ledgers_and_those_of_other_cells() {
        let results = tempfile::tempdir().expect("a directory");
        let cells = [sample::sample_cell(Outcome::Passed).cell];
        let open = |second, cells: &[Cell]| {
            Ledger::open(results.path(), "smoke", cells, &timestamp_at(second), false)
                .expect("a ledger")
        };
        let first = open(0, &cells);
        assert_ne!(open(1, &[]).path(), first.path());
        let second = open(2, &cells);
        second.record_end(0).expect("it is written");
        assert_ne!(open(3, &cells).path(), second.path());
    }
}
