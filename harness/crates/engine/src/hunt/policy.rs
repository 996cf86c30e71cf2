//! Decides which value of each axis the next run plays: Thompson sampling over the values. Pure.
//!
//! Each value of an axis is an arm of a bandit. An arm's reward is how much was new per second in
//! a run that played it, compared with recent runs. Old rewards fade, because what was new once is
//! not new again. The policy is data: [`PolicyParameters`] stand in the journal of a hunt.

use serde::{Deserialize, Serialize};
use workloads::Rng;

/// The policy of a hunt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyParameters {
    /// Whether rewards are used; otherwise every draw is uniform.
    pub feedback: bool,
    /// One run in so many is drawn uniformly and counts for the estimate.
    pub uniform_every: u64,
    /// How much of an earlier reward is left after one more run of the same axis.
    pub retention: f64,
    /// How fast the average novelty of recent runs follows.
    pub averaging: f64,
    /// How strongly rewards sharpen the choice: the weight of one run in an arm.
    pub sharpness: f64,
}

impl Default for PolicyParameters {
    fn default() -> Self {
        Self { feedback: true, uniform_every: 5, retention: 0.97, averaging: 0.15, sharpness: 3.0 }
    }
}

/// What is known of a value: the parameters of its Beta distribution, above the prior of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Arm {
    reward: f64,
    regret: f64,
}

/// The arms of all axes.
#[derive(Clone, Debug)]
pub struct Bandit {
    parameters: PolicyParameters,
    arms: Vec<Vec<Arm>>,
    /// The average number of new states per second of recent runs.
    usual: Option<f64>,
}

impl Bandit {
    /// A bandit over axes with so many values each.
    pub fn new(parameters: PolicyParameters, sizes: impl IntoIterator<Item = usize>) -> Self {
        let arms = sizes.into_iter().map(|size| vec![Arm::default(); size]).collect();
        Self { parameters, arms, usual: None }
    }

    /// Whether a run is one of those that are drawn uniformly whatever was learned.
    pub fn is_uniform(&self, run: u64) -> bool {
        run.is_multiple_of(self.parameters.uniform_every)
    }

    /// The values that a run plays, one for each axis.
    pub fn draw(&self, run: u64, rng: &mut Rng) -> Vec<usize> {
        let learned = self.parameters.feedback && !self.is_uniform(run);
        let pick = |arms: &Vec<Arm>| {
            if !learned {
                return rng.below(arms.len().max(1) as u64) as usize;
            }
            let samples: Vec<f64> = arms
                .iter()
                .map(|arm| sample_beta(1.0 + arm.reward, 1.0 + arm.regret, rng))
                .collect();
            let best = samples.iter().copied().fold(f64::MIN, f64::max);
            samples.iter().position(|sample| *sample >= best).unwrap_or_default()
        };
        self.arms.iter().map(pick).collect()
    }

    /// Learns from a run that played these values and showed so many new states in its time.
    pub fn learn(&mut self, picks: &[usize], new_states: usize, took_ms: u64) {
        let new = new_states as f64 * 1_000.0 / took_ms.max(1) as f64;
        let usual = self.usual.get_or_insert(new);
        let reward = if new == 0.0 { 0.0 } else { new / (new + *usual) };
        *usual += self.parameters.averaging * (new - *usual);
        self.add_reward(picks, reward);
    }

    /// Learns from a run that could not be judged: its values are drawn less often.
    pub fn learn_failure(&mut self, picks: &[usize]) {
        self.add_reward(picks, 0.0);
    }

    fn add_reward(&mut self, picks: &[usize], reward: f64) {
        let PolicyParameters { retention, sharpness, .. } = self.parameters;
        for (arms, pick) in self.arms.iter_mut().zip(picks) {
            for arm in arms.iter_mut() {
                arm.reward *= retention;
                arm.regret *= retention;
            }
            if let Some(arm) = arms.get_mut(*pick) {
                arm.reward += sharpness * reward;
                arm.regret += sharpness * (1.0 - reward);
            }
        }
    }
}

/// A sample of the Beta distribution with these parameters, both at least 1.
fn sample_beta(a: f64, b: f64, rng: &mut Rng) -> f64 {
    let (x, y) = (sample_gamma(a, rng), sample_gamma(b, rng));
    x / (x + y)
}

