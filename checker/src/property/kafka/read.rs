//! Reads sends and polls off operations.

use crate::history::Value;
use crate::property::objects::{Op, brief};

/// One part of an operation.
#[derive(Debug)]
pub(super) enum Part<'h> {
    /// A message was sent; where it went, if that is known.
    Send { key: String, value: &'h Value, offset: Option<i64> },
    /// Messages came back, in this order.
    Poll { key: String, messages: Vec<(i64, &'h Value)> },
    /// From here on the consumer may be anywhere.
    Moved { by_others: bool },
}

/// The parts of an operation as it was answered, or as it was asked if it was not.
pub(super) fn read<'h>(op: &Op<'h>) -> Result<Vec<Part<'h>>, String> {
    match op.f {
        "assign" => return Ok(vec![Part::Moved { by_others: false }]),
        "subscribe" => return Ok(vec![Part::Moved { by_others: true }]),
        "send" | "poll" | "txn" => {}
        "crash" | "debug-topic-partitions" => return Ok(Vec::new()),
        _ => return Err(op.unknown_function("assign, poll, send, subscribe, txn")),
    }
    let Value::List(items) = op.output.unwrap_or(op.input) else {
        return Err(bad(op, "its value is no list of sends and polls"));
    };
    let mut parts = Vec::new();
    for item in items.iter() {
        part(op, item, &mut parts)?;
    }
    Ok(parts)
}

fn bad(op: &Op<'_>, why: &str) -> String {
    if op.output.is_some() { op.bad_output(why) } else { op.bad_input(why) }
}

fn part<'h>(op: &Op<'h>, item: &'h Value, parts: &mut Vec<Part<'h>>) -> Result<(), String> {
    let words = match item {
        Value::List(words) => &**words,
        _ => &[],
    };
    match words {
        [Value::Str(f), key, value] if f == "send" => {
            let (offset, value) = sent(op, value)?;
            parts.push(Part::Send { key: text(key), value, offset });
        }
        [Value::Str(f)] if f == "poll" => {}
        [Value::Str(f), Value::Map(logs)] if f == "poll" => {
            for (key, messages) in logs {
                let messages = messages_of(op, messages)?;
                parts.push(Part::Poll { key: key.clone(), messages });
            }
        }
        _ => return Err(bad(op, &format!("{} is neither a send nor a poll", brief(item)))),
    }
    Ok(())
}

/// What was sent and, if it was acknowledged with `[offset, value]`, where to.
fn sent<'h>(op: &Op<'h>, value: &'h Value) -> Result<(Option<i64>, &'h Value), String> {
    match (op.output.and(value.as_pair()), value) {
        (Some((Value::Int(offset), value)), _) => Ok((Some(*offset), value)),
        (Some((Value::Nil, value)), _) => Ok((None, value)),
        (Some(_), _) => Err(bad(op, &format!("{} is not [offset value]", brief(value)))),
        (None, value) => Ok((None, value)),
    }
}

fn messages_of<'h>(op: &Op<'h>, messages: &'h Value) -> Result<Vec<(i64, &'h Value)>, String> {
    let Value::List(items) = messages else {
        return Err(bad(op, &format!("{} is no list of messages", brief(messages))));
    };
    let message = |item: &'h Value| match item.as_pair() {
        Some((Value::Int(offset), value)) => Ok((*offset, value)),
        _ => Err(bad(op, &format!("{} is not [offset value]", brief(item)))),
    };
    items.iter().map(message).collect()
}

/// A key as maps spell it.
fn text(key: &Value) -> String {
    match key {
        Value::Str(text) => text.to_string(),
        other => other.to_string(),
    }
}
