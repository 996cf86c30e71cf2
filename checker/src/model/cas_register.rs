//! Specifies a register with compare-and-set, in which a failed comparison is an observation.

use super::call::{Call, Seen};
use super::register::{Register, read};
use super::specification::{Meets, Model, Shape};
use crate::history::Value;

/// A cell that is read, written, and set if it holds what was expected.
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

    fn understands(&self, call: &Call) -> Result<(), String> {
        match call.f.as_str() {
            "cas" if call.input.as_pair().is_some() => Ok(()),
            "cas" => Err(format!("cas wants [old new], not {}", call.input)),
            "read" | "write" => Register.understands(call),
            f => Err(format!("a cas-register has no function {f:?}, only cas, read and write")),
        }
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == "read" || call.seen == Seen::Mismatch
    }

    fn shape(&self, call: &Call) -> Shape {
        match (call.f.as_str(), call.input.as_pair(), &call.seen) {
            ("cas", _, Seen::Mismatch) => Shape::default(),
            ("cas", Some((old, new)), _) => {
                Shape { meets: Meets::One(old.clone()), leaves: Some(new.clone()) }
            }
            _ => Register.shape(call),
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        match (call.f.as_str(), call.input.as_pair()) {
            ("cas", Some((old, new))) => cas(state, old, new, &call.seen),
            ("write", _) => Ok(call.input.clone()),
            _ => read(state, call),
        }
    }
}

/// Compares and sets, or confirms that the comparison failed.
pub(super) fn cas(state: &Value, old: &Value, new: &Value, seen: &Seen) -> Result<Value, String> {
    match (seen, state == old) {
        (Seen::Mismatch, true) => {
            Err(format!("it was told that the register did not hold {old}, but it did"))
        }
        (Seen::Mismatch, false) => Ok(state.clone()),
        (_, true) => Ok(new.clone()),
        (_, false) => Err(format!("it expected {old}, but the register held {state}")),
    }
}
