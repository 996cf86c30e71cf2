//! Sums up pairs of measurements: the middle of each side, and the middle of the ratios.

use super::load::Measurement;
use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// All measurements of one load on one system, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Measurements(pub(crate) Vec<Measurement>);

impl Measurements {
    fn per_second(&self) -> Vec<f64> {
        self.0.iter().map(|measured| measured.per_second).collect()
    }

    fn latency_quantile(measured: &Measurement, quantile: f64) -> f64 {
        measured.latency.value_at_quantile(quantile) as f64 / 1e3
    }

    fn p99_latencies(&self) -> Vec<f64> {
        self.0.iter().map(|measured| Self::latency_quantile(measured, 0.99)).collect()
    }

    /// Quantiles in milliseconds of all runs together.
    fn latency_quantiles(&self) -> Option<[f64; 3]> {
        let mut all: Histogram<u64> = self.0.first()?.latency.clone();
        self.0[1..].iter().for_each(|more| all.add(&more.latency).expect("the same bounds"));
        Some([0.5, 0.99, 0.999].map(|quantile| all.value_at_quantile(quantile) as f64 / 1e3))
    }

    fn median_of(&self, figure: impl Fn(&Measurement) -> f64) -> f64 {
        median(&self.0.iter().map(figure).collect::<Vec<_>>()).unwrap_or(0.0)
    }

    fn median_syncs(&self) -> Option<f64> {
        median(&self.0.iter().filter_map(|measured| measured.syncs_per_write).collect::<Vec<_>>())
    }

    /// How many operations failed.
    pub(crate) fn count_failed(&self) -> u64 {
        self.0.iter().map(|measured| measured.failed).sum()
    }

    /// The most cores that the loader kept busy.
    pub(crate) fn loader_cores(&self) -> f64 {
        self.0.iter().map(|measured| measured.loader_cores).fold(0.0, f64::max)
    }

    /// In words.
    pub(crate) fn to_text(&self) -> String {
        let [p50, p99, p999] = self.latency_quantiles().unwrap_or_default();
        let syncs = self
            .median_syncs()
            .map_or_else(String::new, |syncs| format!(", {syncs:.3} fsyncs/write"));
        let failed = match self.count_failed() {
            0 => String::new(),
            failed => format!(", {failed} FAILED"),
        };
        format!(
            "{:>7.0}/s  p50 {p50:.2} p99 {p99:.2} p99.9 {p999:.2} ms, \
             servers {:.2} cores{syncs}{failed}",
            self.median_of(|measured| measured.per_second),
            self.median_of(|measured| measured.server_cores),
        )
    }

    /// For programs.
    pub(crate) fn to_json(&self) -> Value {
        let [p50, p99, p999] = self.latency_quantiles().unwrap_or_default();
        json!({
            "per_second": self.per_second(), "p50_ms": p50, "p99_ms": p99, "p99.9_ms": p999,
            "failed": self.count_failed(),
            "done": self.0.iter().map(|measured| measured.done).sum::<u64>(),
            "fsyncs_per_write": self.median_syncs(), "loader_cores": self.loader_cores(),
            "server_cores": self.median_of(|measured| measured.server_cores),
        })
    }
}

/// The ratios of ours to theirs by pair: throughput, and the 99th percentile of latency.
pub(crate) fn compare_measurements(
    ours: &Measurements,
    theirs: &Measurements,
) -> Option<(String, Value)> {
    let throughput = ratio_spread(&ours.per_second(), &theirs.per_second())?;
    let latency = ratio_spread(&ours.p99_latencies(), &theirs.p99_latencies())?;
    let text = format!(
        "throughput x{:.2} ({:.2}..{:.2}), p99 x{:.2} ({:.2}..{:.2})",
        throughput[0], throughput[1], throughput[2], latency[0], latency[1], latency[2]
    );
    Some((text, json!({ "throughput": throughput, "p99": latency })))
}

/// The middle, the least and the greatest of the ratios.
fn ratio_spread(ours: &[f64], theirs: &[f64]) -> Option<[f64; 3]> {
    let ratios: Vec<f64> =
        ours.iter().zip(theirs).map(|(a, b)| a / b.max(f64::MIN_POSITIVE)).collect();
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = ratios.iter().copied().fold(0.0, f64::max);
    Some([median(&ratios)?, least, greatest])
}

/// The figure that such a part of all does not exceed; 0 where there is none.
pub(crate) fn quantile(figures: &[f64], part: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    sorted.get((last * part).ceil() as usize).copied().unwrap_or(0.0)
}

/// The middle of some figures.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_of_ratios_is_not_the_ratio_of_middles() {
        assert_eq!(median(&[]), None);
        assert_eq!(
            (median(&[3.0, 1.0, 2.0]), median(&[4.0, 1.0, 2.0, 3.0])),
            (Some(2.0), Some(2.5))
        );
        assert_eq!(ratio_spread(&[2.0, 9.0, 4.0], &[1.0, 1.0, 4.0]), Some([2.0, 1.0, 9.0]));
        assert_eq!(ratio_spread(&[], &[]), None);
    }
}
