//! Cuts a long history in time, where nothing is open and the state is known for certain, into pieces that can be
//! judged apart: in parallel, each with a search, and a memory, of its own size.
//!
//! An operation is *alone* if everything that began before it was over when it began, and it was over before
//! anything else began. If such an operation leaves but one state possible ([`Model::determines_state`]: a write does, and so
//! does a read of a known value), that is the state when the next operation begins, in every legal order and whatever
//! was before. Let `A` be the operations up to there and `B` the rest. If no operation of unknown outcome
//! is in `A`:
//!
//! - a legal order of `A` followed by a legal order of `B` from that state is a legal order of both, for all of `A`
//!   was over when `B` began, and it ends in that state;
//! - a legal order of both puts all of `A` first, for the same reason; it passes the cut in that state, so it is a
//!   legal order of `A` followed by one of `B` from there.
//!
//! So the history is legal iff both pieces are, and each says so without the other. What is illegal in `B` is so
//! whatever becomes of `A`; and where all before a piece is legal, a completion leaves the history without an order
//! iff it leaves the piece without one, so both accuse the same operation.
//!
//! An operation of unknown outcome may happen at any later time, in one piece or the other but not in both; it ties
//! the pieces together, so nothing is cut after the first. Nor is anything where clients never pause. Then the
//! history is one piece, as it is if it is short: there a search ends sooner than it would pay to begin another.

use super::partition::ObjectOp;
use crate::history::Value;
use crate::model::Model;

/// The fewest operations of a piece, but for the last.
pub(super) const MIN_SEGMENT_OPS: usize = 1024;

/// A stretch of a history between two cuts.
#[derive(Clone)]
pub(super) struct Segment<'a> {
    /// The place of its first operation.
    pub(super) from: usize,
    pub(super) ops: &'a [ObjectOp<'a>],
    /// The state it begins in; none, of the first one: that begins where the history does.
    pub(super) state: Option<Value>,
}

impl Segment<'_> {
    /// Whether nothing is known to have come before it: of a history that was not cut it is all.
    pub(super) fn is_first(&self) -> bool {
        self.state.is_none()
    }

    /// The states it may begin in, those of the history being known.
    pub(super) fn initial<'i>(&'i self, of_history: &'i [Value]) -> &'i [Value] {
        self.state.as_ref().map_or(of_history, std::slice::from_ref)
    }
}

/// The pieces of an object's history, in order, each but the last of at least so many operations; one, if there is
/// nowhere to cut. `shaped` says whether the model's shapes hold for it.
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

/// Where pieces of at least so many operations can begin, and in which state.
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
