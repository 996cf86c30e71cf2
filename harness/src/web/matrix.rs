//! Counts what came of runs: by workload and nemesis, and by night. Pure.

use records::record::{IndexLine, Validity};
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of the runs that have the same workload and nemesis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct VerdictCounts {
    /// Valid runs.
    valid: usize,
    /// Unknown ones.
    unknown: usize,
    /// Invalid ones.
    invalid: usize,
    /// The newest of the worst.
    worst: Option<String>,
}

impl VerdictCounts {
    /// Counts a run; runs must come newest first.
    fn count_run(&mut self, run: &IndexLine) {
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

    fn run_count(&self) -> usize {
        self.valid + self.unknown + self.invalid
    }

    /// Of all runs, how many differ from what most of their kind came to; a share, from 0 on.
    fn flake_rate(&self) -> f64 {
        let all = self.run_count();
        let most = self.valid.max(self.unknown).max(self.invalid);
        if all == 0 { 0.0 } else { (all - most) as f64 / all as f64 }
    }
}

/// All runs at a glance.
#[derive(Debug, Serialize)]
pub(super) struct Matrix {
    /// By workload, then by nemesis.
    cells: BTreeMap<String, BTreeMap<String, MatrixCell>>,
    /// By day.
    nights: BTreeMap<String, VerdictCounts>,
    /// All together.
    total: MatrixCell,
}

/// Runs of one kind.
#[derive(Debug, Default, Serialize)]
struct MatrixCell {
    #[serde(flatten)]
    counts: VerdictCounts,
    flake_rate: f64,
}

/// The matrix of runs, newest first. Runs with seeded bugs are left out: they should fail.
pub(super) fn count_runs<'a>(runs: impl IntoIterator<Item = &'a IndexLine>) -> Matrix {
    let mut matrix =
        Matrix { cells: BTreeMap::new(), nights: BTreeMap::new(), total: MatrixCell::default() };
    for run in runs.into_iter().filter(|run| run.bugs.is_empty()) {
        let row = matrix.cells.entry(run.workload.clone()).or_default();
        row.entry(run.nemesis.clone()).or_default().counts.count_run(run);
        let day: String = run.started.chars().take(10).collect();
        matrix.nights.entry(day).or_default().count_run(run);
        matrix.total.counts.count_run(run);
    }
    let mut differ = 0.0;
    for cell in matrix.cells.values_mut().flat_map(BTreeMap::values_mut) {
        cell.flake_rate = cell.counts.flake_rate();
        differ += cell.flake_rate * cell.counts.run_count() as f64;
    }
    // A kind that always fails is no flake: what counts is who differs from its own kind.
    matrix.total.flake_rate = differ / matrix.total.counts.run_count().max(1) as f64;
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;
    use records::index::sample::sample_line;

    #[test]
    fn a_tally_knows_the_worst_and_how_often_runs_differ() {
        let mut tally = VerdictCounts::default();
        assert!(tally.flake_rate() == 0.0);
        for (seed, validity) in [
            (9, Validity::Valid),
            (8, Validity::Unknown),
            (7, Validity::Invalid),
            (6, Validity::Invalid),
        ] {
            tally.count_run(&sample_line(seed, validity));
        }
        assert!(tally.worst.as_ref().is_some_and(|run| run.ends_with("-7")), "{tally:?}");
        assert!((tally.flake_rate() - 0.5).abs() < 1e-9);
    }

    #[test]
    fn a_matrix_leaves_out_runs_that_are_meant_to_fail() {
        let buggy =
            IndexLine { bugs: vec!["stale-reads".into()], ..sample_line(3, Validity::Invalid) };
        let other = IndexLine { workload: "append".into(), ..sample_line(2, Validity::Invalid) };
        let matrix = count_runs(&[buggy, other, sample_line(1, Validity::Valid)]);
        let value = serde_json::to_value(&matrix).expect("it is JSON");
        assert_eq!(value["cells"]["append"]["partition:leader"]["invalid"], 1);
        assert_eq!(value["nights"]["2026-01-01"]["valid"], 1);
        assert_eq!(value["total"]["invalid"], 1);
        assert_eq!(value["total"]["flake_rate"], 0.0, "each kind always comes to the same");
    }
}
