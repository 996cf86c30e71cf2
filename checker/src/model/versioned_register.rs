//! Specifies etcd's register: every change has a version number, which responses may carry.
//!
//! Values are `[version value]`, as in Jepsen's etcd tests; a version of nil means that the
//! response did not carry it. The state is the same pair.

use super::call::{Call, Response, check_function};
use super::specification::Model;
use crate::history::Value;

/// A register that counts its changes.
pub(super) struct VersionedRegister;

impl Model for VersionedRegister {
    fn name(&self) -> &'static str {
        "versioned-register"
    }

    fn doc(&self) -> &'static str {
        "a cell, `[0 nil]` at first, with `read`, `write` and `cas [old new]` of `[version \
         value]`; each change adds one to the version that answers tell, or leave nil"
    }

    fn initial(&self) -> Value {
        Value::pair(0, Value::Nil)
    }

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        match given.as_pair() {
            Some((Value::Int(0..), _)) => Ok(given.clone()),
            _ => Err(format!("it began with {given}, which is not [version value]")),
        }
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        check_function(self.name(), call, &["cas", "read", "write"], &["cas"])?;
        let parts = split_pair(&call.input);
        match (call.f.as_str(), parts) {
            ("cas", Some((_, swap))) if swap.as_pair().is_some() => {}
            ("cas", _) => return Err(format!("cas wants [version [old new]], not {}", call.input)),
            ("write", None) => {
                return Err(format!("write wants [version value], not {}", call.input));
            }
            _ => {}
        }
        match &call.response {
            Response::Output(output) if split_pair(output).is_none() => {
                Err(format!("a {} returns [version value], not {output}", call.f))
            }
            _ => Ok(()),
        }
    }

    fn is_read(&self, call: &Call) -> bool {
        call.f == "read" || call.response == Response::Mismatch
    }

    fn determines_state(&self, call: &Call) -> Option<Value> {
        let Response::Output(output) = &call.response else { return None };
        let (version @ Value::Int(_), told) = split_pair(output)? else { return None };
        let held = match (call.f.as_str(), split_pair(&call.input)?.1) {
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
        let told =
            if let Response::Output(output) = &call.response { split_pair(output) } else { None };
        let argument = split_pair(&call.input).map_or(&Value::Nil, |(_, argument)| argument);
        let next = match (call.f.as_str(), argument.as_pair()) {
            ("write", _) => argument,
            ("cas", Some((old, new))) => match (&call.response, held == old) {
                (Response::Mismatch, false) => return Ok(state.clone()),
                (Response::Mismatch, true) => {
                    return Err(format!(
                        "it was told that the register did not hold {old}, but it did"
                    ));
                }
                (_, false) => {
                    return Err(format!("it expected {old}, but the register held {held}"));
                }
                (_, true) => new,
            },
            _ => return check_read(state, told),
        };
        let after = version.saturating_add(1);
        match told.map(|(version, _)| version) {
            Some(told) if !version_agrees(told, &Value::Int(after)) => {
                Err(format!("it was told version {told}, but made version {after}"))
            }
            _ => Ok(Value::pair(after, next.clone())),
        }
    }
}

/// The two halves of a pair; nil stands for a pair of nils.
fn split_pair(value: &Value) -> Option<(&Value, &Value)> {
    if *value == Value::Nil { Some((&Value::Nil, &Value::Nil)) } else { value.as_pair() }
}

fn version_agrees(told: &Value, version: &Value) -> bool {
    *told == Value::Nil || told == version
}

fn check_read(state: &Value, told: Option<(&Value, &Value)>) -> Result<Value, String> {
    match (told, state.as_pair()) {
        (Some((version, value)), Some((held_version, held)))
            if !version_agrees(version, held_version) || value != held =>
        {
            Err(format!("it read [{version} {value}], but the register held {state}"))
        }
        _ => Ok(state.clone()),
    }
}
