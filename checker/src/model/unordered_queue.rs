//! Specifies a queue that may hand out anything it holds. The state is the sorted list of that.

use super::call::{Call, Seen};
use super::list_state::{items, listed};
use super::nondeterministic::Branching;
use super::sequence::{found_nothing, understands};
use crate::history::Value;

/// A bag that things are put into and taken out of.
pub(super) struct UnorderedQueue;

impl Branching for UnorderedQueue {
    fn name(&self) -> &'static str {
        "unordered-queue"
    }

    fn doc(&self) -> &'static str {
        "a bag, empty at first; `dequeue` takes out anything that `enqueue` put in, and returns nil \
         or a mismatch if it is empty"
    }

    fn initial(&self) -> Value {
        Value::List([].into())
    }

    fn begins(&self, given: &Value) -> Result<Value, String> {
        let mut held = listed(self.name(), given)?.to_vec();
        held.sort();
        Ok(Value::from(held))
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        understands(self.name(), call, "enqueue", "dequeue")
    }

    fn steps(&self, state: &Value, call: &Call) -> Result<Vec<Value>, String> {
        let held = items(state);
        if call.f == "enqueue" {
            let mut next = held.to_vec();
            next.push(call.input.clone());
            next.sort();
            return Ok(vec![Value::from(next)]);
        }
        match &call.seen {
            seen if found_nothing(seen) && held.is_empty() => Ok(vec![state.clone()]),
            seen if found_nothing(seen) => Err(format!("it found nothing, but {state} was there")),
            Seen::Output(output) => match held.iter().position(|it| it == output) {
                Some(place) => Ok(vec![without(held, place)]),
                None => Err(format!("it got {output}, but only {state} was there")),
            },
            _ if held.is_empty() => Ok(vec![state.clone()]),
            _ => Ok((0..held.len()).map(|place| without(held, place)).collect()),
        }
    }
}

fn without(held: &[Value], place: usize) -> Value {
    Value::from([&held[..place], &held[place + 1..]].concat())
}
