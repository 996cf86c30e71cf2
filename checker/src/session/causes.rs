//! Compares what each client reads with what the writers of its earlier reads had written and read before.
//!
//! A client that has seen a write must see what came before that write at its writer. Per key and client the newest
//! version it wrote (or read) so far is kept with its place in the client's session; a read of a key asks each client
//! that touched the key for the newest up to the last of its writes that the reader has seen.

use rustc_hash::FxHashMap;

use super::client::{Known, newer, older, operations};
use super::versions::{Deed, Read, Record, VersionId};
use super::{Guarantee, Promise};
use crate::history::Process;
use crate::property::tally::{Case, Tally};

/// What one client knew of one key, by place in its session, the newest last.
type Trail = Vec<(usize, Known)>;

/// What clients knew of each key.
struct Trails(Vec<FxHashMap<Process, Trail>>);

impl Trails {
    /// Follows writes or reads.
    fn new(record: &Record<'_>, follows: impl Fn(&Deed) -> Option<(usize, VersionId)>) -> Self {
        let mut keys = vec![FxHashMap::default(); record.keys.len()];
        for (op, deed) in &record.deeds {
            if let Some((key, version)) = follows(deed) {
                let trail: &mut Trail = keys[key].entry(record.ops[*op].process()).or_default();
                let held = trail.last().map(|(_, known)| *known);
                trail.push((*op, newer(record, held, Known { version, op: *op })));
            }
        }
        Self(keys)
    }

    /// The newest that anybody knew of a key before the last of its writes that the reader has seen.
    fn newest(
        &self,
        record: &Record<'_>,
        key: usize,
        seen: &FxHashMap<Process, usize>,
    ) -> Option<(Known, usize)> {
        let mut newest: Option<(Known, usize)> = None;
        for (client, trail) in &self.0[key] {
            let Some(write) = seen.get(client) else { continue };
            let Some(place) = trail.partition_point(|(op, _)| op < write).checked_sub(1) else {
                continue;
            };
            let known = trail[place].1;
            let rank = |known: &Known| (record.versions[known.version].lo, known.op);
            if newest.as_ref().is_none_or(|(held, _)| rank(held) < rank(&known)) {
                newest = Some((known, *write));
            }
        }
        newest
    }
}

/// Judges monotonic writes and writes-follow-reads.
pub(super) fn judge(record: &Record<'_>, promise: &Promise<'_>, tally: &mut Tally) {
    let writes = Trails::new(record, |deed| match deed {
        Deed::Write { key, version, acknowledged: true } => Some((*key, *version)),
        _ => None,
    });
    let reads = Trails::new(record, |deed| match deed {
        Deed::Read(read) => Some((read.key, read.version)),
        Deed::Write { .. } => None,
    });
    let asked = [
        (Guarantee::MonotonicWrites, "monotonic-writes", writes),
        (Guarantee::WritesFollowReads, "writes-follow-reads", reads),
    ];
    let mut seen: FxHashMap<Process, FxHashMap<Process, usize>> = FxHashMap::default();
    for reads in record.reads.chunk_by(|one, other| one.op == other.op) {
        let reader = record.ops[reads[0].op].process();
        let seen = seen.entry(reader).or_default();
        for (guarantee, kind, trails) in asked.iter().filter(|asked| promise.has(asked.0)) {
            for read in reads {
                let newest = trails.newest(record, read.key, seen);
                let broken =
                    newest.filter(|(known, _)| record.certainly_older(read.version, known.version));
                if let Some((known, through)) = broken {
                    tally.found(kind, || case(record, read, known, through, *guarantee));
                }
            }
        }
        // After all keys of the read: which of them it read first, nobody knows.
        for write in reads.iter().filter_map(|read| record.versions[read.version].write) {
            let writer = record.ops[write].process();
            // A client's own writes are the business of read-your-writes.
            if writer != reader {
                let last = seen.entry(writer).or_insert(write);
                *last = (*last).max(write);
            }
        }
    }
}

fn case(
    record: &Record<'_>,
    read: &Read,
    known: Known,
    through: usize,
    guarantee: Guarantee,
) -> Case {
    let (reader, seen) = (&record.ops[read.op], &record.ops[through]);
    let before = &record.ops[known.op];
    let verb = if guarantee == Guarantee::MonotonicWrites { "written" } else { "read" };
    let chain = format!(
        "{} had {verb} {} before {}",
        seen.process(),
        record.told(known.version),
        seen.named()
    );
    let mut operations = operations(record, read, known);
    operations.insert(operations.len() - 1, seen.begin);
    Case {
        message: format!(
            "{}{} returned {}{}, which is older than what must be there: the client had seen {}, and {chain}",
            reader.named(),
            record.on(read.op),
            record.told(read.version),
            record.of_key(read.key),
            seen.named()
        ),
        steps: vec![
            before.step(seen, "process", chain.clone()),
            seen.step(
                reader,
                "wr",
                format!("{} had read what {} wrote", reader.process(), seen.named()),
            ),
            older(record, read, known),
        ],
        operations,
    }
}
