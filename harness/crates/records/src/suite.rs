//! Records of a suite: its cells, and the outcome of each.
//!
//! Every [`Cell`] has exactly one [`Outcome`]. A cell that did not run, or that this machine cannot
//! run, neither passes nor is a finding.

use serde::{Deserialize, Serialize};

/// The version of the JSON format of a suite.
pub const FORMAT: u32 = 1;

/// One run of a suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// The name of the runs that differ only by seed.
    pub family: String,
    /// Its seed.
    pub seed: u64,
    /// The arguments of `harness`.
    pub arguments: Vec<String>,
    /// The expected verdict.
    pub expect: Expectation,
    /// How long its main phase lasts, in milliseconds.
    pub limit_ms: u64,
}

/// The expected verdict of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// The system is correct.
    #[default]
    Valid,
    /// A seeded bug is found.
    Invalid,
}

/// The outcome of a cell, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As expected.
    Passed,
    /// Not started: the time budget was used up.
    NotRun,
    /// Not possible on this machine.
    Infra,
    /// Something could not be established.
    Unknown,
    /// Interrupted.
    Interrupted,
    /// This tool crashed.
    Crashed,
    /// A violation, or a seeded bug that was not found.
    Finding,
}

/// All outcomes, the worst first.
pub const OUTCOMES: [Outcome; 7] = [
    Outcome::Finding,
    Outcome::Crashed,
    Outcome::Interrupted,
    Outcome::Unknown,
    Outcome::Infra,
    Outcome::NotRun,
    Outcome::Passed,
];

impl Outcome {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::NotRun => "not run",
            Self::Infra => "infra",
            Self::Unknown => "unknown",
            Self::Interrupted => "interrupted",
            Self::Crashed => "crashed",
            Self::Finding => "finding",
        }
    }

    /// The exit code of a suite with this worst outcome. Cells that did not run count as unknown.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Passed => 0,
            Self::Finding => 1,
            Self::Unknown | Self::NotRun => 2,
            Self::Infra => 3,
            Self::Interrupted => 130,
            Self::Crashed => 255,
        }
    }

    /// Whether it is a result about the system, so that a resumed suite need not run it again.
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Passed | Self::Unknown | Self::Finding)
    }

    /// The outcome of a run by its exit code; `None` means that a signal ended it.
    pub fn from_exit_code(exit: Option<i32>, expect: Expectation) -> Self {
        match (exit, expect) {
            (Some(0), Expectation::Valid) | (Some(1), Expectation::Invalid) => Self::Passed,
            (Some(0 | 1), _) => Self::Finding,
            (Some(2), _) => Self::Unknown,
            (Some(3), _) => Self::Infra,
            (Some(130), _) => Self::Interrupted,
            _ => Self::Crashed,
        }
    }
}

/// A cell and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellRecord {
    /// The cell.
    #[serde(flatten)]
    pub cell: Cell,
    /// Its outcome.
    pub outcome: Outcome,
    /// The exit code of the run; `None` if it never ran or a signal ended it.
    pub exit: Option<i32>,
    /// The reason in one sentence.
    pub sentence: String,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The run's directory.
    pub run: Option<String>,
    /// A command line that repeats the run.
    pub repro: String,
}

impl CellRecord {
    /// The path of the run's report.
    pub fn report_path(&self) -> Option<String> {
        self.run.as_ref().map(|run| format!("{}/report.html", run.trim_end_matches('/')))
    }
}

/// A finished suite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuiteRecord {
    /// [`FORMAT`], the version of the schema.
    #[serde(default = "crate::record::default_format")]
    pub schema_version: u32,
    /// [`FORMAT`].
    pub format: u32,
    /// Its name, with the shard if there are several.
    pub suite: String,
    /// When it began, UTC, RFC 3339.
    pub started: String,
    /// Its duration in milliseconds; of a resumed suite, that of the last part.
    pub took_ms: u64,
    /// The exit code.
    pub exit: u8,
    /// Every cell, in the order of the matrix.
    pub cells: Vec<CellRecord>,
}

