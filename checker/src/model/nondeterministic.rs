//! Makes a model of one that may go several ways, by keeping every state it could be in.
//!
//! A legal order with some choice at each step exists iff the set of states reached by all choices
//! together never becomes empty. A single state stands for itself; several are `{"any": [...]}`.

use super::call::Call;
use super::specification::Model;
use crate::history::Value;

/// A specification in which a call may leave one of several states behind.
pub trait Branching: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What it is, in a sentence.
    fn doc(&self) -> &'static str;

    /// The state of a fresh copy.
    fn initial(&self) -> Value;

    /// A state that a history says it began in, as the model holds it, or why it is none.
    fn begins(&self, given: &Value) -> Result<Value, String> {
        Ok(given.clone())
    }

    /// Refuses a call that the model has no meaning for.
    fn understands(&self, call: &Call) -> Result<(), String>;

    /// The states that may come after the call, or why it cannot have gone that way in this state.
    fn steps(&self, state: &Value, call: &Call) -> Result<Vec<Value>, String>;
}

/// The model whose state is any of the states that a branching one could be in.
pub struct AnyOf<B>(pub B);

impl<B: Branching> Model for AnyOf<B> {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn doc(&self) -> &'static str {
        self.0.doc()
    }

    fn initial(&self) -> Value {
        self.0.initial()
    }

    fn begins(&self, given: &Value) -> Result<Value, String> {
        let states: Result<Vec<_>, _> =
            possible(given).iter().map(|state| self.0.begins(state)).collect();
        any(states?).ok_or_else(|| "it began in no state at all".to_owned())
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        self.0.understands(call)
    }

    /// Nothing: what is seen rules states out, and so changes what is known.
    fn observes(&self, _call: &Call) -> bool {
        false
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let mut after = Vec::new();
        let mut reasons = Vec::new();
        for state in possible(state) {
            match self.0.steps(state, call) {
                Ok(states) => after.extend(states),
                Err(why) => reasons.push(why),
            }
        }
        any(after).ok_or_else(|| reasons.join("; or "))
    }
}

/// One value for all of these states, if there are any.
fn any(mut states: Vec<Value>) -> Option<Value> {
    states.sort();
    states.dedup();
    match states.len() {
        0 => None,
        1 => states.pop(),
        _ => Some(Value::Map(vec![(ANY.to_owned(), Value::from(states))])),
    }
}

const ANY: &str = "any";

fn possible(state: &Value) -> &[Value] {
    match state {
        Value::Map(entries) => match entries.as_slice() {
            [(name, Value::List(states))] if name == ANY => states,
            _ => std::slice::from_ref(state),
        },
        _ => std::slice::from_ref(state),
    }
}
