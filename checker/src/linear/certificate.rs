//! Builds the proof that a history is linearizable: an order of each object's operations that can
//! be replayed.
//!
//! A search leaves out overwrites that are never observed (rule 2 of [`super::engine`]). Here they
//! are put back, each just before an overwrite that happened while it was open.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::model_cache::{CallEffect, ModelCache};
use super::partition::ObjectOp;
use super::plan::{Plan, PlanEvent};
use crate::history::Value;
use crate::model::Model;

/// A linear order of one object's operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Linearization {
    /// The key of the object, if the history is keyed.
    pub key: Option<Value>,
    /// The initial state.
    pub start: Value,
    /// The operations that took effect, each by the index of its invocation.
    pub order: Vec<u64>,
}

/// Puts back the operations that the search left out, among those that return in these events. The
/// order has each operation with the event at which it took effect.
pub(super) fn complete(
    (plan, cache): (&Plan<'_>, &ModelCache<'_>),
    events: &[PlanEvent],
    order: &[(usize, usize)],
) -> Vec<usize> {
    let mut placed = vec![false; plan.ops.len()];
    order.iter().for_each(|(op, _)| placed[*op] = true);
    let mut begins = vec![0; plan.ops.len()];
    let mut unseen: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let overwrites =
        |op: usize| cache.calls()[plan.calls[op] as usize].effect == CallEffect::Overwrites;
    for (event, it) in events.iter().enumerate() {
        match *it {
            PlanEvent::Invoke(op) => begins[op] = event,
            PlanEvent::Return(op) if placed[op] => {}
            PlanEvent::Return(op) => {
                let since = order.partition_point(|(_, at)| *at <= begins[op]);
                let next = order[since..].iter().position(|(other, _)| overwrites(*other));
                unseen.entry(next.map_or(order.len(), |next| since + next)).or_default().push(op);
            }
        }
    }
    let mut whole = Vec::with_capacity(order.len());
    for place in 0..=order.len() {
        whole.extend(unseen.remove(&place).unwrap_or_default());
        whole.extend(order.get(place).map(|(op, _)| *op));
    }
    whole
}

/// Whether the order is a proof: every step is legal, the order respects real time, and every
/// completed operation is in it.
pub(super) fn replays(
    model: &dyn Model,
    start: &Value,
    ops: &[ObjectOp<'_>],
    order: &[u64],
) -> bool {
    let by_index: BTreeMap<u64, &ObjectOp<'_>> = ops.iter().map(|op| (op.invoked, op)).collect();
    let (mut state, mut begun, mut done) = (start.clone(), 0, BTreeSet::new());
    for index in order {
        let Some(op) = by_index.get(index) else { return false };
        let Ok(next) = model.step(&state, &op.call) else { return false };
        if op.completed.is_some_and(|end| end < begun) || !done.insert(*index) {
            return false;
        }
        (state, begun) = (next, begun.max(*index));
    }
    ops.iter().all(|op| op.completed.is_none() || done.contains(&op.invoked))
}
