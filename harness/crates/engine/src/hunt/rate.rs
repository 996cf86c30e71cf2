//! A share of runs, and the interval in which the true share lies. Pure.

use serde::{Deserialize, Serialize};

/// The quantile of the normal distribution for an interval of 95 %.
const Z_95: f64 = 1.959_963_985;

/// How many runs of some did it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// Those that did.
    pub hits: u64,
    /// All.
    pub runs: u64,
}

impl Rate {
    /// The share; 0 of no runs.
    pub fn share(self) -> f64 {
        if self.runs == 0 { 0.0 } else { self.hits as f64 / self.runs as f64 }
    }

    /// Adds a run.
    pub fn add_run(&mut self, hit: bool) {
        self.runs += 1;
        self.hits += u64::from(hit);
    }

    /// How many runs contain a hit with a probability of at least 95 %, but not more than `most`.
    pub fn runs_to_hit(self, most: u64) -> u64 {
        let miss = 1.0 - self.share();
        let enough = |runs: &u64| 1.0 - miss.powf(*runs as f64) >= 0.95;
        (1..most).find(enough).unwrap_or(most)
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (low, high) = wilson_interval(*self);
        let Self { hits, runs } = self;
        write!(f, "{hits} of {runs} runs ({:.0} to {:.0} %)", low * 100.0, high * 100.0)
    }
}

/// Wilson's score interval of a share, at 95 %; of no runs, everything is possible.
pub fn wilson_interval(rate: Rate) -> (f64, f64) {
    if rate.runs == 0 {
        return (0.0, 1.0);
    }
    let (runs, share, z) = (rate.runs as f64, rate.share(), Z_95);
    let middle = share + z * z / (2.0 * runs);
    let spread = z * (share * (1.0 - share) / runs + z * z / (4.0 * runs * runs)).sqrt();
    let scale = 1.0 + z * z / runs;
    (((middle - spread) / scale).max(0.0), ((middle + spread) / scale).min(1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval_of(hits: u64, runs: u64) -> (f64, f64) {
        let (low, high) = wilson_interval(Rate { hits, runs });
        ((low * 1000.0).round() / 1000.0, (high * 1000.0).round() / 1000.0)
    }

    #[test]
    fn intervals_are_those_of_the_literature() {
        assert_eq!(interval_of(0, 10), (0.0, 0.278));
        assert_eq!(interval_of(5, 10), (0.237, 0.763));
        assert_eq!(interval_of(10, 10), (0.722, 1.0));
        assert_eq!(interval_of(0, 0), (0.0, 1.0));
    }

    #[test]
    fn rare_failures_need_more_runs() {
        let runs = |hits, runs| Rate { hits, runs }.runs_to_hit(10);
        assert_eq!(
            [runs(5, 5), runs(4, 5), runs(1, 2), runs(1, 10), runs(0, 5)],
            [1, 2, 5, 10, 10]
        );
    }

    #[test]
    fn a_rate_is_printed_with_its_interval() {
        assert_eq!(Rate { hits: 5, runs: 10 }.to_string(), "5 of 10 runs (24 to 76 %)");
    }
}
