//! Counts what came of runs: by workload and nemesis, and by night. Pure.

use records::record::{IndexLine, Validity};
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of the runs that have the same workload and nemesis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// Valid runs.
    valid: usize,
    /// Unknown ones.
    unknown: usize,
    /// Invalid ones.
    invalid: usize,
    /// The newest of the worst.
    worst: Option<String>,
}

impl Tally {
    /// Counts a run; runs must come newest first.
    fn add(&mut self, run: &IndexLine) {
        let worse = match run.validity {
            Validity::Invalid => self.invalid == 0,
            Validity::Unknown => self.invalid + self.unknown == 0,
            Validity::Valid => self.worst.is_none(),
        };
        if worse {
            self.worst = Some(run.run.clone());
        }
        match run.validity {
            Validity::Valid => self.valid += 1,
            Validity::Unknown => self.unknown += 1,
            Validity::Invalid => self.invalid += 1,
        }
    }

    fn all(&self) -> usize {
        self.valid + self.unknown + self.invalid
    }

    /// Of all runs, how many differ from what most of their kind came to; a share, from 0 on.
    fn flake_rate(&self) -> f64 {
        let all = self.all();
        let most = self.valid.max(self.unknown).max(self.invalid);
        if all == 0 { 0.0 } else { (all - most) as f64 / all as f64 }
    }
}

/// All runs at a glance.
#[derive(Debug, Serialize)]
pub(super) struct Matrix {
    /// By workload, then by nemesis.
    cells: BTreeMap<String, BTreeMap<String, Cell>>,
    /// By day.
    nights: BTreeMap<String, Tally>,
    /// All together.
    total: Cell,
}

/// Runs of one kind.
#[derive(Debug, Default, Serialize)]
struct Cell {
    #[serde(flatten)]
    tally: Tally,
    flake_rate: f64,
}

/// The matrix of runs, newest first. Runs with seeded bugs are left out: they should fail.
pub(super) fn matrix<'a>(runs: impl IntoIterator<Item = &'a IndexLine>) -> Matrix {
    let mut matrix =
        Matrix { cells: BTreeMap::new(), nights: BTreeMap::new(), total: Cell::default() };
    for run in runs.into_iter().filter(|run| run.bugs.is_empty()) {
        let row = matrix.cells.entry(run.workload.clone()).or_default();
        row.entry(run.nemesis.clone()).or_default().tally.add(run);
        let day: String = run.started.chars().take(10).collect();
        matrix.nights.entry(day).or_default().add(run);
        matrix.total.tally.add(run);
    }
    let mut differ = 0.0;
    for cell in matrix.cells.values_mut().flat_map(BTreeMap::values_mut) {
        cell.flake_rate = cell.tally.flake_rate();
        differ += cell.flake_rate * cell.tally.all() as f64;
    }
    // A kind that always fails is no flake: what counts is who differs from its own kind.
    matrix.total.flake_rate = differ / matrix.total.tally.all().max(1) as f64;
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::index::sample::line;

    #[test]
    fn a_tally_knows_the_worst_and_how_often_runs_differ() {
        let mut tally = Tally::default();
        assert!(tally.flake_rate() == 0.0);
        for (seed, validity) in [
            (9, Validity::Valid),
            (8, Validity::Unknown),
            (7, Validity::Invalid),
            (6, Validity::Invalid),
        ] {
            tally.add(&line(seed, validity));
        }
        assert!(tally.worst.as_ref().is_some_and(|run| run.ends_with("-7")), "{tally:?}");
        assert!((tally.flake_rate() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_matrix_leaves_out_runs_that_are_meant_to_fail() {
        let buggy = IndexLine { bugs: vec!["stale-reads".into()], ..line(3, Validity::Invalid) };
        let other = IndexLine { workload: "append".into(), ..line(2, Validity::Invalid) };
        let matrix = matrix(&[buggy, other, line(1, Validity::Valid)]);
        let value = serde_json::to_value(&matrix).expect("it is JSON");
        assert_eq!(value["cells"]["append"]["partition:leader"]["invalid"], 1);
        assert_eq!(value["nights"]["2026-01-01"]["valid"], 1);
        assert_eq!(value["total"]["invalid"], 1);
        assert_eq!(value["total"]["flake_rate"], 0.0, "each kind always comes to the same");
    }
}
