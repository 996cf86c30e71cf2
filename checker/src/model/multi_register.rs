//! Specifies several registers that are read and written together.
//!
//! The argument of a `txn` is a list of `[read key nil]` and `[write key value]` (or `r` and `w`),
//! done in that order at one moment; the result is the same list with the reads filled in. The state
//! is that of a kv.

use super::call::{Call, Seen, known};
use super::kv::{held, map, with};
use super::list_state::items;
use super::specification::Model;
use crate::history::Value;

/// Registers under one roof.
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

    fn begins(&self, given: &Value) -> Result<Value, String> {
        map(self.name(), given)
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        known(self.name(), call, &["txn"], &[])?;
        let asked = parse(&call.input)?;
        let Seen::Output(output) = &call.seen else { return Ok(()) };
        let told = parse(output)?;
        let alike = |(asked, told): (&Part<'_>, &Part<'_>)| {
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

    fn observes(&self, call: &Call) -> bool {
        parse(&call.input).is_ok_and(|parts| parts.iter().all(|part| !part.writes))
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let (parts, known) = match &call.seen {
            Seen::Output(output) => (parse(output)?, true),
            Seen::Mismatch | Seen::Nothing => (parse(&call.input)?, false),
        };
        let mut state = state.clone();
        for part in parts {
            let holds = held(&state, part.key);
            if part.writes {
                state = with(&state, part.key, part.value.clone());
            } else if known && part.value != holds {
                let Part { key, value, .. } = part;
                return Err(format!("it read {value} of {key}, which held {holds}"));
            }
        }
        Ok(state)
    }
}

struct Part<'a> {
    writes: bool,
    key: &'a Value,
    value: &'a Value,
}

fn parse(value: &Value) -> Result<Vec<Part<'_>>, String> {
    let part = |part| match items(part) {
        [Value::Str(f), key, value] if matches!(f.as_str(), "r" | "read" | "w" | "write") => {
            Ok(Part { writes: f.starts_with('w'), key, value })
        }
        _ => Err(format!("{part} is neither [read key value] nor [write key value]")),
    };
    match value {
        Value::List(parts) => parts.iter().map(part).collect(),
        _ => Err(format!("a txn is a list, not {value}")),
    }
}
