//! Finds an identifier that was returned twice.

use rustc_hash::FxHashMap;

use super::super::op::{Op, abbreviate};
use super::OnlineObject;
use crate::history::Value;

/// The identifiers so far, each with the index of the call that returned it.
#[derive(Default)]
pub(crate) struct OnlineIds {
    given: FxHashMap<Value, u64>,
    held: usize,
}

impl OnlineObject for OnlineIds {
    fn begin(&mut self, _: &Op<'_>) -> Result<(), String> {
        Ok(())
    }

    fn end(&mut self, op: &Op<'_>) -> Result<Option<String>, String> {
        if op.f != "generate" {
            return Err(op.unknown_function("generate"));
        }
        let Some(id) = op.output else { return Ok(None) };
        if *id == Value::Nil {
            return Err(op.invalid_output("expected an identifier, got nil"));
        }
        let Some(first) = self.given.insert(id.clone(), op.begin) else {
            self.held += id.approximate_bytes() + size_of::<u64>();
            return Ok(None);
        };
        let (id, second) = (abbreviate(id), op.describe());
        Ok(Some(format!("identifier {id} was returned at index {first} and again by {second}")))
    }

    fn held_bytes(&self) -> usize {
        self.held
    }
}
