//! Parses the sends and polls of operations.

use crate::history::Value;
use crate::property::op::{Op, abbreviate};

/// One action of an operation.
#[derive(Debug)]
pub(super) enum LogOp<'h> {
    /// A message was sent, to this offset if it is known.
    Send { key: String, value: &'h Value, offset: Option<i64> },
    /// A poll returned these messages, in this order.
    Poll { key: String, messages: Vec<(i64, &'h Value)> },
    /// The consumer's position is unknown from here on.
    Moved { by_others: bool },
}

/// The actions of the completion, or of the invocation if the operation is not ok.
pub(super) fn parse_log_ops<'h>(op: &Op<'h>) -> Result<Vec<LogOp<'h>>, String> {
    match op.f {
        "assign" => return Ok(vec![LogOp::Moved { by_others: false }]),
        "subscribe" => return Ok(vec![LogOp::Moved { by_others: true }]),
        "send" | "poll" | "txn" => {}
        "crash" | "debug-topic-partitions" => return Ok(Vec::new()),
        _ => return Err(op.unknown_function("assign, poll, send, subscribe, txn")),
    }
    let Value::List(items) = op.output.unwrap_or(op.input) else {
        return Err(invalid_value(op, "expected a list of sends and polls"));
    };
    let mut parts = Vec::new();
    for item in items.iter() {
        parse_log_op(op, item, &mut parts)?;
    }
    Ok(parts)
}

fn invalid_value(op: &Op<'_>, why: &str) -> String {
    if op.output.is_some() { op.invalid_output(why) } else { op.invalid_input(why) }
}

fn parse_log_op<'h>(
    op: &Op<'h>,
    item: &'h Value,
    parts: &mut Vec<LogOp<'h>>,
) -> Result<(), String> {
    let words = match item {
        Value::List(words) => &**words,
        _ => &[],
    };
    match words {
        [Value::Str(f), key, value] if f == "send" => {
            let (offset, value) = parse_send(op, value)?;
            parts.push(LogOp::Send { key: key_text(key), value, offset });
        }
        [Value::Str(f)] if f == "poll" => {}
        [Value::Str(f), Value::Map(logs)] if f == "poll" => {
            for (key, messages) in logs {
                let messages = parse_messages(op, messages)?;
                parts.push(LogOp::Poll { key: key.clone(), messages });
            }
        }
        _ => {
            return Err(invalid_value(
                op,
                &format!("{} is neither a send nor a poll", abbreviate(item)),
            ));
        }
    }
    Ok(())
}

/// The sent value, and its offset if it was acknowledged with `[offset, value]`.
fn parse_send<'h>(op: &Op<'h>, value: &'h Value) -> Result<(Option<i64>, &'h Value), String> {
    match (op.output.and(value.as_pair()), value) {
        (Some((Value::Int(offset), value)), _) => Ok((Some(*offset), value)),
        (Some((Value::Nil, value)), _) => Ok((None, value)),
        (Some(_), _) => {
            Err(invalid_value(op, &format!("{} is not [offset value]", abbreviate(value))))
        }
        (None, value) => Ok((None, value)),
    }
}

fn parse_messages<'h>(op: &Op<'h>, messages: &'h Value) -> Result<Vec<(i64, &'h Value)>, String> {
    let Value::List(items) = messages else {
        return Err(invalid_value(
            op,
            &format!("{} is not a list of messages", abbreviate(messages)),
        ));
    };
    let message = |item: &'h Value| match item.as_pair() {
        Some((Value::Int(offset), value)) => Ok((*offset, value)),
        _ => Err(invalid_value(op, &format!("{} is not [offset value]", abbreviate(item)))),
    };
    items.iter().map(message).collect()
}

/// The spelling of a key in maps.
fn key_text(key: &Value) -> String {
    match key {
        Value::Str(text) => text.to_string(),
        other => other.to_string(),
    }
}
