//! Measures the staleness of each read, and reports reads that exceed the promised bounds.
//!
//! A read is stale if a newer version had certainly taken effect before it began. Its staleness is
//! the time since then and the number of such versions; both are lower bounds. Versions are counted
//! per key with a Fenwick tree over their order of `not_before`, filled in order of `effective_by`.

use std::collections::BTreeMap;

use super::client::{Known, involved_operations, older_version_step};
use super::promise::{Guarantee, Promise};
use super::register_history::{NEVER, RegisterHistory, Version, VersionId, VersionRead};
use crate::history::Value;
use crate::property::distribution::{summarize, summarize_ms, to_milliseconds};
use crate::property::verdict_builder::{AnomalyCase, VerdictBuilder};

/// The number of time buckets in a series.
const BUCKETS: u64 = 60;

/// The certain staleness of a read: lower bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Staleness {
    pub(super) nanoseconds: u64,
    pub(super) versions: u64,
}

pub(super) fn check_staleness(
    history: &RegisterHistory<'_>,
    promise: &Promise<'_>,
    builder: &mut VerdictBuilder,
) {
    let measured = measure_staleness(history);
    for (read, staleness) in history.reads.iter().zip(&measured) {
        let late =
            promise.max_staleness_ms.is_some_and(|most| staleness.nanoseconds > most * 1_000_000);
        let behind = promise.max_versions_behind.is_some_and(|most| staleness.versions > most);
        if late || behind {
            builder.add_case("bounded-staleness", || build_case(history, read, *staleness));
        }
        if promise.has(Guarantee::Freshness) && staleness.versions > 0 {
            builder.add_case("stale-read", || build_case(history, read, *staleness));
        }
    }
    report_staleness(history, &measured, builder);
}

/// Measures the staleness of every read.
pub(super) fn measure_staleness(history: &RegisterHistory<'_>) -> Vec<Staleness> {
    let mut by_key = vec![Vec::new(); history.keys.len()];
    for (place, read) in history.reads.iter().enumerate() {
        by_key[read.key].push(place);
    }
    let mut measured = vec![Staleness::default(); history.reads.len()];
    for (key, reads) in by_key.iter().enumerate() {
        measure_key(history, key, reads, &mut measured);
    }
    measured
}

fn measure_key(
    history: &RegisterHistory<'_>,
    key: usize,
    reads: &[usize],
    measured: &mut [Staleness],
) {
    let version = |id: &VersionId| history.versions[*id];
    let mut by_lo: Vec<Version> = history.written[key].iter().map(version).collect();
    by_lo.sort_by_key(|version| version.not_before);
    let first = first_effects(&by_lo);
    let mut by_hi: Vec<usize> =
        (0..by_lo.len()).filter(|place| by_lo[*place].effective_by != NEVER).collect();
    by_hi.sort_by_key(|place| by_lo[*place].effective_by);
    let mut by_hi = by_hi.into_iter().peekable();
    let mut effective = FenwickTree::new(by_lo.len());
    // Reads are in order of invocation, because operations are.
    for place in reads {
        let read = history.reads[*place];
        let op = &history.ops[read.op];
        while let Some(version) = by_hi.next_if(|place| by_lo[*place].effective_by < Some(op.begin))
        {
            effective.add(version);
        }
        let from = by_lo.partition_point(|newer| {
            newer.not_before <= history.versions[read.version].effective_by
        });
        let versions = effective.from(from);
        if versions > 0 {
            let since = first[from].1;
            measured[*place] =
                Staleness { versions, nanoseconds: op.invoked_at().saturating_sub(since) };
        }
    }
}

/// For each suffix of the versions in order of `not_before`, the earliest certain effect.
fn first_effects(by_lo: &[Version]) -> Vec<(Option<u64>, u64)> {
    let mut first: Vec<(Option<u64>, u64)> =
        by_lo.iter().map(|version| (version.effective_by, version.effective_time)).collect();
    for place in (1..first.len()).rev() {
        first[place - 1] = first[place - 1].min(first[place]);
    }
    first
}

/// A Fenwick tree that counts marks from a position to the end.
struct FenwickTree {
    sums: Vec<u64>,
    total: u64,
}

impl FenwickTree {
    fn new(places: usize) -> Self {
        Self { sums: vec![0; places + 1], total: 0 }
    }

    fn add(&mut self, place: usize) {
        self.total += 1;
        let mut at = place + 1;
        while at < self.sums.len() {
            self.sums[at] += 1;
            at += at & at.wrapping_neg();
        }
    }

    fn from(&self, place: usize) -> u64 {
        let (mut before, mut at) = (0, place);
        while at > 0 {
            before += self.sums[at];
            at &= at - 1;
        }
        self.total - before
    }
}

