//! Measures how stale each read certainly was, and convicts those that may not be.
//!
//! A read is stale if something newer than what it returned had certainly taken effect before it began: by as long
//! as that was ago, and by as many versions as had. Both are lower bounds. Versions are counted per key with a
//! Fenwick tree over their order of `lo`, filled in order of `hi`.

use std::collections::BTreeMap;

use super::client::{Known, older, operations};
use super::versions::{NEVER, Read, Record, Version, VersionId};
use super::{Guarantee, Promise};
use crate::history::Value;
use crate::property::distribution::{distribution, distribution_ms, milliseconds};
use crate::property::tally::{Case, Tally};

/// Into how many stretches of time a series is cut.
const STRETCHES: u64 = 60;

/// How stale a read certainly was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Staleness {
    pub(super) nanoseconds: u64,
    pub(super) versions: u64,
}

pub(super) fn judge(record: &Record<'_>, promise: &Promise<'_>, tally: &mut Tally) {
    let measured = measure(record);
    for (read, staleness) in record.reads.iter().zip(&measured) {
        let late = promise.most_ms.is_some_and(|most| staleness.nanoseconds > most * 1_000_000);
        let behind = promise.most_versions.is_some_and(|most| staleness.versions > most);
        if late || behind {
            tally.found("bounded-staleness", || case(record, read, *staleness));
        }
        if promise.has(Guarantee::Freshness) && staleness.versions > 0 {
            tally.found("stale-read", || case(record, read, *staleness));
        }
    }
    report(record, &measured, tally);
}

/// The staleness of every read.
pub(super) fn measure(record: &Record<'_>) -> Vec<Staleness> {
    let mut by_key = vec![Vec::new(); record.keys.len()];
    for (place, read) in record.reads.iter().enumerate() {
        by_key[read.key].push(place);
    }
    let mut measured = vec![Staleness::default(); record.reads.len()];
    for (key, reads) in by_key.iter().enumerate() {
        measure_key(record, key, reads, &mut measured);
    }
    measured
}

fn measure_key(record: &Record<'_>, key: usize, reads: &[usize], measured: &mut [Staleness]) {
    let version = |id: &VersionId| record.versions[*id];
    let mut by_lo: Vec<Version> = record.written[key].iter().map(version).collect();
    by_lo.sort_by_key(|version| version.lo);
    let first = first_effects(&by_lo);
    let mut by_hi: Vec<usize> =
        (0..by_lo.len()).filter(|place| by_lo[*place].hi != NEVER).collect();
    by_hi.sort_by_key(|place| by_lo[*place].hi);
    let mut by_hi = by_hi.into_iter().peekable();
    let mut effective = Fenwick::new(by_lo.len());
    // In order of invocation already: operations are.
    for place in reads {
        let read = record.reads[*place];
        let op = &record.ops[read.op];
        while let Some(version) = by_hi.next_if(|place| by_lo[*place].hi < Some(op.begin)) {
            effective.add(version);
        }
        let from = by_lo.partition_point(|newer| newer.lo <= record.versions[read.version].hi);
        let versions = effective.from(from);
        if versions > 0 {
            let since = first[from].1;
            measured[*place] =
                Staleness { versions, nanoseconds: op.asked_at().saturating_sub(since) };
        }
    }
}

/// From each version on, in order of `lo`, the earliest that one had certainly taken effect.
fn first_effects(by_lo: &[Version]) -> Vec<(Option<u64>, u64)> {
    let mut first: Vec<(Option<u64>, u64)> =
        by_lo.iter().map(|version| (version.hi, version.hi_time)).collect();
    for place in (1..first.len()).rev() {
        first[place - 1] = first[place - 1].min(first[place]);
    }
    first
}

/// Counts marks from a place to the end.
struct Fenwick {
    sums: Vec<u64>,
    total: u64,
}

