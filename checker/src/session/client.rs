//! Compares each read of a client with its earlier writes and reads of the same key.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::promise::{Guarantee, Promise};
use super::register_history::{RegisterHistory, SessionOp, VersionId, VersionRead};
use crate::history::Process;
use crate::property::verdict_builder::{AnomalyCase, VerdictBuilder};

/// The newest version that a client has certainly observed, and the operation that shows it.
#[derive(Clone, Copy)]
pub(super) struct Known {
    pub(super) version: VersionId,
    pub(super) op: usize,
}

/// The version that was created later, as far as is certain.
pub(super) fn newer_version(
    history: &RegisterHistory<'_>,
    held: Option<Known>,
    fresh: Known,
) -> Known {
    let not_before = |known: Known| history.versions[known.version].not_before;
    held.filter(|held| not_before(*held) >= not_before(fresh)).unwrap_or(fresh)
}

/// Checks read your writes and monotonic reads, and counts reads in which a replica went back.
pub(super) fn check_clients(
    history: &RegisterHistory<'_>,
    promise: &Promise<'_>,
    builder: &mut VerdictBuilder,
) {
    let mut wrote: FxHashMap<(Process, usize), Known> = FxHashMap::default();
    let mut read: FxHashMap<(Process, usize), Known> = FxHashMap::default();
    for (op, session_op) in &history.session_ops {
        let client = history.ops[*op].process();
        match session_op {
            SessionOp::Write { key, version, acknowledged: true } => {
                let place = wrote.get(&(client, *key)).copied();
                let known = Known { version: *version, op: *op };
                wrote.insert((client, *key), newer_version(history, place, known));
            }
            SessionOp::Write { .. } => {}
            SessionOp::Read(seen) => {
                let place = (client, seen.key);
                let own = wrote.get(&place).filter(|own| is_stale(history, seen, **own));
                if let Some(own) = own.filter(|_| promise.has(Guarantee::ReadYourWrites)) {
                    builder.add_case("read-your-writes", || stale_own_write(history, seen, *own));
                }
                let before = read.get(&place).copied();
                let back = before.filter(|before| is_stale(history, seen, *before));
                if let Some(before) = back.filter(|_| promise.has(Guarantee::MonotonicReads)) {
                    builder.add_case("monotonic-reads", || stale_own_read(history, seen, before));
                }
                let known = Known { version: seen.version, op: *op };
                read.insert(place, newer_version(history, before, known));
            }
        }
    }
    count_replica_regressions(history, builder);
}

fn is_stale(history: &RegisterHistory<'_>, seen: &VersionRead, known: Known) -> bool {
    history.certainly_older(seen.version, known.version)
}

fn stale_own_write(history: &RegisterHistory<'_>, seen: &VersionRead, own: Known) -> AnomalyCase {
    let (read, write) = (&history.ops[seen.op], &history.ops[own.op]);
    AnomalyCase {
        message: format!(
            "{}{} returned {}{}, which is older than {} by the same client",
            read.describe(),
            history.node_suffix(seen.op),
            history.describe_version(seen.version),
            history.of_key(seen.key),
            write.describe()
        ),
        steps: vec![
            write.step(
                read,
                "process",
                format!("{} was acknowledged before {} began", write.describe(), read.describe()),
            ),
            older_version_step(history, seen, own),
        ],
        operations: involved_operations(history, seen, own),
    }
}

fn stale_own_read(history: &RegisterHistory<'_>, seen: &VersionRead, before: Known) -> AnomalyCase {
    let (read, earlier) = (&history.ops[seen.op], &history.ops[before.op]);
    AnomalyCase {
        message: format!(
            "{}{} returned {}{}, but earlier {}{} by the same client returned {}, which is newer",
            read.describe(),
            history.node_suffix(seen.op),
            history.describe_version(seen.version),
            history.of_key(seen.key),
            earlier.describe(),
            history.node_suffix(before.op),
            history.describe_version(before.version)
        ),
        steps: vec![
            earlier.step(read, "process", "the client read the newer version first".to_owned()),
            older_version_step(history, seen, before),
        ],
        operations: involved_operations(history, seen, before),
    }
}

/// Why the version that was read is older than the one the client had observed.
pub(super) fn older_version_step(
    history: &RegisterHistory<'_>,
    seen: &VersionRead,
    known: Known,
) -> crate::finding::Step {
    let newer = history.versions[known.version].write.map_or(known.op, |write| write);
    let from = history.versions[seen.version].write.unwrap_or(seen.op);
    let (one, other) =
        (history.describe_version(seen.version), history.describe_version(known.version));
    history.ops[from].step(
        &history.ops[newer],
        "ww",
        match history.versions[seen.version].effective_by {
            Some(effective_by) => format!(
                "{one} had taken effect by index {effective_by}, before {} began, so it is older \
                 than {other}",
                history.ops[newer].describe()
            ),
            None => format!("{} overwrote the initial value", history.ops[newer].describe()),
        },
    )
}

/// The writes of both versions and the two operations that observed them.
pub(super) fn involved_operations(
    history: &RegisterHistory<'_>,
    seen: &VersionRead,
    known: Known,
) -> Vec<u64> {
    let write = |version: VersionId| history.versions[version].write;
    let all = [write(seen.version), write(known.version), Some(known.op), Some(seen.op)];
    let mut involved: Vec<u64> = Vec::new();
    for op in all.into_iter().flatten() {
        let begin = history.ops[op].begin;
        if !involved.contains(&begin) {
            involved.push(begin);
        }
    }
    involved
}

/// Counts the reads that returned an older version than an earlier read of the same replica.
fn count_replica_regressions(history: &RegisterHistory<'_>, builder: &mut VerdictBuilder) {
    let mut by_place: BTreeMap<(&str, usize), Vec<&VersionRead>> = BTreeMap::new();
    for read in &history.reads {
        by_place.entry((history.replica(read.op), read.key)).or_default().push(read);
    }
    let mut back = 0;
    for reads in by_place.values() {
        let mut done = reads.clone();
        done.sort_by_key(|read| history.ops[read.op].end);
        let mut done = done.into_iter().peekable();
        let mut highest = None;
        for read in reads {
            while let Some(earlier) =
                done.next_if(|earlier| history.ops[earlier.op].end < history.ops[read.op].begin)
            {
                highest = highest.max(history.versions[earlier.version].not_before);
            }
            back += usize::from(history.versions[read.version].effective_by < highest);
        }
    }
    builder.add_to_measure("replicas_went_back", back);
}
