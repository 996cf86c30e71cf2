//! Specifies a semaphore, in which a refusal is a read. The state is the number of free permits.

use super::call::{Call, Response, check_function};
use super::specification::Model;
use crate::history::Value;

/// Permits that are acquired and released.
pub(super) struct Semaphore;

impl Model for Semaphore {
    fn name(&self) -> &'static str {
        "semaphore"
    }

    fn doc(&self) -> &'static str {
        "permits, one at first unless the history says how many; `acquire` takes some (nil: one) \
         if as many are free, `release` gives some back; a mismatch is a refusal"
    }

    fn initial(&self) -> Value {
        Value::Int(1)
    }

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        match given {
            Value::Int(0..) => Ok(given.clone()),
            _ => Err(format!("it began with {given}, but a semaphore holds a number of permits")),
        }
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        check_function(self.name(), call, &["acquire", "release"], &["acquire"])?;
        match permits_of(&call.input) {
            Some(_) => Ok(()),
            None => Err(format!("{} wants a positive number or nil, not {}", call.f, call.input)),
        }
    }

    fn is_read(&self, call: &Call) -> bool {
        call.response == Response::Mismatch
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let (Value::Int(free), Some(wanted)) = (state, permits_of(&call.input)) else {
            return Err(format!("{state} is not a number of permits"));
        };
        if call.f == "release" {
            let sum = free.checked_add(wanted).map(Value::Int);
            return sum.ok_or_else(|| "there cannot be that many permits".to_owned());
        }
        match (&call.response, free.saturating_sub(wanted)) {
            (Response::Mismatch, 0..) => Err(format!("it was refused, but {free} were free")),
            (Response::Mismatch, _) => Ok(state.clone()),
            (_, left @ 0..) => Ok(Value::Int(left)),
            _ => Err(format!("it was granted {wanted}, but only {free} were free")),
        }
    }
}

fn permits_of(input: &Value) -> Option<i64> {
    match input {
        Value::Nil => Some(1),
        Value::Int(count) if *count > 0 => Some(*count),
        _ => None,
    }
}
