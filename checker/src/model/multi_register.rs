//! Specifies several registers that are read and written together.
//!
//! The argument of a `txn` is a list of `[read key nil]` and `[write key value]` (or `r` and `w`),
//! which take effect in that order at one instant. The result is the same list with the reads
//! filled in. The state is that of a kv.

use super::call::{Call, Response, check_function};
use super::kv::{parse_map, set_value, value_at};
use super::list_state::list_items;
use super::specification::Model;
use crate::history::Value;

/// Registers that one operation reads and writes together.
pub(super) struct MultiRegister;

impl Model for MultiRegister {
    fn name(&self) -> &'static str {
        "multi-register"
    }

    fn doc(&self) -> &'static str {
        "cells, nil at first, of which a `txn` reads and writes several at one moment: a list of \
         `[read key value]` and `[write key value]`"
    }

    fn initial(&self) -> Value {
        Value::List([].into())
    }

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        parse_map(self.name(), given)
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        check_function(self.name(), call, &["txn"], &[])?;
        let asked = parse_micro_ops(&call.input)?;
        let Response::Output(output) = &call.response else { return Ok(()) };
        let told = parse_micro_ops(output)?;
        let alike = |(asked, told): (&RegisterMicroOp<'_>, &RegisterMicroOp<'_>)| {
            asked.writes == told.writes
                && asked.key == told.key
                && (asked.value == told.value || !asked.writes)
        };
        if asked.len() == told.len() && asked.iter().zip(&told).all(alike) {
            Ok(())
        } else {
            Err(format!("it asked for {} and was answered {output}", call.input))
        }
    }

    fn is_read(&self, call: &Call) -> bool {
        parse_micro_ops(&call.input).is_ok_and(|parts| parts.iter().all(|part| !part.writes))
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let (parts, known) = match &call.response {
            Response::Output(output) => (parse_micro_ops(output)?, true),
            Response::Mismatch | Response::Unknown => (parse_micro_ops(&call.input)?, false),
        };
        let mut state = state.clone();
        for part in parts {
            let holds = value_at(&state, part.key);
            if part.writes {
                state = set_value(&state, part.key, part.value.clone());
            } else if known && part.value != holds {
                let RegisterMicroOp { key, value, .. } = part;
                return Err(format!("it read {value} of {key}, which held {holds}"));
            }
        }
        Ok(state)
    }
}

struct RegisterMicroOp<'a> {
    writes: bool,
    key: &'a Value,
    value: &'a Value,
}

fn parse_micro_ops(value: &Value) -> Result<Vec<RegisterMicroOp<'_>>, String> {
    let part = |part| match list_items(part) {
        [Value::Str(f), key, value] if matches!(f.as_str(), "r" | "read" | "w" | "write") => {
            Ok(RegisterMicroOp { writes: f.starts_with('w'), key, value })
        }
        _ => Err(format!("{part} is neither [read key value] nor [write key value]")),
    };
    match value {
        Value::List(parts) => parts.iter().map(part).collect(),
        _ => Err(format!("a txn is a list, not {value}")),
    }
}
