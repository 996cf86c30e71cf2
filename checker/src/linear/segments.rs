//! Splits a long history where nothing is open and the state is certain. The segments are checked
//! independently: in parallel, each with a search and a memory of its own size.
//!
//! An operation is *alone* if every earlier operation had returned when it was invoked, and it
//! returned before the next invocation. If such an operation leaves only one state possible
//! ([`Model::determines_state`]: a write does, and so does a read of a known value), that is the
//! state at the next invocation, in every legal order and whatever preceded it. Let `A` be the
//! operations up to there and `B` the rest. If no operation of unknown outcome is in `A`:
//!
//! - A legal order of `A` followed by a legal order of `B` from that state is a legal order of
//!   both, because all of `A` returned before `B` began, and `A` ends in that state.
//! - A legal order of both puts all of `A` first, for the same reason. It passes the split in that
//!   state, so it is a legal order of `A` followed by one of `B`.
//!
//! So the history is legal iff both segments are, and each is checked without the other. A
//! violation in `B` stands whatever the result for `A`. Where everything before a segment is legal,
//! a completion leaves the history without an order iff it leaves the segment without one, so both
//! accuse the same operation.
//!
//! An operation of unknown outcome may take effect at any later time, in either segment but not in
//! both. It ties the segments together, so there is no split after the first one. Without pauses
//! there is no split either. A short history is not split, because its search ends sooner than
//! another would start.

use super::partition::ObjectOp;
use crate::history::Value;
use crate::model::Model;

/// The fewest operations of a segment, except the last.
pub(super) const MIN_SEGMENT_OPS: usize = 1024;

/// A part of a history between two splits.
#[derive(Clone)]
pub(super) struct Segment<'a> {
    /// The position of its first operation.
    pub(super) from: usize,
    pub(super) ops: &'a [ObjectOp<'a>],
    /// The state it begins in; `None` for the first segment, which begins where the history does.
    pub(super) state: Option<Value>,
}

impl Segment<'_> {
    /// Whether it is the first. A history that was not split is one such segment.
    pub(super) fn is_first(&self) -> bool {
        self.state.is_none()
    }

    /// The states it may begin in, given those of the history.
    pub(super) fn initial<'i>(&'i self, of_history: &'i [Value]) -> &'i [Value] {
        self.state.as_ref().map_or(of_history, std::slice::from_ref)
    }
}

/// The segments of an object's history, in order, each but the last with at least `min_ops`
/// operations; a single one if there is nowhere to split. `shaped` says whether the model's static
/// facts hold.
pub(super) fn split_at_rest<'a>(
    model: &dyn Model,
    ops: &'a [ObjectOp<'a>],
    min_ops: usize,
    shaped: impl FnOnce() -> bool,
) -> Vec<Segment<'a>> {
    let mut segments = vec![Segment { from: 0, ops, state: None }];
    if ops.len() < 2 * min_ops || !shaped() {
        return segments;
    }
    for (from, state) in segment_starts(model, ops, min_ops) {
        let last = segments.last_mut().expect("there is a first");
        let (before, after) = last.ops.split_at(from - last.from);
        last.ops = before;
        segments.push(Segment { from, ops: after, state: Some(state) });
    }
    segments
}

/// The positions where segments of at least `min_ops` operations can begin, and their states.
fn segment_starts(model: &dyn Model, ops: &[ObjectOp<'_>], min_ops: usize) -> Vec<(usize, Value)> {
    let mut starts = Vec::new();
    let (mut from, mut over_by) = (0, 0);
    for (place, pair) in ops.windows(2).enumerate() {
        let [op, next] = pair else { continue };
        let Some(end) = op.completed else { break };
        let alone = over_by <= op.invoked && end < next.invoked;
        if alone
            && place + 1 - from >= min_ops
            && let Some(state) = model.determines_state(&op.call)
        {
            from = place + 1;
            starts.push((from, state));
        }
        over_by = over_by.max(end);
    }
    starts
}
