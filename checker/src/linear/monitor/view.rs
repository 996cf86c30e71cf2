//! Views an object's operations up to a completion, as intervals of time.

use crate::history::Value;
use crate::linear::partition::ObjectOp;

/// When nothing begins or ends any more.
pub(super) const NEVER: u64 = u64::MAX;

/// When an event was: after 0, which comes before everything, and with room before it.
pub(super) fn event_instant(index: u64) -> u64 {
    2 * index + 2
}

/// A history up to a completion.
pub(super) struct PrefixView<'a> {
    pub(super) model: &'static str,
    pub(super) ops: &'a [ObjectOp<'a>],
    pub(super) start: &'a Value,
    /// Whether it starts as the model does.
    pub(super) fresh: bool,
    pub(super) cut: u64,
}

/// When an operation began, and when it must have happened by, if it must.
#[derive(Clone, Copy)]
pub(super) struct Interval {
    pub(super) begin: u64,
    pub(super) end: Option<u64>,
}

impl Interval {
    /// Its end once it is known to have happened.
    pub(super) fn latest_end(self) -> u64 {
        self.end.unwrap_or(NEVER)
    }
}

impl<'a> PrefixView<'a> {
    pub(super) fn ops(&self) -> impl Iterator<Item = (&'a ObjectOp<'a>, Interval)> + use<'a> {
        let cut = self.cut;
        self.ops.iter().filter(move |op| op.invoked < cut).map(move |op| {
            let end = op.completed.filter(|end| *end <= cut).map(event_instant);
            (op, Interval { begin: event_instant(op.invoked), end })
        })
    }
}
