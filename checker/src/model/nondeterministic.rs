//! Makes a deterministic model of a nondeterministic one by the power-set construction, as
//! Porcupine does.
//!
//! A legal order with some choice at each step exists iff the set of states reached by all choices
//! together never becomes empty. A single state is kept as it is; several are `{"any": [...]}`.

use super::call::Call;
use super::specification::Model;
use crate::history::Value;

/// A specification in which a call may lead to one of several states.
pub trait NondeterministicModel: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What it specifies, in one sentence.
    fn doc(&self) -> &'static str;

    /// The state of a fresh copy.
    fn initial(&self) -> Value;

    /// Converts an initial state from a history to the form of the model, or says why it is
    /// invalid.
    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        Ok(given.clone())
    }

    /// Rejects a call that the model does not define.
    fn validate(&self, call: &Call) -> Result<(), String>;

    /// The states that may follow the call, or why it is impossible in this state.
    fn steps(&self, state: &Value, call: &Call) -> Result<Vec<Value>, String>;
}

/// The model whose state is the set of states that a nondeterministic model may be in.
pub struct PowersetModel<B>(pub B);

impl<B: NondeterministicModel> Model for PowersetModel<B> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn doc(&self) -> &'static str {
        self.0.doc()
    }

    fn initial(&self) -> Value {
        self.0.initial()
    }

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        let states: Result<Vec<_>, _> =
            possible_states(given).iter().map(|state| self.0.parse_initial(state)).collect();
        combine_states(states?).ok_or_else(|| "it began in no state at all".to_owned())
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        self.0.validate(call)
    }

    /// Never: what a call returns rules out states, and so changes the set.
    fn is_read(&self, _call: &Call) -> bool {
        false
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let mut after = Vec::new();
        let mut reasons = Vec::new();
        for state in possible_states(state) {
            match self.0.steps(state, call) {
                Ok(states) => after.extend(states),
                Err(why) => reasons.push(why),
            }
        }
        combine_states(after).ok_or_else(|| reasons.join("; or "))
    }
}

/// Combines states into one value; `None` if there are none.
fn combine_states(mut states: Vec<Value>) -> Option<Value> {
    states.sort();
    states.dedup();
    match states.len() {
        0 => None,
        1 => states.pop(),
        _ => Some(Value::Map(vec![(ANY.to_owned(), Value::from(states))])),
    }
}

const ANY: &str = "any";

fn possible_states(state: &Value) -> &[Value] {
    match state {
        Value::Map(entries) => match entries.as_slice() {
            [(name, Value::List(states))] if name == ANY => states,
            _ => std::slice::from_ref(state),
        },
        _ => std::slice::from_ref(state),
    }
}
