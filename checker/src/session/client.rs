//! Compares what each client reads from a key with what it wrote to it and read from it before.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::versions::{Deed, Read, Record, VersionId};
use super::{Guarantee, Promise};
use crate::history::Process;
use crate::property::tally::{Case, Tally};

/// The newest version a client is sure of, and the operation that made it so.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) version: VersionId,
    pub(super) op: usize,
}

/// Of two versions the one that more is certainly older than.
pub(super) fn newer(record: &Record<'_>, held: Option<Known>, fresh: Known) -> Known {
    let lo = |known: Known| record.versions[known.version].lo;
    held.filter(|held| lo(*held) >= lo(fresh)).unwrap_or(fresh)
}

/// Judges read-your-writes and monotonic reads, and counts replicas that went back.
pub(super) fn judge(record: &Record<'_>, promise: &Promise<'_>, tally: &mut Tally) {
    let mut wrote: FxHashMap<(Process, usize), Known> = FxHashMap::default();
    let mut read: FxHashMap<(Process, usize), Known> = FxHashMap::default();
    for (op, deed) in &record.deeds {
        let client = record.ops[*op].process();
        match deed {
            Deed::Write { key, version, acknowledged: true } => {
                let place = wrote.get(&(client, *key)).copied();
                let known = Known { version: *version, op: *op };
                wrote.insert((client, *key), newer(record, place, known));
            }
            Deed::Write { .. } => {}
            Deed::Read(seen) => {
                let place = (client, seen.key);
                let own = wrote.get(&place).filter(|own| stale(record, seen, **own));
                if let Some(own) = own.filter(|_| promise.has(Guarantee::ReadYourWrites)) {
                    tally.found("read-your-writes", || own_write(record, seen, *own));
                }
                let before = read.get(&place).copied();
                let back = before.filter(|before| stale(record, seen, *before));
                if let Some(before) = back.filter(|_| promise.has(Guarantee::MonotonicReads)) {
                    tally.found("monotonic-reads", || two_reads(record, seen, before));
                }
                let known = Known { version: seen.version, op: *op };
                read.insert(place, newer(record, before, known));
            }
        }
    }
    replicas(record, tally);
}

fn stale(record: &Record<'_>, seen: &Read, known: Known) -> bool {
    record.certainly_older(seen.version, known.version)
}

fn own_write(record: &Record<'_>, seen: &Read, own: Known) -> Case {
    let (read, write) = (&record.ops[seen.op], &record.ops[own.op]);
    Case {
        message: format!(
            "{}{} returned {}{}, which is older than {} by the same client",
            read.named(),
            record.on(seen.op),
            record.told(seen.version),
            record.of_key(seen.key),
            write.named()
        ),
        steps: vec![
            write.step(
                read,
                "process",
                format!("{} was acknowledged before {} began", write.named(), read.named()),
            ),
            older(record, seen, own),
        ],
        operations: operations(record, seen, own),
    }
}

fn two_reads(record: &Record<'_>, seen: &Read, before: Known) -> Case {
    let (read, earlier) = (&record.ops[seen.op], &record.ops[before.op]);
    Case {
        message: format!(
            "{}{} returned {}{}, and {}{} by the same client, before it, {}, which is newer",
            read.named(),
            record.on(seen.op),
            record.told(seen.version),
            record.of_key(seen.key),
            earlier.named(),
            record.on(before.op),
            record.told(before.version)
        ),
        steps: vec![
            earlier.step(read, "process", "the client read the newer one first".to_owned()),
            older(record, seen, before),
        ],
        operations: operations(record, seen, before),
    }
}

/// Why what was read is older than what was known.
pub(super) fn older(record: &Record<'_>, seen: &Read, known: Known) -> crate::finding::Step {
    let newer = record.versions[known.version].write.map_or(known.op, |write| write);
    let from = record.versions[seen.version].write.unwrap_or(seen.op);
    let (one, other) = (record.told(seen.version), record.told(known.version));
    record.ops[from].step(
        &record.ops[newer],
        "ww",
        match record.versions[seen.version].hi {
            Some(hi) => format!(
                "{one} was there by index {hi}, before {} began: {one} is older than {other}",
                record.ops[newer].named()
            ),
            None => format!("{} came after the beginning", record.ops[newer].named()),
        },
    )
}

/// The writes of both versions and the two operations that met them.
pub(super) fn operations(record: &Record<'_>, seen: &Read, known: Known) -> Vec<u64> {
    let write = |version: VersionId| record.versions[version].write;
    let all = [write(seen.version), write(known.version), Some(known.op), Some(seen.op)];
    let mut told: Vec<u64> = Vec::new();
    for op in all.into_iter().flatten() {
        let begin = record.ops[op].begin;
        if !told.contains(&begin) {
            told.push(begin);
        }
    }
    told
}

/// Counts of each replica the reads that returned something older than one it had completed before.
fn replicas(record: &Record<'_>, tally: &mut Tally) {
    let mut by_place: BTreeMap<(&str, usize), Vec<&Read>> = BTreeMap::new();
    for read in &record.reads {
        by_place.entry((record.replica(read.op), read.key)).or_default().push(read);
    }
    let mut back = 0;
    for reads in by_place.values() {
        let mut done = reads.clone();
        done.sort_by_key(|read| record.ops[read.op].end);
        let mut done = done.into_iter().peekable();
        let mut highest = None;
        for read in reads {
            while let Some(earlier) =
                done.next_if(|earlier| record.ops[earlier.op].end < record.ops[read.op].begin)
            {
                highest = highest.max(record.versions[earlier.version].lo);
            }
            back += usize::from(record.versions[read.version].hi < highest);
        }
    }
    tally.add("replicas_went_back", back);
}
