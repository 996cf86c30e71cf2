//! Decides linearizability by trying every order of every subset that the outcomes permit. For
//! small histories only.

use super::partition::{ObjectOp, partition};
use crate::history::{History, Value};
use crate::model::Model;
use crate::verdict::Keyed;

/// Whether some order explains each object.
pub(super) fn linearizable(history: &History, model: &dyn Model) -> bool {
    let objects = partition(history, model, Keyed::Auto).expect("the history suits the model");
    let initial =
        super::case::parse_initial_states(history.initial(), model).expect("it begins in a state");
    objects.iter().all(|object| {
        let left: Vec<&ObjectOp<'_>> = object.ops.iter().collect();
        initial.iter().any(|state| explains(model, state, &left))
    })
}

/// Whether the rest can follow: an operation may come next if no remaining operation completed
/// before its invocation.
pub(super) fn explains(model: &dyn Model, state: &Value, left: &[&ObjectOp<'_>]) -> bool {
    let owed = |op: &&ObjectOp<'_>| op.completed.is_some();
    if !left.iter().any(owed) {
        return true;
    }
    (0..left.len()).any(|next| {
        let op = left[next];
        let may_be_next =
            left.iter().all(|other| other.completed.is_none_or(|end| end > op.invoked));
        let mut rest = left.to_vec();
        rest.remove(next);
        may_be_next && model.step(state, &op.call).is_ok_and(|after| explains(model, &after, &rest))
    })
}
