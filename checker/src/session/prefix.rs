//! Compares the keys that one read shows together: they must have been so at one time.
//!
//! The newest of the versions shown came to be at its `lo` at the earliest. If another of them had been replaced by
//! then, by a version that had certainly taken effect, no prefix of the writes looks so.

use super::client::{Known, older, operations};
use super::versions::{NEVER, Read, Record, VersionId};
use crate::property::tally::{Case, Tally};

/// Of one key, versions by when they had certainly taken effect, each with the newest so far.
struct Settled(Vec<(Option<u64>, VersionId)>);

impl Settled {
    fn new(record: &Record<'_>, key: usize) -> Self {
        let certain = |version: &&VersionId| record.versions[**version].hi != NEVER;
        let mut versions: Vec<VersionId> =
            record.written[key].iter().filter(certain).copied().collect();
        versions.sort_by_key(|version| record.versions[*version].hi);
        let mut newest = Vec::with_capacity(versions.len());
        for version in versions {
            let last = newest.last().map_or(version, |(_, last)| *last);
            let lo = |version: VersionId| record.versions[version].lo;
            let best = if lo(last) > lo(version) { last } else { version };
            newest.push((record.versions[version].hi, best));
        }
        Self(newest)
    }

    /// The newest version that had taken effect before an index.
    fn newest_before(&self, index: Option<u64>) -> Option<VersionId> {
        let place = self.0.partition_point(|(hi, _)| *hi < index).checked_sub(1)?;
        Some(self.0[place].1)
    }
}

pub(super) fn judge(record: &Record<'_>, tally: &mut Tally) {
    let several = |reads: &&[Read]| reads.len() > 1;
    let mut settled: Option<Vec<Settled>> = None;
    for reads in record.reads.chunk_by(|one, other| one.op == other.op).filter(several) {
        let settled = settled.get_or_insert_with(|| {
            (0..record.keys.len()).map(|key| Settled::new(record, key)).collect()
        });
        let newest = reads.iter().max_by_key(|read| record.versions[read.version].lo);
        let newest = newest.expect("there are several");
        let from = record.versions[newest.version].lo;
        for read in reads {
            let Some(version) = settled[read.key].newest_before(from) else { continue };
            if record.certainly_older(read.version, version) {
                tally.found("consistent-prefix", || case(record, read, newest, version));
            }
        }
    }
}

fn case(record: &Record<'_>, read: &Read, newest: &Read, hidden: VersionId) -> Case {
    let op = &record.ops[read.op];
    let known = Known { version: hidden, op: record.versions[hidden].write.unwrap_or(read.op) };
    let newer = record.versions[newest.version].write.unwrap_or(read.op);
    let replaced = format!(
        "{} had taken effect before {} began",
        record.origin(hidden),
        record.origin(newest.version)
    );
    let mut operations = operations(record, read, known);
    operations.insert(operations.len() - 1, record.ops[newer].begin);
    Case {
        message: format!(
            "{}{} shows {}{} together with {}{}, but {replaced}: they never were there together",
            op.named(),
            record.on(read.op),
            record.told(read.version),
            record.of_key(read.key),
            record.told(newest.version),
            record.of_key(newest.key)
        ),
        steps: vec![
            older(record, read, known),
            record.ops[known.op].step(&record.ops[newer], "realtime", replaced.clone()),
            record.ops[newer].step(op, "wr", "the read shows the latter".to_owned()),
        ],
        operations,
    }
}