/// The case of a stale read: an earlier read of a newer version if there is one, else its write.
fn build_case(
    history: &RegisterHistory<'_>,
    read: &VersionRead,
    staleness: Staleness,
) -> AnomalyCase {
    let op = &history.ops[read.op];
    let known = newest_before(history, read);
    let other = &history.ops[known.op];
    let how = match history.versions[known.version].write {
        Some(write) if write == known.op => "was acknowledged".to_owned(),
        _ => format!("returned {}", history.describe_version(known.version)),
    };
    let Staleness { nanoseconds, versions } = staleness;
    let ms = to_milliseconds(nanoseconds as i64);
    AnomalyCase {
        message: format!(
            "{}{} returned {}{}, though {}{} {how} before it began: {versions} versions and {ms} \
             ms behind",
            op.describe(),
            history.node_suffix(read.op),
            history.describe_version(read.version),
            history.of_key(read.key),
            other.describe(),
            history.node_suffix(known.op)
        ),
        steps: vec![
            other.step(
                op,
                "realtime",
                format!(
                    "the former ended at index {}, the latter began at {}",
                    other.end, op.begin
                ),
            ),
            older_version_step(history, read, known),
        ],
        operations: involved_operations(history, read, known),
    }
}

/// The operation that showed the newest version of the key before a read began: a read if possible.
fn newest_before(history: &RegisterHistory<'_>, read: &VersionRead) -> Known {
    let begin = history.ops[read.op].begin;
    let reads = history.reads.iter().filter(|other| other.key == read.key);
    let earlier = reads.filter(|other| history.ops[other.op].end < begin);
    let newer = earlier.filter(|other| history.certainly_older(read.version, other.version));
    let newest = newer.max_by_key(|other| history.versions[other.version].not_before);
    if let Some(newest) = newest {
        return Known { version: newest.version, op: newest.op };
    }
    let effective = |version: &&VersionId| {
        history.versions[**version].effective_by < Some(begin)
            && history.certainly_older(read.version, **version)
    };
    let written = history.written[read.key].iter().filter(effective);
    let version = written.max_by_key(|version| history.versions[**version].not_before).copied();
    let version = version.unwrap_or(read.version);
    Known { version, op: history.versions[version].write.unwrap_or(read.op) }
}

/// The time and staleness of a read.
type Sample = (u64, Staleness);

fn report_staleness(
    history: &RegisterHistory<'_>,
    measured: &[Staleness],
    builder: &mut VerdictBuilder,
) {
    let mut replicas: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
    let mut all = Vec::with_capacity(measured.len());
    for (read, staleness) in history.reads.iter().zip(measured) {
        let sample = (history.ops[read.op].invoked_at(), *staleness);
        replicas.entry(history.replica(read.op)).or_default().push(sample);
        all.push(sample);
    }
    let end = all.iter().map(|(time, _)| *time).max().unwrap_or(0);
    let bucket = (end / BUCKETS).div_ceil(1_000_000).max(1) * 1_000_000;
    for (name, value) in summarize_samples(&all) {
        builder.set_measure(&name, value);
    }
    builder.set_measure("stretch_ms", to_milliseconds(bucket as i64));
    let rows = replicas.iter().map(|(replica, samples)| {
        let series = ("series".to_owned(), build_series(samples, bucket));
        ((*replica).to_owned(), Value::map(summarize_samples(samples).into_iter().chain([series])))
    });
    builder.set_measure("replicas", Value::map(rows));
}

fn summarize_samples(samples: &[Sample]) -> Vec<(String, Value)> {
    let stale = samples.iter().filter(|(_, staleness)| staleness.versions > 0).count();
    let ms = samples.iter().map(|(_, staleness)| staleness.nanoseconds as i64).collect();
    let versions = samples.iter().map(|(_, staleness)| staleness.versions as i64).collect();
    vec![
        ("reads".to_owned(), Value::Int(samples.len() as i64)),
        ("stale_reads".to_owned(), Value::Int(stale as i64)),
        ("staleness_ms".to_owned(), summarize_ms(ms)),
        ("versions_behind".to_owned(), summarize(versions)),
    ]
}

/// One row per bucket, `{ms, reads, stale_reads, max_ms, max_versions}`; buckets without reads are
/// left out.
fn build_series(samples: &[Sample], bucket: u64) -> Value {
    let mut buckets: BTreeMap<u64, Vec<Staleness>> = BTreeMap::new();
    for (time, staleness) in samples {
        buckets.entry(time / bucket).or_default().push(*staleness);
    }
    let row = |(number, samples): (&u64, &Vec<Staleness>)| {
        let stale = samples.iter().filter(|staleness| staleness.versions > 0).count();
        let longest = samples.iter().map(|staleness| staleness.nanoseconds).max().unwrap_or(0);
        let furthest = samples.iter().map(|staleness| staleness.versions).max().unwrap_or(0);
        Value::map([
            ("ms".to_owned(), to_milliseconds((number * bucket) as i64)),
            ("reads".to_owned(), Value::Int(samples.len() as i64)),
            ("stale_reads".to_owned(), Value::Int(stale as i64)),
            ("max_ms".to_owned(), to_milliseconds(longest as i64)),
            ("max_versions".to_owned(), Value::Int(furthest as i64)),
        ])
    };
    Value::List(buckets.iter().map(row).collect())
}
