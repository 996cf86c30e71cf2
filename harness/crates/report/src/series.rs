//! Aggregates a history for charts. If many operations share a spot, the worst outcome wins, so
//! that a single failure stays visible.

use checker::History;
use checker::history::{Kind, Operation};
use std::collections::BTreeMap;

/// The fewest operations for a meaningful quantile.
const ENOUGH: usize = 5;

/// How an operation ended, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// It took effect.
    Ok,
    /// It did not take effect.
    Fail,
    /// Its outcome is unknown.
    Info,
}

/// Every outcome, the best first.
pub(super) const OUTCOMES: [Outcome; 3] = [Outcome::Ok, Outcome::Fail, Outcome::Info];

impl Outcome {
    /// The name in a history.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Info => "info",
        }
    }
}

/// An operation: start and end in nanoseconds since the run began, and outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Op {
    /// Its invocation.
    pub(super) start: u64,
    /// Its completion; the end of the history if none was recorded.
    pub(super) end: u64,
    /// How it ended.
    pub(super) outcome: Outcome,
}

impl Op {
    /// How long it took, in nanoseconds, and at least one: the chart's scale is logarithmic.
    pub(super) fn latency(&self) -> u64 {
        self.end.saturating_sub(self.start).max(1)
    }
}

/// The clients' operations, in order of invocation.
pub(super) fn client_operations(history: &History) -> Vec<Op> {
    let last = history.events().iter().map(|event| event.time).max().unwrap_or_default();
    history.operations().iter().map(|operation| to_op(operation, last)).collect()
}

fn to_op(operation: &Operation, last: u64) -> Op {
    let outcome = match operation.kind() {
        Kind::Ok => Outcome::Ok,
        Kind::Fail => Outcome::Fail,
        Kind::Info | Kind::Invoke => Outcome::Info,
    };
    let end = operation.completion.as_ref().map_or(last, |completion| completion.at.time);
    Op { start: operation.invoked.time, end, outcome }
}

/// The operations that were invoked in one interval.
#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    ok: u64,
    fail: u64,
    info: u64,
    latencies: Vec<u64>,
}

impl Bucket {
    /// How many ended this way.
    pub(super) fn count(&self, outcome: Outcome) -> u64 {
        match outcome {
            Outcome::Ok => self.ok,
            Outcome::Fail => self.fail,
            Outcome::Info => self.info,
        }
    }

    /// How many there are.
    pub(super) fn total(&self) -> u64 {
        self.ok + self.fail + self.info
    }

    /// The quantile of the latencies of `ok` operations in nanoseconds, if there are enough.
    pub(super) fn quantile(&self, share: f64) -> Option<u64> {
        if self.latencies.len() < ENOUGH {
            return None;
        }
        let rank = (share * self.latencies.len() as f64).ceil() as usize;
        self.latencies.get(rank.saturating_sub(1)).copied()
    }

    fn add(&mut self, op: &Op) {
        match op.outcome {
            Outcome::Ok => {
                self.ok += 1;
                self.latencies.push(op.latency());
            }
            Outcome::Fail => self.fail += 1,
            Outcome::Info => self.info += 1,
        }
    }
}

/// Groups operations by the interval of `step` nanoseconds in which they were invoked, from 0
/// and without gaps.
pub(super) fn group_by_step(ops: &[Op], step: u64) -> Vec<Bucket> {
    let mut all: Vec<Bucket> = Vec::new();
    for op in ops {
        let index = (op.start / step) as usize;
        if all.len() <= index {
            all.resize_with(index + 1, Bucket::default);
        }
        all[index].add(op);
    }
    for bucket in &mut all {
        bucket.latencies.sort_unstable();
    }
    all
}

/// The occupied spots, each with its worst outcome.
pub(super) fn worst_per_spot<K: Ord>(
    spots: impl Iterator<Item = (K, Outcome)>,
) -> BTreeMap<K, Outcome> {
    let mut taken = BTreeMap::new();
    for (spot, outcome) in spots {
        let worst = taken.entry(spot).or_insert(outcome);
        *worst = outcome.max(*worst);
    }
    taken
}

/// The smallest of 1, 2, 5, 10, 20, 50 … that divides a span into at most `most` steps.
pub(super) fn nice_step(span: u64, most: u64) -> u64 {
    let mut unit: u64 = 1;
    loop {
        for step in [unit, unit * 2, unit * 5] {
            if span.div_ceil(step) <= most {
                return step;
            }
        }
        unit *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to_op(start: u64, end: u64, outcome: Outcome) -> Op {
        Op { start, end, outcome }
    }

    #[test]
    fn steps_are_round_and_within_the_limit() {
        assert_eq!([1, 10, 11, 99, 30_000].map(|span| nice_step(span, 10)), [1, 1, 2, 10, 5000]);
        assert_eq!(nice_step(0, 10), 1);
        assert_eq!(nice_step(i64::MAX.unsigned_abs(), 3), 5_000_000_000_000_000_000);
    }

    #[test]
    fn buckets_count_outcomes_and_keep_the_gaps() {
        let ops =
            [to_op(0, 5, Outcome::Ok), to_op(25, 26, Outcome::Info), to_op(29, 29, Outcome::Fail)];
        let counts: Vec<[u64; 3]> = group_by_step(&ops, 10)
            .iter()
            .map(|b| OUTCOMES.map(|outcome| b.count(outcome)))
            .collect();
        assert_eq!(counts, [[1, 0, 0], [0, 0, 0], [0, 1, 1]]);
    }

    #[test]
    fn quantiles_are_measured_latencies() {
        let ops: Vec<Op> = (1..=100).map(|n| to_op(0, n, Outcome::Ok)).collect();
        let bucket = &group_by_step(&ops, 10)[0];
        assert_eq!([0.5, 0.99, 1.0].map(|share| bucket.quantile(share)), [50, 99, 100].map(Some));
        assert_eq!(group_by_step(&ops[..4], 10)[0].quantile(0.5), None);
    }

    #[test]
    fn shows_one_bad_operation_in_a_thousand() {
        let spots = (0..1000).map(|n| (0, if n == 500 { Outcome::Info } else { Outcome::Ok }));
        assert_eq!(worst_per_spot(spots), BTreeMap::from([(0, Outcome::Info)]));
    }
}
