//! Checks that the values which one read returns together existed at one time.
//!
//! The newest of the returned versions was created at its `not_before` at the earliest. If another
//! one had certainly been overwritten by then, no prefix of the writes has both versions.

use super::client::{Known, involved_operations, older_version_step};
use super::register_history::{NEVER, RegisterHistory, VersionId, VersionRead};
use crate::property::verdict_builder::{AnomalyCase, VerdictBuilder};

/// The versions of a key, ordered by when they had certainly taken effect, each with the newest so
/// far.
struct EffectiveVersions(Vec<(Option<u64>, VersionId)>);

impl EffectiveVersions {
    fn new(history: &RegisterHistory<'_>, key: usize) -> Self {
        let certain = |version: &&VersionId| history.versions[**version].effective_by != NEVER;
        let mut versions: Vec<VersionId> =
            history.written[key].iter().filter(certain).copied().collect();
        versions.sort_by_key(|version| history.versions[*version].effective_by);
        let mut newest = Vec::with_capacity(versions.len());
        for version in versions {
            let last = newest.last().map_or(version, |(_, last)| *last);
            let not_before = |version: VersionId| history.versions[version].not_before;
            let best = if not_before(last) > not_before(version) { last } else { version };
            newest.push((history.versions[version].effective_by, best));
        }
        Self(newest)
    }

    /// The newest version that had taken effect before an index.
    fn newest_before(&self, index: Option<u64>) -> Option<VersionId> {
        let place =
            self.0.partition_point(|(effective_by, _)| *effective_by < index).checked_sub(1)?;
        Some(self.0[place].1)
    }
}

pub(super) fn check_consistent_prefix(history: &RegisterHistory<'_>, builder: &mut VerdictBuilder) {
    let several = |reads: &&[VersionRead]| reads.len() > 1;
    let mut effective: Option<Vec<EffectiveVersions>> = None;
    for reads in history.reads.chunk_by(|one, other| one.op == other.op).filter(several) {
        let effective = effective.get_or_insert_with(|| {
            (0..history.keys.len()).map(|key| EffectiveVersions::new(history, key)).collect()
        });
        let newest = reads.iter().max_by_key(|read| history.versions[read.version].not_before);
        let newest = newest.expect("a chunk has a read");
        let from = history.versions[newest.version].not_before;
        for read in reads {
            let Some(version) = effective[read.key].newest_before(from) else { continue };
            if history.certainly_older(read.version, version) {
                builder
                    .add_case("consistent-prefix", || build_case(history, read, newest, version));
            }
        }
    }
}

fn build_case(
    history: &RegisterHistory<'_>,
    read: &VersionRead,
    newest: &VersionRead,
    hidden: VersionId,
) -> AnomalyCase {
    let op = &history.ops[read.op];
    let known = Known { version: hidden, op: history.versions[hidden].write.unwrap_or(read.op) };
    let newer = history.versions[newest.version].write.unwrap_or(read.op);
    let replaced = format!(
        "{} had taken effect before {} began",
        history.describe_write(hidden),
        history.describe_write(newest.version)
    );
    let mut operations = involved_operations(history, read, known);
    operations.insert(operations.len() - 1, history.ops[newer].begin);
    AnomalyCase {
        message: format!(
            "{}{} returned {}{} together with {}{}, but {replaced}: the two values never existed \
             together",
            op.describe(),
            history.node_suffix(read.op),
            history.describe_version(read.version),
            history.of_key(read.key),
            history.describe_version(newest.version),
            history.of_key(newest.key)
        ),
        steps: vec![
            older_version_step(history, read, known),
            history.ops[known.op].step(&history.ops[newer], "realtime", replaced.clone()),
            history.ops[newer].step(op, "wr", "the read returned the latter".to_owned()),
        ],
        operations,
    }
}