impl Fenwick {
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

/// The case for a stale read: an earlier read of something newer if there is one, else the write.
fn case(record: &Record<'_>, read: &Read, staleness: Staleness) -> Case {
    let op = &record.ops[read.op];
    let known = newest_before(record, read);
    let other = &record.ops[known.op];
    let how = match record.versions[known.version].write {
        Some(write) if write == known.op => "had been acknowledged".to_owned(),
        _ => format!("had returned {}", record.told(known.version)),
    };
    let Staleness { nanoseconds, versions } = staleness;
    let ms = milliseconds(nanoseconds as i64);
    Case {
        message: format!(
            "{}{} returned {}{}, though {}{} {how} before it began: {versions} versions and {ms} ms behind",
            op.named(),
            record.on(read.op),
            record.told(read.version),
            record.of_key(read.key),
            other.named(),
            record.on(known.op)
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
            older(record, read, known),
        ],
        operations: operations(record, read, known),
    }
}

/// The operation that had told the newest version of the key before a read began, a read if possible.
fn newest_before(record: &Record<'_>, read: &Read) -> Known {
    let begin = record.ops[read.op].begin;
    let reads = record.reads.iter().filter(|other| other.key == read.key);
    let earlier = reads.filter(|other| record.ops[other.op].end < begin);
    let newer = earlier.filter(|other| record.certainly_older(read.version, other.version));
    let newest = newer.max_by_key(|other| record.versions[other.version].lo);
    if let Some(newest) = newest {
        return Known { version: newest.version, op: newest.op };
    }
    let effective = |version: &&VersionId| {
        record.versions[**version].hi < Some(begin)
            && record.certainly_older(read.version, **version)
    };
    let written = record.written[read.key].iter().filter(effective);
    let version = written.max_by_key(|version| record.versions[**version].lo).copied();
    let version = version.unwrap_or(read.version);
    Known { version, op: record.versions[version].write.unwrap_or(read.op) }
}

/// A read for the statistics: when, and how stale.
type Sample = (u64, Staleness);

fn report(record: &Record<'_>, measured: &[Staleness], tally: &mut Tally) {
    let mut replicas: BTreeMap<&str, Vec<Sample>> = BTreeMap::new();
    let mut all = Vec::with_capacity(measured.len());
    for (read, staleness) in record.reads.iter().zip(measured) {
        let sample = (record.ops[read.op].asked_at(), *staleness);
        replicas.entry(record.replica(read.op)).or_default().push(sample);
        all.push(sample);
    }
    let end = all.iter().map(|(time, _)| *time).max().unwrap_or(0);
    let stretch = (end / STRETCHES).div_ceil(1_000_000).max(1) * 1_000_000;
    for (name, value) in summary(&all) {
        tally.measure(&name, value);
    }
    tally.measure("stretch_ms", milliseconds(stretch as i64));
    let told = replicas.iter().map(|(replica, samples)| {
        let series = ("series".to_owned(), series(samples, stretch));
        ((*replica).to_owned(), Value::map(summary(samples).into_iter().chain([series])))
    });
    tally.measure("replicas", Value::map(told));
}

fn summary(samples: &[Sample]) -> Vec<(String, Value)> {
    let stale = samples.iter().filter(|(_, staleness)| staleness.versions > 0).count();
    let ms = samples.iter().map(|(_, staleness)| staleness.nanoseconds as i64).collect();
    let versions = samples.iter().map(|(_, staleness)| staleness.versions as i64).collect();
    vec![
        ("reads".to_owned(), Value::Int(samples.len() as i64)),
        ("stale_reads".to_owned(), Value::Int(stale as i64)),
        ("staleness_ms".to_owned(), distribution_ms(ms)),
        ("versions_behind".to_owned(), distribution(versions)),
    ]
}

/// Stretch by stretch `{ms, reads, stale_reads, max_ms, max_versions}`; stretches without reads are left out.
fn series(samples: &[Sample], stretch: u64) -> Value {
    let mut stretches: BTreeMap<u64, Vec<Staleness>> = BTreeMap::new();
    for (time, staleness) in samples {
        stretches.entry(time / stretch).or_default().push(*staleness);
    }
    let row = |(number, samples): (&u64, &Vec<Staleness>)| {
        let stale = samples.iter().filter(|staleness| staleness.versions > 0).count();
        let longest = samples.iter().map(|staleness| staleness.nanoseconds).max().unwrap_or(0);
        let furthest = samples.iter().map(|staleness| staleness.versions).max().unwrap_or(0);
        Value::map([
            ("ms".to_owned(), milliseconds((number * stretch) as i64)),
            ("reads".to_owned(), Value::Int(samples.len() as i64)),
            ("stale_reads".to_owned(), Value::Int(stale as i64)),
            ("max_ms".to_owned(), milliseconds(longest as i64)),
            ("max_versions".to_owned(), Value::Int(furthest as i64)),
        ])
    };
    Value::List(stretches.iter().map(row).collect())
}
