//! Specifies a register: a read returns what was written last.

use super::call::{Call, Seen};
use super::specification::{Meets, Model, Shape};
use crate::history::Value;

/// A cell that is read and written.
pub(super) struct Register;

impl Model for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn doc(&self) -> &'static str {
        "a cell, nil at first; `read` returns what the last `write` put there"
    }

    fn initial(&self) -> Value {
        Value::Nil
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        match (call.f.as_str(), &call.seen) {
            ("read" | "write", Seen::Output(_) | Seen::Nothing) => Ok(()),
            (f, Seen::Mismatch) => Err(format!("a {f} expects no state, so it cannot mismatch")),
            (f, _) => Err(format!("a register has no function {f:?}, only read and write")),
        }
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == "read"
    }

    fn shape(&self, call: &Call) -> Shape {
        match (call.f.as_str(), &call.seen) {
            ("write", _) => Shape { meets: Meets::Any, leaves: Some(call.input.clone()) },
            (_, Seen::Output(output)) => Shape { meets: Meets::One(output.clone()), leaves: None },
            _ => Shape::default(),
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        match call.f.as_str() {
            "write" => Ok(call.input.clone()),
            _ => read(state, call),
        }
    }
}

/// A read returns the state; one of unknown result may have returned anything.
pub(super) fn read(state: &Value, call: &Call) -> Result<Value, String> {
    match &call.seen {
        Seen::Output(output) if output != state => {
            let kinds = state.differs_in_kind_from(output);
            let why = if kinds {
                ": one is an integer and one a real number, which are never equal"
            } else {
                ""
            };
            Err(format!("it read {output}, but the register held {state}{why}"))
        }
        _ => Ok(state.clone()),
    }
}
