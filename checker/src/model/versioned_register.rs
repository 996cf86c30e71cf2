//! Specifies etcd's register: every change has a number, and each answer may tell it.
//!
//! Values are `[version value]`, as Jepsen's etcd tests write them; a version of nil was not told.
//! The state is the same pair.

use super::call::{Call, Seen, known};
use super::specification::Model;
use crate::history::Value;

/// A cell that counts its changes.
pub(super) struct VersionedRegister;

impl Model for VersionedRegister {
    fn name(&self) -> &'static str {
        "versioned-register"
    }

    fn doc(&self) -> &'static str {
        "a cell, `[0 nil]` at first, with `read`, `write` and `cas [old new]` of `[version value]`; \
         each change adds one to the version that answers tell, or leave nil"
    }

    fn initial(&self) -> Value {
        Value::pair(0, Value::Nil)
    }

    fn begins(&self, given: &Value) -> Result<Value, String> {
        match given.as_pair() {
            Some((Value::Int(0..), _)) => Ok(given.clone()),
            _ => Err(format!("it began with {given}, which is not [version value]")),
        }
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        known(self.name(), call, &["cas", "read", "write"], &["cas"])?;
        let parts = halves(&call.input);
        match (call.f.as_str(), parts) {
            ("cas", Some((_, swap))) if swap.as_pair().is_some() => {}
            ("cas", _) => return Err(format!("cas wants [version [old new]], not {}", call.input)),
            ("write", None) => {
                return Err(format!("write wants [version value], not {}", call.input));
            }
            _ => {}
        }
        match &call.seen {
            Seen::Output(output) if halves(output).is_none() => {
                Err(format!("a {} returns [version value], not {output}", call.f))
            }
            _ => Ok(()),
        }
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == "read" || call.seen == Seen::Mismatch
    }

    fn settles(&self, call: &Call) -> Option<Value> {
        let Seen::Output(output) = &call.seen else { return None };
        let (version @ Value::Int(_), told) = halves(output)? else { return None };
        let held = match (call.f.as_str(), halves(&call.input)?.1) {
            ("write", written) => written,
            ("cas", swap) => swap.as_pair()?.1,
            _ => told,
        };
        Some(Value::pair(version.clone(), held.clone()))
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let Some((Value::Int(version), held)) = state.as_pair() else {
            return Err(format!("{state} is not [version value]"));
        };
        let told = if let Seen::Output(output) = &call.seen { halves(output) } else { None };
        let argument = halves(&call.input).map_or(&Value::Nil, |(_, argument)| argument);
        let next = match (call.f.as_str(), argument.as_pair()) {
            ("write", _) => argument,
            ("cas", Some((old, new))) => match (&call.seen, held == old) {
                (Seen::Mismatch, false) => return Ok(state.clone()),
                (Seen::Mismatch, true) => {
                    return Err(format!(
                        "it was told that the register did not hold {old}, but it did"
                    ));
                }
                (_, false) => {
                    return Err(format!("it expected {old}, but the register held {held}"));
                }
                (_, true) => new,
            },
            _ => return read(state, told),
        };
        let after = version.saturating_add(1);
        match told.map(|(version, _)| version) {
            Some(told) if !agrees(told, &Value::Int(after)) => {
                Err(format!("it was told version {told}, but made version {after}"))
            }
            _ => Ok(Value::pair(after, next.clone())),
        }
    }
}

/// A pair; nil is one of two nils.
fn halves(value: &Value) -> Option<(&Value, &Value)> {
    if *value == Value::Nil { Some((&Value::Nil, &Value::Nil)) } else { value.as_pair() }
}

fn agrees(told: &Value, version: &Value) -> bool {
    *told == Value::Nil || told == version
}

fn read(state: &Value, told: Option<(&Value, &Value)>) -> Result<Value, String> {
    match (told, state.as_pair()) {
        (Some((version, value)), Some((held_version, held)))
            if !agrees(version, held_version) || value != held =>
        {
            Err(format!("it read [{version} {value}], but the register held {state}"))
        }
        _ => Ok(state.clone()),
    }
}
