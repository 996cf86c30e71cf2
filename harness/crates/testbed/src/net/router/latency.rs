//! Draws how long messages between nodes take. Pure.

use crate::random::Rng;
use std::fmt;
use std::time::Duration;

/// What a draw is at most, in means: the tail of an exponential distribution has no end.
const MAX_MEANS: f64 = 10.0;
/// Draws are this fine.
const STEPS: u64 = 1 << 32;

/// How latencies are spread around their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Distribution {
    /// Each message takes as long.
    #[default]
    Constant,
    /// From nothing to twice the mean.
    Uniform,
    /// Most take less than the mean, a few much more.
    Exponential,
}

/// Every distribution and its name.
pub const DISTRIBUTIONS: [(Distribution, &str); 3] = [
    (Distribution::Constant, "constant"),
    (Distribution::Uniform, "uniform"),
    (Distribution::Exponential, "exponential"),
];

/// How long messages take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// On average, in milliseconds.
    pub mean_ms: u64,
    /// How they differ.
    pub distribution: Distribution,
}

impl Latency {
    /// How long the next message takes.
    pub(super) fn sample_delay(&self, rng: &mut Rng) -> Duration {
        let chance = rng.below(STEPS) as f64 / STEPS as f64;
        let means = match self.distribution {
            Distribution::Constant => 1.0,
            Distribution::Uniform => 2.0 * chance,
            Distribution::Exponential => (-(1.0 - chance).ln()).min(MAX_MEANS),
        };
        Duration::from_millis(self.mean_ms).mul_f64(means)
    }
}

impl Distribution {
    /// The distribution of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        DISTRIBUTIONS
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(distribution, _)| *distribution)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = DISTRIBUTIONS.iter().find(|(known, _)| *known == self.distribution);
        write!(f, "{} latency of {} ms", name.map_or("constant", |(_, name)| name), self.mean_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_distribution_has_its_mean_and_its_spread() {
        for (distribution, name) in DISTRIBUTIONS {
            let latency = Latency { mean_ms: 100, distribution };
            let mut rng = Rng::new(1);
            let draws: Vec<f64> =
                (0..20_000).map(|_| latency.sample_delay(&mut rng).as_secs_f64() * 1e3).collect();
            let mean = draws.iter().sum::<f64>() / draws.len() as f64;
            assert!((97.0..103.0).contains(&mean), "{name}: {mean}");
            let most = draws.iter().copied().fold(0.0, f64::max);
            let expected = match distribution {
                Distribution::Constant => 99.0..101.0,
                Distribution::Uniform => 195.0..200.0,
                Distribution::Exponential => 600.0..1000.1,
            };
            assert!(expected.contains(&most), "{name}: {most}");
        }
    }

    #[test]
    fn no_latency_is_none_however_it_is_spread() {
        let latency = Latency { mean_ms: 0, distribution: Distribution::Exponential };
        assert_eq!(latency.sample_delay(&mut Rng::new(1)), Duration::ZERO);
    }
}
