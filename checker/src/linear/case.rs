//! Defines what is checked: a model, its initial states, and a budget.

use super::engine::Budget;
use crate::history::Value;
use crate::model::Model;
use crate::verdict::Limits;

/// What a verdict is about.
pub(super) struct CheckCase<'a> {
    pub(super) model: &'a dyn Model,
    pub(super) initial: &'a [Value],
    pub(super) limits: &'a Limits<'a>,
    /// The budget of a proof of a violation.
    pub(super) budget: Budget<'a>,
}

/// The initial states of a history, in the form of the model.
pub(super) fn parse_initial_states(
    states: Option<&[Value]>,
    model: &dyn Model,
) -> Result<Vec<Value>, String> {
    match states {
        Some(states) => states.iter().map(|state| model.parse_initial(state)).collect(),
        None => Ok(vec![model.initial()]),
    }
}
