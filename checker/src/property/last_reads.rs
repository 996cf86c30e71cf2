//! Finds the last read of each replica, and whether replicas had time to converge before it.
//!
//! Eventual consistency can only be checked once the system is quiet: a read is conclusive if it
//! began [`QUIET_PERIOD`] or more after the last change of the history. A change is a completed or
//! open call that is not a read, or an event of the nemesis. A missing element in an earlier read
//! proves nothing.

use std::collections::BTreeMap;

use super::op::Op;
use crate::history::{History, Process};

/// The time that replicas have to converge, in nanoseconds; Maelstrom waits as long before its
/// final reads.
pub(crate) const QUIET_PERIOD: u64 = 10_000_000_000;

/// The last completed read of each replica; reads without a node count as those of one replica.
pub(crate) fn find_last_reads<'o, 'h>(ops: &'o [Op<'h>]) -> Vec<&'o Op<'h>> {
    let mut last = BTreeMap::new();
    for op in ops.iter().filter(|op| op.f == "read" && op.output.is_some()) {
        last.insert(op.operation.node.as_ref().map(AsRef::<str>::as_ref), op);
    }
    last.into_values().collect()
}

/// ` on n2`, or nothing if the node is unknown.
pub(crate) fn node_suffix(op: &Op<'_>) -> String {
    op.operation.node.as_ref().map_or_else(String::new, |node| format!(" on {node}"))
}

/// The time of the last change, in nanoseconds.
pub(crate) fn find_last_change(history: &History, ops: &[Op<'_>]) -> u64 {
    let nemesis = history.events().iter().filter(|event| event.process == Process::Nemesis);
    let changes = ops.iter().filter(|op| op.f != "read").map(Op::completed_at);
    changes.chain(nemesis.map(|event| event.time)).max().unwrap_or(0)
}

/// Whether a read began at least [`QUIET_PERIOD`] after the last change.
pub(crate) fn follows_quiet_period(op: &Op<'_>, last_change: u64) -> bool {
    op.invoked_at() >= last_change.saturating_add(QUIET_PERIOD)
}
