//! Finds an echo that differs from its input.

use super::super::op::{Op, abbreviate};
use super::OnlineObject;

/// Nothing needs to be remembered.
#[derive(Default)]
pub(crate) struct OnlineEcho;

impl OnlineObject for OnlineEcho {
    fn begin(&mut self, _: &Op<'_>) -> Result<(), String> {
        Ok(())
    }

    fn end(&mut self, op: &Op<'_>) -> Result<Option<String>, String> {
        if op.f != "echo" {
            return Err(op.unknown_function("echo"));
        }
        let altered = op.output.filter(|output| *output != op.input);
        Ok(altered.map(|output| format!("{} returned {}", op.describe(), abbreviate(output))))
    }

    fn held_bytes(&self) -> usize {
        0
    }
}
