//! Specifies queues and stacks: values are put in at one end and taken out at one end.
//!
//! Taking from an empty sequence is a read, recorded as a result of nil or as a mismatch. Nil
//! itself cannot be put in, so that the two are never confused.

use super::call::{Call, Response, check_function};
use super::list_state::{expect_list, list_items};
use super::specification::Model;
use crate::history::Value;

/// A sequence with the names of its functions and the end that is taken from.
pub(super) struct Sequence {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) put: &'static str,
    pub(super) take: &'static str,
    pub(super) lifo: bool,
}

impl Model for Sequence {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn initial(&self) -> Value {
        Value::List([].into())
    }

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        expect_list(self.name, given).map(|_| given.clone())
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        validate_queue_call(self.name, call, self.put, self.take)
    }

    fn is_read(&self, call: &Call) -> bool {
        call.f == self.take && found_nothing(&call.response)
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let mut held = list_items(state).to_vec();
        if call.f == self.put {
            held.push(call.input.clone());
            return Ok(Value::from(held));
        }
        let next = if self.lifo { held.len().checked_sub(1) } else { Some(0) };
        let next = next.filter(|place| *place < held.len()).map(|place| held.remove(place));
        match (&call.response, next) {
            (Response::Output(output), Some(next)) if *output == next => Ok(Value::from(held)),
            (Response::Unknown, _) => Ok(Value::from(held)),
            (response, None) if found_nothing(response) => Ok(Value::from(held)),
            (Response::Mismatch | Response::Output(Value::Nil), Some(next)) => {
                Err(format!("it found nothing, but {next} was next"))
            }
            (Response::Output(output), Some(next)) => {
                Err(format!("it got {output}, but {next} was next"))
            }
            (Response::Output(output), None) => {
                Err(format!("it got {output}, but nothing was there"))
            }
            (Response::Mismatch, None) => Ok(Value::from(held)),
        }
    }
}

/// Whether a take found the sequence empty.
pub(super) fn found_nothing(response: &Response) -> bool {
    matches!(response, Response::Mismatch | Response::Output(Value::Nil))
}

/// Rejects calls that a queue or stack with these two functions does not define.
pub(super) fn validate_queue_call(
    name: &str,
    call: &Call,
    put: &str,
    take: &str,
) -> Result<(), String> {
    check_function(name, call, &[take, put], &[take])?;
    if call.f == put && call.input == Value::Nil {
        return Err(format!("nil is how an empty {name} answers, so {put} cannot put it in"));
    }
    Ok(())
}
