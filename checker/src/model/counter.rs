//! Specifies a counter: a read returns the sum of what was added.

use super::call::{Call, Seen, known};
use super::register::read;
use super::specification::Model;
use crate::history::Value;

/// A number that is added to and read.
pub(super) struct Counter;

impl Model for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn doc(&self) -> &'static str {
        "a number, 0 at first; `add` adds to it, a negative number too, and `read` returns it"
    }

    fn initial(&self) -> Value {
        Value::Int(0)
    }

    fn begins(&self, given: &Value) -> Result<Value, String> {
        match held(given).map(holding) {
            Some(state) if state == *given => Ok(state),
            _ => Err(format!("it began with {given}, but a counter holds an integer")),
        }
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        known(self.name(), call, &["add", "read"], &[])?;
        match (call.f.as_str(), &call.input, &call.seen) {
            ("add", Value::Int(_), _) | ("read", _, Seen::Nothing) => Ok(()),
            ("add", input, _) => Err(format!("add wants an integer, not {input}")),
            (_, _, Seen::Output(Value::Int(_))) => Ok(()),
            _ => Err("a read of a counter returns an integer".to_owned()),
        }
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == "read" || call.input == Value::Int(0)
    }

    fn settles(&self, call: &Call) -> Option<Value> {
        match (call.f.as_str(), &call.seen) {
            ("read", Seen::Output(output)) => Some(output.clone()),
            _ => None,
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        match (call.f.as_str(), held(state), &call.input) {
            ("add", Some(held), Value::Int(more)) => Ok(holding(held + i128::from(*more))),
            ("add", _, _) => Err(format!("the counter held {state}, which is no integer")),
            _ => read(state, call),
        }
    }
}

/// The number of a state: an integer, or the text of one that does not fit 64 bits, which no read returns.
fn held(state: &Value) -> Option<i128> {
    match state {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Str(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn holding(number: i128) -> Value {
    i64::try_from(number).map_or_else(|_| Value::from(number.to_string()), Value::Int)
}
