//! Specifies a register: a read returns what was written last.

use super::call::{Call, Response};
use super::specification::{EnabledIn, Model, StaticFacts};
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

    fn validate(&self, call: &Call) -> Result<(), String> {
        match (call.f.as_str(), &call.response) {
            ("read" | "write", Response::Output(_) | Response::Unknown) => Ok(()),
            (f, Response::Mismatch) => {
                Err(format!("a {f} expects no state, so it cannot mismatch"))
            }
            (f, _) => Err(format!("a register has no function {f:?}, only read and write")),
        }
    }

    fn is_read(&self, call: &Call) -> bool {
        call.f == "read"
    }

    fn static_facts(&self, call: &Call) -> StaticFacts {
        match (call.f.as_str(), &call.response) {
            ("write", _) => {
                StaticFacts { enabled_in: EnabledIn::EveryState, result: Some(call.input.clone()) }
            }
            (_, Response::Output(output)) => {
                StaticFacts { enabled_in: EnabledIn::OneState(output.clone()), result: None }
            }
            _ => StaticFacts::default(),
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        match call.f.as_str() {
            "write" => Ok(call.input.clone()),
            _ => check_read(state, call),
        }
    }
}

/// A read returns the state; a read of unknown outcome may have returned any value.
pub(super) fn check_read(state: &Value, call: &Call) -> Result<Value, String> {
    match &call.response {
        Response::Output(output) if output != state => {
            let kinds = state.differs_only_in_type(output);
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
