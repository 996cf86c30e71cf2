//! Views an object's operations up to a completion, as intervals of time.

use crate::history::Value;
use crate::linear::partition::ObjectOp;

/// The end of time.
pub(super) const NEVER: u64 = u64::MAX;

/// The instant of an event: after 0, which precedes everything, and with room before each event.
pub(super) fn event_instant(index: u64) -> u64 {
    2 * index + 2
}

/// The prefix of a history up to a completion.
pub(super) struct PrefixView<'a> {
    pub(super) model: &'static str,
    pub(super) ops: &'a [ObjectOp<'a>],
    pub(super) start: &'a Value,
    /// Whether it starts in the model's initial state.
    pub(super) fresh: bool,
    pub(super) cut: u64,
}

/// When an operation began, and by when it must have taken effect, if it must.
#[derive(Clone, Copy)]
pub(super) struct OpInterval {
    pub(super) begin: u64,
    pub(super) end: Option<u64>,
}

impl OpInterval {
    /// Its end, or the end of time if it need not take effect.
    pub(super) fn latest_end(self) -> u64 {
        self.end.unwrap_or(NEVER)
    }
}

impl<'a> PrefixView<'a> {
    pub(super) fn ops(&self) -> impl Iterator<Item = (&'a ObjectOp<'a>, OpInterval)> + use<'a> {
        let cut = self.cut;
        self.ops.iter().filter(move |op| op.invoked < cut).map(move |op| {
            let end = op.completed.filter(|end| *end <= cut).map(event_instant);
            (op, OpInterval { begin: event_instant(op.invoked), end })
        })
    }
}
