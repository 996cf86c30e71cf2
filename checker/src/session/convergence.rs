//! Judges that all replicas agree in the end.

use std::collections::BTreeMap;

use super::versions::{Read, Record};
use super::{KINDS, NAME};
use crate::history::History;
use crate::property::tally::{Case, Tally, meaningless};
use crate::verdict::{Limits, Verdict};

/// Compares, key by key, the last read of each replica among those that began at this index or later.
///
/// Two replicas that returned different values have not converged, unless a write of the key was still open: then
/// nobody knows.
pub fn convergence(history: &History, limits: &Limits<'_>, from: u64) -> Verdict {
    match Record::of(history, limits.keyed) {
        Ok(record) => judge(&record, from),
        Err(why) => meaningless(NAME, why),
    }
}

fn judge(record: &Record<'_>, from: u64) -> Verdict {
    let mut tally = Tally::new(NAME, KINDS);
    let mut keys: BTreeMap<usize, BTreeMap<&str, &Read>> = BTreeMap::new();
    for read in record.reads.iter().filter(|read| record.ops[read.op].begin >= from) {
        keys.entry(read.key).or_default().insert(record.replica(read.op), read);
    }
    let (mut agreeing, mut reads) = (0, 0);
    for (key, replicas) in &keys {
        reads += replicas.len();
        agreeing += usize::from(agree(record, *key, replicas, from, &mut tally));
    }
    tally.measure("keys_read", keys.len() as i64);
    tally.add("keys_converged", agreeing);
    tally.stats.operations = reads;
    tally.stats.keys = keys.len();
    if reads == 0 {
        tally.doubt(|| format!("nothing was read from index {from} on"));
    }
    tally.verdict(&format!("the last reads of {} keys agree on every replica", keys.len()))
}

/// Whether the last reads of a key agree.
fn agree(
    record: &Record<'_>,
    key: usize,
    replicas: &BTreeMap<&str, &Read>,
    from: u64,
    tally: &mut Tally,
) -> bool {
    let mut reads = replicas.values();
    let Some(first) = reads.next() else { return true };
    let Some(other) = reads.find(|read| read.version != first.version) else { return true };
    // A write without an end may happen between the two reads.
    let open = record.written[key].iter().find(|version| {
        record.versions[**version].write.is_some_and(|write| record.ops[write].end >= from)
    });
    let (one, two) = (&record.ops[first.op], &record.ops[other.op]);
    let told = format!(
        "{}{} returned {}{} and {}{} {}",
        one.named(),
        record.on(first.op),
        record.told(first.version),
        record.of_key(key),
        two.named(),
        record.on(other.op),
        record.told(other.version)
    );
    match open {
        Some(version) => {
            tally.doubt(|| format!("{told}, but {} may have come between", record.origin(*version)))
        }
        None => tally.found("not-converged", || Case {
            message: format!("replicas disagree in the end: {told}"),
            steps: vec![one.step(two, "differs", told.clone())],
            operations: vec![one.begin, two.begin],
        }),
    }
    false
}
