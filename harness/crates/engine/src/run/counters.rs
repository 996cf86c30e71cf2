//! Counts operations by outcome and measures their latency, from their intended start.
//!
//! The latency of a call includes the time it waited for a client, and a call that found all
//! clients busy is counted as skipped: a slow system cannot hide behind clients that wait for it.

use crate::nemesis::timeline::SuccessCounts;
use hdrhistogram::Histogram;
use records::record::{Counts, Latency};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::watch;
use workloads::Outcome;

/// How far back "lately" reaches.
const RECENT_WINDOW_NS: u64 = 2_000_000_000;
/// The largest latency that is measured, in microseconds.
const MAX_LATENCY_US: u64 = 600_000_000;

/// The counts of a run.
pub(crate) struct Counters {
    /// By function and outcome.
    pub counts: Counts,
    latency: Histogram<u64>,
    succeeded: watch::Sender<SuccessCounts>,
    /// Time of completion and latency of the last operations.
    recent: VecDeque<(u64, u64)>,
}

impl Counters {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let latency =
            Histogram::new_with_bounds(1, MAX_LATENCY_US, 3).expect("these bounds are in order");
        let succeeded = watch::Sender::new(SuccessCounts::new());
        Self { counts: Counts::default(), latency, succeeded, recent: VecDeque::new() }
    }

    /// How many operations have succeeded, for faults that wait for them.
    pub(crate) fn subscribe_successes(&self) -> watch::Receiver<SuccessCounts> {
        self.succeeded.subscribe()
    }

    /// Counts an operation that was meant to start at `intended` and ended `now`, both in
    /// nanoseconds.
    pub(crate) fn record_completion(
        &mut self,
        function: &str,
        outcome: Outcome,
        intended: u64,
        now: u64,
    ) {
        let outcomes = self.counts.functions.entry(function.to_owned()).or_default();
        match outcome {
            Outcome::Ok => outcomes.ok += 1,
            Outcome::Fail => outcomes.fail += 1,
            Outcome::Info => outcomes.info += 1,
        }
        let took_us = now.saturating_sub(intended) / 1_000;
        if outcome == Outcome::Ok {
            self.latency.saturating_record(took_us);
            self.succeeded.send_modify(|all| *all.entry(function.to_owned()).or_default() += 1);
        }
        self.recent.push_back((now, took_us));
        self.expire_recent(now);
    }

    fn expire_recent(&mut self, now: u64) {
        while self.recent.front().is_some_and(|(time, _)| time + RECENT_WINDOW_NS < now) {
            self.recent.pop_front();
        }
    }

    /// The latency of the whole run.
    pub(crate) fn summarize_latency(&self) -> Latency {
        Latency {
            p50_us: self.latency.value_at_quantile(0.5),
            p95_us: self.latency.value_at_quantile(0.95),
            p99_us: self.latency.value_at_quantile(0.99),
            max_us: self.latency.max(),
        }
    }

    /// Completions per second lately, with their median and 99th percentile.
    pub(crate) fn recent_stats(&mut self, now: u64) -> (f64, Option<Duration>, Option<Duration>) {
        self.expire_recent(now);
        let mut took: Vec<u64> = self.recent.iter().map(|(_, took_us)| *took_us).collect();
        took.sort_unstable();
        let at = |percent: usize| {
            took.get(took.len() * percent / 100).map(|us| Duration::from_micros(*us))
        };
        let seconds = RECENT_WINDOW_NS.min(now.max(1)) as f64 / 1e9;
        (took.len() as f64 / seconds, at(50), at(99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_counts_from_the_intended_start_and_only_of_what_happened() {
        let mut counters = Counters::new();
        counters.record_completion("read", Outcome::Ok, 0, 5_000_000);
        counters.record_completion("read", Outcome::Info, 0, 900_000_000);
        assert_eq!(counters.summarize_latency().max_us / 10, 500);
        let read = counters.counts.functions["read"];
        assert_eq!((read.ok, read.fail, read.info), (1, 0, 1));
    }

    #[test]
    fn lately_forgets() {
        let mut counters = Counters::new();
        counters.record_completion("read", Outcome::Ok, 0, 1_000);
        assert_eq!(counters.recent_stats(5_000_000_000), (0.0, None, None));
    }
}
