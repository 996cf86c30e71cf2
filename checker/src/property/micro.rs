//! Parses the micro-operations of transactions: `["r", k, v]`, `["w", k, v]`.

use super::op::{Op, abbreviate};
use crate::history::Value;

/// A micro-operation of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MicroOp<'h> {
    Read { key: &'h Value, value: &'h Value },
    Write { key: &'h Value, value: &'h Value },
}

/// The micro-operations of the completion, or of the invocation if the transaction is not ok.
pub(crate) fn parse_micro_ops<'h>(op: &Op<'h>) -> Result<Vec<MicroOp<'h>>, String> {
    let Value::List(items) = op.output.unwrap_or(op.input) else {
        let why = "expected a list of micro-operations";
        return Err(if op.output.is_some() {
            op.invalid_output(why)
        } else {
            op.invalid_input(why)
        });
    };
    items.iter().map(|item| parse_micro_op(op, item)).collect()
}

fn parse_micro_op<'h>(op: &Op<'h>, item: &'h Value) -> Result<MicroOp<'h>, String> {
    let parts = match item {
        Value::List(parts) => &**parts,
        _ => &[],
    };
    match parts {
        [Value::Str(f), key, value] if f == "r" => Ok(MicroOp::Read { key, value }),
        [Value::Str(f), key, value] if f == "w" => Ok(MicroOp::Write { key, value }),
        _ => {
            let why =
                format!("{} is neither [\"r\" key value] nor [\"w\" key value]", abbreviate(item));
            Err(if op.output.is_some() { op.invalid_output(&why) } else { op.invalid_input(&why) })
        }
    }
}
