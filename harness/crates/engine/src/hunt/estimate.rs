//! Estimates how much is left to see, from runs that were drawn uniformly. Pure.
//!
//! A run is a sampling unit, a state or a violation is a species. A run that alone of all runs has
//! shown some species would have been a discovery as the last run. So the share of such runs among
//! the uniformly drawn ones estimates the chance that another one shows something new (Good and
//! Turing, leaving one run out). Chao's
//! second estimator gives the number of species, of which some were never seen.

use super::rate::{Rate, wilson_interval};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts in how many runs each species was seen.
#[derive(Clone, Debug, Default)]
pub struct SpeciesCounts {
    seen: BTreeMap<u64, Sightings>,
    /// Of each run, how many species no other run has shown, and whether it was drawn uniformly.
    runs: Vec<(u32, bool)>,
}

/// The runs that showed a species.
#[derive(Clone, Copy, Debug, Default)]
struct Sightings {
    runs: u32,
    /// Those that were drawn uniformly.
    uniform: u32,
    /// The last one.
    last: usize,
}

/// How much is left to see.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct NoveltyEstimate {
    /// The uniformly drawn runs that the estimate is made from.
    pub runs: u64,
    /// The species that any run showed.
    pub seen: u64,
    /// Those that one uniformly drawn run showed.
    pub singletons: u64,
    /// Those that two of them showed.
    pub doubletons: u64,
    /// The estimated number of species (Chao2), those never seen included.
    pub total: f64,
    /// The chance that the next run shows something new.
    pub chance: f64,
    /// The interval of the chance at 95 %.
    pub interval: (f64, f64),
}

impl SpeciesCounts {
    /// Adds a run that showed these species, each named once. Runs that were not drawn uniformly
    /// only tell what is not new any more.
    pub fn add_run(&mut self, species: impl IntoIterator<Item = u64>, uniform: bool) {
        let run = self.runs.len();
        self.runs.push((0, uniform));
        for one in species {
            let seen = self.seen.entry(one).or_default();
            match seen.runs {
                0 => self.runs[run].0 += 1,
                1 => self.runs[seen.last].0 -= 1,
                _ => (),
            }
            seen.runs += 1;
            seen.uniform += u32::from(uniform);
            seen.last = run;
        }
    }

    /// The estimate; `None` before the first uniformly drawn run.
    pub fn estimate(&self) -> Option<NoveltyEstimate> {
        let counted = self.runs.iter().filter(|(_, uniform)| *uniform);
        let (mut runs, mut discoveries) = (0, 0);
        for (unique, _) in counted {
            runs += 1;
            discoveries += u64::from(*unique > 0);
        }
        if runs == 0 {
            return None;
        }
        let count = |wanted: fn(u32) -> bool| {
            self.seen.values().filter(|seen| wanted(seen.uniform)).count() as u64
        };
        let (singletons, doubletons) = (count(|runs| runs == 1), count(|runs| runs == 2));
        let seen = self.seen.len() as u64;
        let estimated =
            count(|runs| runs > 0) as f64 + estimate_unseen(runs, singletons, doubletons);
        let rate = Rate { hits: discoveries, runs };
        Some(NoveltyEstimate {
            runs,
            seen,
            singletons,
            doubletons,
            total: estimated.max(seen as f64),
            chance: rate.share(),
            interval: wilson_interval(rate),
        })
    }
}

/// The number of species that were never seen (Chao2, bias-corrected where none was seen twice).
fn estimate_unseen(runs: u64, singletons: u64, doubletons: u64) -> f64 {
    let (one, two) = (singletons as f64, doubletons as f64);
    let pairs = if doubletons > 0 { one * one / (2.0 * two) } else { one * (one - 1.0) / 2.0 };
    (runs as f64 - 1.0) / runs as f64 * pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use workloads::Rng;

    /// A run shows each species independently, with its own probability.
    fn simulate_run(chances: &[f64], rng: &mut Rng) -> Vec<u64> {
        let shown = chances.iter().zip(0..).filter(|(chance, _)| rng.unit_float() < **chance);
        shown.map(|(_, species)| species).collect()
    }

    /// The chance that another run shows a species that these runs have not shown.
    fn true_chance(chances: &[f64], counts: &SpeciesCounts) -> f64 {
        let unseen = chances.iter().zip(0_u64..).filter(|(_, it)| !counts.seen.contains_key(it));
        1.0 - unseen.map(|(chance, _)| 1.0 - chance).product::<f64>()
    }

    fn distributions() -> Vec<Vec<f64>> {
        let zipf = |scale: f64| (1..200).map(|rank| scale / f64::from(rank)).collect();
        let geometric = (0..40).map(|rank| 0.8_f64.powi(rank)).collect();
        vec![zipf(0.5), zipf(0.05), geometric, vec![0.3; 10], vec![0.02; 100]]
    }

    #[test]
    fn the_chance_is_right_on_average_and_its_interval_covers_the_truth() {
        for (number, chances) in distributions().iter().enumerate() {
            let (mut covered, mut error, trials) = (0, 0.0, 300);
            for trial in 0..trials {
                let mut rng = Rng::new(trial).fork("species");
                let mut counts = SpeciesCounts::default();
                for _ in 0..30 {
                    counts.add_run(simulate_run(chances, &mut rng), true);
                }
                let estimate = counts.estimate().expect("there are runs");
                let truth = true_chance(chances, &counts);
                let (low, high) = estimate.interval;
                covered += u32::from(low <= truth && truth <= high);
                error += (estimate.chance - truth) / trials as f64;
            }
            assert!(error.abs() < 0.05, "distribution {number}: off by {error}");
            assert!(covered >= 255, "distribution {number}: {covered} of {trials} covered");
        }
    }

    #[test]
    fn the_number_of_species_is_near_the_truth() {
        let mut counts = SpeciesCounts::default();
        let mut rng = Rng::new(5);
        for _ in 0..60 {
            counts.add_run(simulate_run(&[0.02; 100], &mut rng), true);
        }
        let estimate = counts.estimate().expect("there are runs");
        assert!(estimate.seen < 85 && (85.0..120.0).contains(&estimate.total), "{estimate:?}");
    }

    #[test]
    fn what_other_runs_have_shown_is_not_new() {
        let chances = [0.05; 60];
        let (mut error, trials) = (0.0, 200);
        for trial in 0..trials {
            let mut rng = Rng::new(trial).fork("species");
            let mut counts = SpeciesCounts::default();
            for run in 0..60 {
                counts.add_run(simulate_run(&chances, &mut rng), run % 4 == 0);
            }
            let estimate = counts.estimate().expect("there are runs");
            assert_eq!(estimate.runs, 15);
            error += (estimate.chance - true_chance(&chances, &counts)) / trials as f64;
        }
        assert!(error.abs() < 0.05, "off by {error}");
    }

    #[test]
    fn a_few_runs_prove_little() {
        let mut counts = SpeciesCounts::default();
        assert_eq!(counts.estimate(), None);
        counts.add_run([1, 2], true);
        let first = counts.estimate().expect("a run");
        assert_eq!((first.chance, first.seen, first.singletons), (1.0, 2, 2));
        counts.add_run([1, 2], true);
        let second = counts.estimate().expect("runs");
        assert_eq!((second.chance, second.doubletons), (0.0, 2));
        assert!(second.interval.1 > 0.5, "{second:?}");
    }
}
