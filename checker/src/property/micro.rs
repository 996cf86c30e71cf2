//! Reads the micro-operations of transactions: `["r", k, v]`, `["w", k, v]`.

use super::objects::{Op, brief};
use crate::history::Value;

/// One part of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Micro<'h> {
    Read { key: &'h Value, value: &'h Value },
    Write { key: &'h Value, value: &'h Value },
}

/// The parts of a transaction as it was answered, or as it was asked if it was not.
pub(crate) fn micros<'h>(op: &Op<'h>) -> Result<Vec<Micro<'h>>, String> {
    let Value::List(items) = op.output.unwrap_or(op.input) else {
        let why = "its value is no list of micro-operations";
        return Err(if op.output.is_some() { op.bad_output(why) } else { op.bad_input(why) });
    };
    items.iter().map(|item| micro(op, item)).collect()
}

fn micro<'h>(op: &Op<'h>, item: &'h Value) -> Result<Micro<'h>, String> {
    let parts = match item {
        Value::List(parts) => &**parts,
        _ => &[],
    };
    match parts {
        [Value::Str(f), key, value] if f == "r" => Ok(Micro::Read { key, value }),
        [Value::Str(f), key, value] if f == "w" => Ok(Micro::Write { key, value }),
        _ => {
            let why = format!("{} is neither [\"r\" key value] nor [\"w\" key value]", brief(item));
            Err(if op.output.is_some() { op.bad_output(&why) } else { op.bad_input(&why) })
        }
    }
}
