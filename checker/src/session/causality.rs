//! Compares each read with what the writers of the client's earlier reads had written and read.
//!
//! A client that observes a write must also observe what precedes that write in its writer's
//! session. For each key and client, the newest version written (or read) so far is kept with its
//! position in the session. A read of a key looks up, for each client that accessed the key, the
//! newest version before that client's last write that the reader has observed.

use rustc_hash::FxHashMap;

use super::client::{Known, involved_operations, newer_version, older_version_step};
use super::promise::{Guarantee, Promise};
use super::register_history::{RegisterHistory, SessionOp, VersionId, VersionRead};
use crate::history::Process;
use crate::property::verdict_builder::{AnomalyCase, VerdictBuilder};

/// The versions of one key that a client had observed, by position in its session.
type Trail = Vec<(usize, Known)>;

/// The versions of each key that each client had observed.
struct SessionKnowledge(Vec<FxHashMap<Process, Trail>>);

impl SessionKnowledge {
    /// Collects the writes or the reads of each client, as `follows` selects.
    fn new(
        history: &RegisterHistory<'_>,
        follows: impl Fn(&SessionOp) -> Option<(usize, VersionId)>,
    ) -> Self {
        let mut keys = vec![FxHashMap::default(); history.keys.len()];
        for (op, session_op) in &history.session_ops {
            if let Some((key, version)) = follows(session_op) {
                let trail: &mut Trail = keys[key].entry(history.ops[*op].process()).or_default();
                let held = trail.last().map(|(_, known)| *known);
                trail.push((*op, newer_version(history, held, Known { version, op: *op })));
            }
        }
        Self(keys)
    }

    /// The newest version of a key that any client had observed before its last write that the
    /// reader has read.
    fn newest_before_read_writes(
        &self,
        history: &RegisterHistory<'_>,
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
            let rank = |known: &Known| (history.versions[known.version].not_before, known.op);
            if newest.as_ref().is_none_or(|(held, _)| rank(held) < rank(&known)) {
                newest = Some((known, *write));
            }
        }
        newest
    }
}

/// Checks monotonic writes and writes follow reads.
pub(super) fn check_causality(
    history: &RegisterHistory<'_>,
    promise: &Promise<'_>,
    builder: &mut VerdictBuilder,
) {
    let writes = SessionKnowledge::new(history, |session_op| match session_op {
        SessionOp::Write { key, version, acknowledged: true } => Some((*key, *version)),
        _ => None,
    });
    let reads = SessionKnowledge::new(history, |session_op| match session_op {
        SessionOp::Read(read) => Some((read.key, read.version)),
        SessionOp::Write { .. } => None,
    });
    let asked = [
        (Guarantee::MonotonicWrites, "monotonic-writes", writes),
        (Guarantee::WritesFollowReads, "writes-follow-reads", reads),
    ];
    let mut seen: FxHashMap<Process, FxHashMap<Process, usize>> = FxHashMap::default();
    for reads in history.reads.chunk_by(|one, other| one.op == other.op) {
        let reader = history.ops[reads[0].op].process();
        let seen = seen.entry(reader).or_default();
        for (guarantee, kind, trails) in asked.iter().filter(|asked| promise.has(asked.0)) {
            for read in reads {
                let newest = trails.newest_before_read_writes(history, read.key, seen);
                let broken = newest
                    .filter(|(known, _)| history.certainly_older(read.version, known.version));
                if let Some((known, through)) = broken {
                    builder
                        .add_case(kind, || build_case(history, read, known, through, *guarantee));
                }
            }
        }
        // After all keys of the read, because their order within the read is unknown.
        for write in reads.iter().filter_map(|read| history.versions[read.version].write) {
            let writer = history.ops[write].process();
            // Read your writes covers the client's own writes.
            if writer != reader {
                let last = seen.entry(writer).or_insert(write);
                *last = (*last).max(write);
            }
        }
    }
}

fn build_case(
    history: &RegisterHistory<'_>,
    read: &VersionRead,
    known: Known,
    through: usize,
    guarantee: Guarantee,
) -> AnomalyCase {
    let (reader, seen) = (&history.ops[read.op], &history.ops[through]);
    let before = &history.ops[known.op];
    let verb = if guarantee == Guarantee::MonotonicWrites { "written" } else { "read" };
    let chain = format!(
        "{} had {verb} {} before {}",
        seen.actor(),
        history.describe_version(known.version),
        seen.describe()
    );
    let mut operations = involved_operations(history, read, known);
    operations.insert(operations.len() - 1, seen.begin);
    AnomalyCase {
        message: format!(
            "{}{} returned {}{}, which is too old: the client had observed {}, and {chain}",
            reader.describe(),
            history.node_suffix(read.op),
            history.describe_version(read.version),
            history.of_key(read.key),
            seen.describe()
        ),
        steps: vec![
            before.step(seen, "process", chain.clone()),
            seen.step(
                reader,
                "wr",
                format!("{} had read the value of {}", reader.actor(), seen.describe()),
            ),
            older_version_step(history, read, known),
        ],
        operations,
    }
}
