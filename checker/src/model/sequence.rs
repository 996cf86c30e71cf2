//! Specifies what is put in at one end and taken out at one end: a queue or a stack.
//!
//! Taking from nothing is an observation, written as a result of nil or as a mismatch. Nil itself
//! cannot be put in, so that the two are never confused.

use super::call::{Call, Seen, known};
use super::list_state::{items, listed};
use super::specification::Model;
use crate::history::Value;

/// A sequence with its functions and the end that is taken from.
pub(super) struct Sequence {
    pub(super) name: &'static str,
    pub(super) doc: &'static str,
    pub(super) put: &'static str,
    pub(super) take: &'static str,
    pub(super) youngest_first: bool,
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

    fn begins(&self, given: &Value) -> Result<Value, String> {
        listed(self.name, given).map(|_| given.clone())
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        understands(self.name, call, self.put, self.take)
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == self.take && found_nothing(&call.seen)
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let mut held = items(state).to_vec();
        if call.f == self.put {
            held.push(call.input.clone());
            return Ok(Value::from(held));
        }
        let next = if self.youngest_first { held.len().checked_sub(1) } else { Some(0) };
        let next = next.filter(|place| *place < held.len()).map(|place| held.remove(place));
        match (&call.seen, next) {
            (Seen::Output(output), Some(next)) if *output == next => Ok(Value::from(held)),
            (Seen::Nothing, _) => Ok(Value::from(held)),
            (seen, None) if found_nothing(seen) => Ok(Value::from(held)),
            (Seen::Mismatch | Seen::Output(Value::Nil), Some(next)) => {
                Err(format!("it found nothing, but {next} was next"))
            }
            (Seen::Output(output), Some(next)) => {
                Err(format!("it got {output}, but {next} was next"))
            }
            (Seen::Output(output), None) => Err(format!("it got {output}, but nothing was there")),
            (Seen::Mismatch, None) => Ok(Value::from(held)),
        }
    }
}

/// Whether a taker was told that nothing was there.
pub(super) fn found_nothing(seen: &Seen) -> bool {
    matches!(seen, Seen::Mismatch | Seen::Output(Value::Nil))
}

/// Refuses what has no meaning for something with these two functions.
pub(super) fn understands(name: &str, call: &Call, put: &str, take: &str) -> Result<(), String> {
    known(name, call, &[take, put], &[take])?;
    if call.f == put && call.input == Value::Nil {
        return Err(format!("nil is how an empty {name} answers, so {put} cannot put it in"));
    }
    Ok(())
}
