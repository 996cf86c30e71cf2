//! Specifies a set. The state is the sorted list of what it holds.

use super::call::{Call, Seen, known};
use super::list_state::{items, listed};
use super::specification::Model;
use crate::history::Value;

/// A set that is added to, removed from, asked and read whole.
pub(super) struct Set;

impl Model for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn doc(&self) -> &'static str {
        "a set, empty at first; `add` and `remove` an element (a mismatch: it was, was not there), \
         `contains` says whether it is there, `read` returns all in any order"
    }

    fn initial(&self) -> Value {
        Value::List([].into())
    }

    fn begins(&self, given: &Value) -> Result<Value, String> {
        listed(self.name(), given)?;
        let mut held = sorted(given);
        held.dedup();
        Ok(Value::from(held))
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        known(self.name(), call, &["add", "contains", "read", "remove"], &["add", "remove"])?;
        match (call.f.as_str(), &call.seen) {
            ("contains", Seen::Output(output)) if !matches!(output, Value::Bool(_)) => {
                Err(format!("contains returns true or false, not {output}"))
            }
            ("read", Seen::Output(output)) if !matches!(output, Value::List(_) | Value::Nil) => {
                Err(format!("a read of a set returns a list, not {output}"))
            }
            _ => Ok(()),
        }
    }

    fn observes(&self, call: &Call) -> bool {
        matches!(call.f.as_str(), "contains" | "read") || call.seen == Seen::Mismatch
    }

    fn settles(&self, call: &Call) -> Option<Value> {
        match (call.f.as_str(), &call.seen) {
            ("read", Seen::Output(output @ Value::List(_))) => Some(Value::from(sorted(output))),
            _ => None,
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let mut held = items(state).to_vec();
        if call.f == "read" {
            return read(state, &call.seen);
        }
        let place = held.binary_search(&call.input);
        match (call.f.as_str(), &call.seen, place) {
            ("contains", Seen::Output(said), _) if *said != Value::Bool(place.is_ok()) => {
                return Err(format!(
                    "it was told {said} of {}, but the set held {state}",
                    call.input
                ));
            }
            ("add", Seen::Mismatch, Err(_)) | ("remove", Seen::Mismatch, Ok(_)) => {
                return Err(format!(
                    "{} {} was refused, but the set held {state}",
                    call.f, call.input
                ));
            }
            ("add", _, Err(place)) => held.insert(place, call.input.clone()),
            ("remove", _, Ok(place)) => drop(held.remove(place)),
            _ => {}
        }
        Ok(Value::from(held))
    }
}

/// What a list of elements holds, as states do.
fn sorted(list: &Value) -> Vec<Value> {
    let mut elements = items(list).to_vec();
    elements.sort();
    elements
}

fn read(state: &Value, seen: &Seen) -> Result<Value, String> {
    let Seen::Output(output) = seen else { return Ok(state.clone()) };
    if sorted(output) == items(state) {
        Ok(state.clone())
    } else {
        Err(format!("it read {output}, but the set held {state}"))
    }
}
