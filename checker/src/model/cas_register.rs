//! Specifies a register with compare-and-set, in which a failed comparison is a read.

use super::call::{Call, Response};
use super::register::{Register, check_read};
use super::specification::{EnabledIn, Model, StaticFacts};
use crate::history::Value;

/// A register that is read, written, and set if it holds the expected value.
pub(super) struct CasRegister;

impl Model for CasRegister {
    fn name(&self) -> &'static str {
        "cas-register"
    }

    fn doc(&self) -> &'static str {
        "a cell, nil at first, with `read`, `write` and `cas [old new]`, which sets it to \
         new if it holds old"
    }

    fn initial(&self) -> Value {
        Value::Nil
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        match call.f.as_str() {
            "cas" if call.input.as_pair().is_some() => Ok(()),
            "cas" => Err(format!("cas wants [old new], not {}", call.input)),
            "read" | "write" => Register.validate(call),
            f => Err(format!("a cas-register has no function {f:?}, only cas, read and write")),
        }
    }

    fn is_read(&self, call: &Call) -> bool {
        call.f == "read" || call.response == Response::Mismatch
    }

    fn static_facts(&self, call: &Call) -> StaticFacts {
        match (call.f.as_str(), call.input.as_pair(), &call.response) {
            ("cas", _, Response::Mismatch) => StaticFacts::default(),
            ("cas", Some((old, new)), _) => StaticFacts {
                enabled_in: EnabledIn::OneState(old.clone()),
                result: Some(new.clone()),
            },
            _ => Register.static_facts(call),
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        match (call.f.as_str(), call.input.as_pair()) {
            ("cas", Some((old, new))) => apply_cas(state, old, new, &call.response),
            ("write", _) => Ok(call.input.clone()),
            _ => check_read(state, call),
        }
    }
}

/// Compares and sets, or confirms that the comparison failed.
pub(super) fn apply_cas(
    state: &Value,
    old: &Value,
    new: &Value,
    response: &Response,
) -> Result<Value, String> {
    match (response, state == old) {
        (Response::Mismatch, true) => {
            Err(format!("it was told that the register did not hold {old}, but it did"))
        }
        (Response::Mismatch, false) => Ok(state.clone()),
        (_, true) => Ok(new.clone()),
        (_, false) => Err(format!("it expected {old}, but the register held {state}")),
    }
}
