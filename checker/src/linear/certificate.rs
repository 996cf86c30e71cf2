//! Writes the proof of a Yes: an order of each object's operations that anyone can replay.
//!
//! A search leaves out operations that overwrite unseen (rule 2 of [`super::engine`]); here they
//! are put back, each just before an overwriting that happened while it was open.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::model_cache::{CallEffect, ModelCache};
use super::partition::ObjectOp;
use super::plan::{Plan, PlanEvent};
use crate::history::Value;
use crate::model::Model;

/// An order that explains one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Linearization {
    /// The key it is about, if the history is keyed.
    pub key: Option<Value>,
    /// The state that the object started in.
    pub start: Value,
    /// The operations that happened, each by the index of its invocation.
    pub order: Vec<u64>,
}

/// Puts back what the search left out, of the operations that end in these turns. The order tells
/// of each operation in which turn it happened.
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

/// Whether the order is one: every step legal, nothing before what had completed when it began, and
/// nothing missing that completed.
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
