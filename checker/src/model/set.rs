//! Specifies a set. The state is the sorted list of its elements.

use super::call::{Call, Response, check_function};
use super::list_state::{expect_list, list_items};
use super::specification::Model;
use crate::history::Value;

/// A set with add, remove, contains and a read of all elements.
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

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        expect_list(self.name(), given)?;
        let mut held = sort_elements(given);
        held.dedup();
        Ok(Value::from(held))
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        check_function(
            self.name(),
            call,
            &["add", "contains", "read", "remove"],
            &["add", "remove"],
        )?;
        match (call.f.as_str(), &call.response) {
            ("contains", Response::Output(output)) if !matches!(output, Value::Bool(_)) => {
                Err(format!("contains returns true or false, not {output}"))
            }
            ("read", Response::Output(output))
                if !matches!(output, Value::List(_) | Value::Nil) =>
            {
                Err(format!("a read of a set returns a list, not {output}"))
            }
            _ => Ok(()),
        }
    }

    fn is_read(&self, call: &Call) -> bool {
        matches!(call.f.as_str(), "contains" | "read") || call.response == Response::Mismatch
    }

    fn determines_state(&self, call: &Call) -> Option<Value> {
        match (call.f.as_str(), &call.response) {
            ("read", Response::Output(output @ Value::List(_))) => {
                Some(Value::from(sort_elements(output)))
            }
            _ => None,
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let mut held = list_items(state).to_vec();
        if call.f == "read" {
            return check_read(state, &call.response);
        }
        let place = held.binary_search(&call.input);
        match (call.f.as_str(), &call.response, place) {
            ("contains", Response::Output(said), _) if *said != Value::Bool(place.is_ok()) => {
                return Err(format!(
                    "it was told {said} of {}, but the set held {state}",
                    call.input
                ));
            }
            ("add", Response::Mismatch, Err(_)) | ("remove", Response::Mismatch, Ok(_)) => {
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

/// The elements of a list, sorted as in a state.
fn sort_elements(list: &Value) -> Vec<Value> {
    let mut elements = list_items(list).to_vec();
    elements.sort();
    elements
}

fn check_read(state: &Value, response: &Response) -> Result<Value, String> {
    let Response::Output(output) = response else { return Ok(state.clone()) };
    if sort_elements(output) == list_items(state) {
        Ok(state.clone())
    } else {
        Err(format!("it read {output}, but the set held {state}"))
    }
}
