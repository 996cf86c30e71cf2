//! Specifies a queue that may return any of its elements. The state is the sorted list of them.

use super::call::{Call, Response};
use super::list_state::{expect_list, list_items};
use super::nondeterministic::NondeterministicModel;
use super::sequence::{found_nothing, validate_queue_call};
use crate::history::Value;

/// A bag of elements.
pub(super) struct UnorderedQueue;

impl NondeterministicModel for UnorderedQueue {
    fn name(&self) -> &'static str {
        "unordered-queue"
    }

    fn doc(&self) -> &'static str {
        "a bag, empty at first; `dequeue` takes out anything that `enqueue` put in, and returns \
         nil or a mismatch if it is empty"
    }

    fn initial(&self) -> Value {
        Value::List([].into())
    }

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        let mut held = expect_list(self.name(), given)?.to_vec();
        held.sort();
        Ok(Value::from(held))
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        validate_queue_call(self.name(), call, "enqueue", "dequeue")
    }

    fn steps(&self, state: &Value, call: &Call) -> Result<Vec<Value>, String> {
        let held = list_items(state);
        if call.f == "enqueue" {
            let mut next = held.to_vec();
            next.push(call.input.clone());
            next.sort();
            return Ok(vec![Value::from(next)]);
        }
        match &call.response {
            response if found_nothing(response) && held.is_empty() => Ok(vec![state.clone()]),
            response if found_nothing(response) => {
                Err(format!("it found nothing, but {state} was there"))
            }
            Response::Output(output) => match held.iter().position(|it| it == output) {
                Some(place) => Ok(vec![remove_at(held, place)]),
                None => Err(format!("it got {output}, but only {state} was there")),
            },
            _ if held.is_empty() => Ok(vec![state.clone()]),
            _ => Ok((0..held.len()).map(|place| remove_at(held, place)).collect()),
        }
    }
}

fn remove_at(held: &[Value], place: usize) -> Value {
    Value::from([&held[..place], &held[place + 1..]].concat())
}