/// A sample of the Gamma distribution with this shape, at least 1 (Marsaglia and Tsang, 2000).
fn sample_gamma(shape: f64, rng: &mut Rng) -> f64 {
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let normal = sample_normal(rng);
        let v = (1.0 + c * normal).powi(3);
        let u = 1.0 - rng.unit_float();
        if v > 0.0 && u.ln() < 0.5 * normal * normal + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

/// A sample of the standard normal distribution (Box and Muller).
fn sample_normal(rng: &mut Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.unit_float()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.unit_float()).cos()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A run's states in a world where the third value of two axes opens rare states: how often
    /// they show, and how many there are, depends on the values together.
    fn simulate_states(picks: &[usize], rng: &mut Rng) -> BTreeSet<u64> {
        let depth = picks.iter().filter(|pick| **pick == 2).count() as u64;
        let common = (0..10).filter(|_| rng.percent_chance(80));
        let mut states: BTreeSet<u64> = common.collect();
        for _ in 0..depth * 3 {
            states.insert(1_000 * depth + rng.below(60 * depth * depth));
        }
        states
    }

    /// How many states so many runs show.
    fn count_states(feedback: bool, seed: u64, runs: u64) -> usize {
        let parameters = PolicyParameters { feedback, ..PolicyParameters::default() };
        let mut bandit = Bandit::new(parameters, [6, 5, 4]);
        let mut seen = BTreeSet::new();
        for run in 0..runs {
            let mut rng = Rng::new(seed).fork(&format!("run-{run}"));
            let picks = bandit.draw(run, &mut rng);
            let states = simulate_states(&picks, &mut rng);
            let new = states.iter().filter(|state| seen.insert(**state)).count();
            bandit.learn(&picks, new, 1_000);
        }
        seen.len()
    }

    #[test]
    fn feedback_sees_more_than_uniform_draws() {
        let total = |feedback| (0..20).map(|seed| count_states(feedback, seed, 120)).sum::<usize>();
        let (with, without) = (total(true), total(false));
        assert!(2 * with > 3 * without, "{with} states with feedback, {without} without");
    }

    #[test]
    fn without_feedback_every_value_is_equally_likely() {
        let parameters = PolicyParameters { feedback: false, ..PolicyParameters::default() };
        let mut bandit = Bandit::new(parameters, [4]);
        for _ in 0..50 {
            bandit.learn(&[2], 100, 1_000);
        }
        let mut counts = [0; 4];
        let mut rng = Rng::new(3);
        for run in 0..4_000 {
            counts[bandit.draw(run, &mut rng)[0]] += 1;
        }
        assert!(counts.iter().all(|count| (850..1_150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_fixed_share_of_runs_is_uniform_whatever_was_learned() {
        let mut bandit = Bandit::new(PolicyParameters::default(), [4]);
        for _ in 0..50 {
            bandit.learn(&[2], 100, 1_000);
            bandit.learn(&[0], 0, 1_000);
            bandit.learn(&[1], 0, 1_000);
            bandit.learn(&[3], 0, 1_000);
        }
        let mut rng = Rng::new(3);
        let uniform: Vec<u64> = (0..20).filter(|run| bandit.is_uniform(*run)).collect();
        assert_eq!(uniform, [0, 5, 10, 15]);
        let mut count = |run| (0..400).filter(|_| bandit.draw(run, &mut rng) == [2]).count();
        let (learned, drawn) = (count(1), count(5));
        assert!(learned > 300 && (60..140).contains(&drawn), "{learned} and {drawn} of 400");
    }

    #[test]
    fn a_run_that_takes_longer_must_show_more() {
        let mut bandit = Bandit::new(PolicyParameters::default(), [2]);
        for _ in 0..30 {
            bandit.learn(&[0], 10, 10_000);
            bandit.learn(&[1], 20, 60_000);
        }
        let mut rng = Rng::new(3);
        let shorter = (0..400).filter(|_| bandit.draw(1, &mut rng) == [0]).count();
        assert!(shorter > 300, "{shorter} of 400");
    }

    #[test]
    fn values_that_cannot_be_played_are_avoided() {
        let mut bandit = Bandit::new(PolicyParameters::default(), [2]);
        for turn in 0..30 {
            bandit.learn(&[0], 30 - turn, 10_000);
            bandit.learn_failure(&[1]);
        }
        let mut rng = Rng::new(3);
        let playable = (0..400).filter(|_| bandit.draw(1, &mut rng) == [0]).count();
        assert!(playable > 340, "{playable} of 400");
    }

    #[test]
    fn beta_samples_have_the_right_mean() {
        let mut rng = Rng::new(9);
        let mean = (0..4_000).map(|_| sample_beta(3.0, 1.0, &mut rng)).sum::<f64>() / 4_000.0;
        assert!((mean - 0.75).abs() < 0.01, "{mean}");
    }
}
