//! Specifies a counter: a read returns the sum of what was added.

use super::call::{Call, Response, check_function};
use super::register::check_read;
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

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        match parse_state(given).map(state_of) {
            Some(state) if state == *given => Ok(state),
            _ => Err(format!("it began with {given}, but a counter holds an integer")),
        }
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        check_function(self.name(), call, &["add", "read"], &[])?;
        match (call.f.as_str(), &call.input, &call.response) {
            ("add", Value::Int(_), _) | ("read", _, Response::Unknown) => Ok(()),
            ("add", input, _) => Err(format!("add wants an integer, not {input}")),
            (_, _, Response::Output(Value::Int(_))) => Ok(()),
            _ => Err("a read of a counter returns an integer".to_owned()),
        }
    }

    fn is_read(&self, call: &Call) -> bool {
        call.f == "read" || call.input == Value::Int(0)
    }

    fn determines_state(&self, call: &Call) -> Option<Value> {
        match (call.f.as_str(), &call.response) {
            ("read", Response::Output(output)) => Some(output.clone()),
            _ => None,
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        match (call.f.as_str(), parse_state(state), &call.input) {
            ("add", Some(held), Value::Int(more)) => Ok(state_of(held + i128::from(*more))),
            ("add", _, _) => Err(format!("the counter held {state}, which is not an integer")),
            _ => check_read(state, call),
        }
    }
}

/// The number that a state holds. A sum outside of 64 bits is kept as text; no read returns it.
fn parse_state(state: &Value) -> Option<i128> {
    match state {
        Value::Int(number) => Some(i128::from(*number)),
        Value::Str(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn state_of(number: i128) -> Value {
    i64::try_from(number).map_or_else(|_| Value::from(number.to_string()), Value::Int)
}
