//! Finds the last read of each replica, and whether replicas had long enough to agree before it.
//!
//! What is promised *in the end* can only be judged of reads that nothing was still on its way to: a read is *late*
//! if it began [`QUIET`] or more after the last change of the history, be it a completed call that is no read, one
//! of unknown end, or an act of the nemesis. A last read that is not late proves nothing by what it lacks.

use std::collections::BTreeMap;

use super::objects::Op;
use crate::history::{History, Process};

/// How long replicas have to agree, in nanoseconds: as long as Maelstrom waits before its final reads.
pub(crate) const QUIET: u64 = 10_000_000_000;

/// The last answered read of each replica; reads of no known replica count as those of one.
pub(crate) fn last_reads<'o, 'h>(ops: &'o [Op<'h>]) -> Vec<&'o Op<'h>> {
    let mut last = BTreeMap::new();
    for op in ops.iter().filter(|op| op.f == "read" && op.output.is_some()) {
        last.insert(op.operation.node.as_ref().map(AsRef::<str>::as_ref), op);
    }
    last.into_values().collect()
}

/// ` on n2`, where that is known.
pub(crate) fn on(op: &Op<'_>) -> String {
    op.operation.node.as_ref().map_or_else(String::new, |node| format!(" on {node}"))
}

/// When the last change was over, in nanoseconds.
pub(crate) fn last_change(history: &History, ops: &[Op<'_>]) -> u64 {
    let nemesis = history.events().iter().filter(|event| event.process == Process::Nemesis);
    let changes = ops.iter().filter(|op| op.f != "read").map(Op::told_at);
    changes.chain(nemesis.map(|event| event.time)).max().unwrap_or(0)
}

/// Whether a read began so long after the last change that it has no excuse.
pub(crate) fn is_late(op: &Op<'_>, last_change: u64) -> bool {
    op.asked_at() >= last_change.saturating_add(QUIET)
}
