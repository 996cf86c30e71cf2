//! Checks that all replicas converge.

use std::collections::BTreeMap;

use super::promise::{ANOMALIES, NAME};
use super::register_history::{RegisterHistory, VersionRead};
use crate::history::History;
use crate::property::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::verdict::{Limits, Verdict};

/// Compares, key by key, the last read of each replica among those that began at this index or
/// later.
///
/// Two replicas that returned different values have not converged, unless a write of the key was
/// still open: then the result is unknown.
pub fn check_convergence(history: &History, limits: &Limits<'_>, from: u64) -> Verdict {
    match RegisterHistory::new(history, limits.keyed) {
        Ok(history) => check_registers(&history, from),
        Err(why) => unsupported_history(NAME, why),
    }
}

fn check_registers(history: &RegisterHistory<'_>, from: u64) -> Verdict {
    let mut builder = VerdictBuilder::new(NAME, ANOMALIES);
    let mut keys: BTreeMap<usize, BTreeMap<&str, &VersionRead>> = BTreeMap::new();
    for read in history.reads.iter().filter(|read| history.ops[read.op].begin >= from) {
        keys.entry(read.key).or_default().insert(history.replica(read.op), read);
    }
    let (mut agreeing, mut reads) = (0, 0);
    for (key, replicas) in &keys {
        reads += replicas.len();
        agreeing += usize::from(check_key(history, *key, replicas, from, &mut builder));
    }
    builder.set_measure("keys_read", keys.len() as i64);
    builder.add_to_measure("keys_converged", agreeing);
    builder.stats.operations = reads;
    builder.stats.keys = keys.len();
    if reads == 0 {
        builder.add_unknown(|| format!("no read completed from index {from} on"));
    }
    builder.build(&format!("the last reads of all {} keys agree on every replica", keys.len()))
}

/// Whether the last reads of a key agree.
fn check_key(
    history: &RegisterHistory<'_>,
    key: usize,
    replicas: &BTreeMap<&str, &VersionRead>,
    from: u64,
    builder: &mut VerdictBuilder,
) -> bool {
    let mut reads = replicas.values();
    let Some(first) = reads.next() else { return true };
    let Some(other) = reads.find(|read| read.version != first.version) else { return true };
    // An open write may take effect between the two reads.
    let open = history.written[key].iter().find(|version| {
        history.versions[**version].write.is_some_and(|write| history.ops[write].end >= from)
    });
    let (one, two) = (&history.ops[first.op], &history.ops[other.op]);
    let reads_differ = format!(
        "{}{} returned {}{} and {}{} returned {}",
        one.describe(),
        history.node_suffix(first.op),
        history.describe_version(first.version),
        history.of_key(key),
        two.describe(),
        history.node_suffix(other.op),
        history.describe_version(other.version)
    );
    match open {
        Some(version) => builder.add_unknown(|| {
            format!(
                "{reads_differ}, but {} may have taken effect in between",
                history.describe_write(*version)
            )
        }),
        None => builder.add_case("not-converged", || AnomalyCase {
            message: format!("replicas have not converged: {reads_differ}"),
            steps: vec![one.step(two, "differs", reads_differ.clone())],
            operations: vec![one.begin, two.begin],
        }),
    }
    false
}