impl SuiteRecord {
    /// Creates the record of these cells.
    pub fn new(suite: String, started: String, took_ms: u64, cells: Vec<CellRecord>) -> Self {
        let worst = cells.iter().map(|cell| cell.outcome).max().unwrap_or(Outcome::NotRun);
        Self {
            schema_version: FORMAT,
            format: FORMAT,
            suite,
            started,
            took_ms,
            exit: worst.exit_code(),
            cells,
        }
    }

    /// The number of cells with this outcome.
    pub fn count_outcome(&self, outcome: Outcome) -> usize {
        self.cells.iter().filter(|cell| cell.outcome == outcome).count()
    }

    /// All cells that did not pass, the worst first.
    pub fn cells_not_passed(&self) -> Vec<&CellRecord> {
        let mut cells: Vec<_> =
            self.cells.iter().filter(|cell| cell.outcome != Outcome::Passed).collect();
        cells.sort_by_key(|cell| std::cmp::Reverse(cell.outcome));
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classifies_exit_codes_by_expectation() {
        let of = |exit| {
            (
                Outcome::from_exit_code(exit, Expectation::Valid),
                Outcome::from_exit_code(exit, Expectation::Invalid),
            )
        };
        assert_eq!(of(Some(0)), (Outcome::Passed, Outcome::Finding));
        assert_eq!(of(Some(1)), (Outcome::Finding, Outcome::Passed));
        assert_eq!(of(Some(2)), (Outcome::Unknown, Outcome::Unknown));
        assert_eq!(of(Some(3)), (Outcome::Infra, Outcome::Infra));
        assert_eq!(of(Some(130)), (Outcome::Interrupted, Outcome::Interrupted));
        for crash in [None, Some(101), Some(254), Some(255)] {
            assert_eq!(of(crash), (Outcome::Crashed, Outcome::Crashed));
        }
    }

    #[test]
    fn the_worst_outcome_determines_the_exit_code() {
        assert!(OUTCOMES.is_sorted_by(|a, b| a > b));
        let exit = |outcomes: &[Outcome]| {
            let cells = outcomes.iter().map(|outcome| sample::sample_cell(*outcome)).collect();
            SuiteRecord::new("smoke".into(), String::new(), 0, cells).exit
        };
        assert_eq!(exit(&[]), 2);
        assert_eq!(exit(&[Outcome::Passed]), 0);
        assert_eq!(exit(&[Outcome::Passed, Outcome::NotRun]), 2);
        assert_eq!(exit(&[Outcome::Infra, Outcome::NotRun]), 3);
        assert_eq!(exit(&[Outcome::Infra, Outcome::Unknown]), 2);
        assert_eq!(exit(&[Outcome::Crashed, Outcome::Finding, Outcome::Infra]), 1);
    }
}

/// Suites for tests.
#[cfg(any(test, feature = "sample"))]
pub mod sample {
    use super::*;

    /// A cell with this outcome.
    pub fn sample_cell(outcome: Outcome) -> CellRecord {
        CellRecord {
            cell: Cell {
                family: "raft register partition, 5 nodes".into(),
                seed: 7,
                arguments: vec!["test".into(), "--seed".into(), "7".into()],
                expect: Expectation::Valid,
                limit_ms: 30_000,
            },
            outcome,
            exit: Some(0),
            sentence: format!("it is {}", outcome.name()),
            took_ms: 31_500,
            run: Some("results/raft-register-partition/20260101T000000Z-7".into()),
            repro: "harness test --seed 7".into(),
        }
    }

    /// A suite with a cell of each outcome, and one with a hostile message.
    pub fn sample_suite() -> SuiteRecord {
        let mut cells: Vec<_> =
            OUTCOMES.iter().rev().map(|outcome| sample_cell(*outcome)).collect();
        let hostile = "</failure>]]> <b>\u{1b}[31m & \"'|\n::error::% ";
        cells.push(CellRecord { sentence: hostile.into(), ..sample_cell(Outcome::Finding) });
        SuiteRecord::new("nightly".into(), "2026-01-01T00:00:00Z".into(), 250_000, cells)
    }
}
