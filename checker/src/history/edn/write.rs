//! Writes histories as EDN that Knossos and Elle read: one operation map per line.
//!
//! Functions, one-word errors and the first item of each micro-operation are keywords; other text
//! is text. Keys of maps are integers or keywords where possible. A history read from EDN is
//! written as EDN that reads as the same events.

use std::fmt::Write as _;

use crate::history::event::{Event, Kind, Process};
use crate::history::pairing::History;
use crate::history::value::Value;

/// One event as one line, without the newline.
pub fn event_to_edn_line(event: &Event) -> String {
    let kind = match event.kind {
        Kind::Invoke => "invoke",
        Kind::Ok => "ok",
        Kind::Fail => "fail",
        Kind::Info => "info",
    };
    let process = match event.process {
        Process::Client(number) => number.to_string(),
        Process::Nemesis => ":nemesis".to_owned(),
    };
    let Event { index, time, .. } = event;
    let mut line =
        format!("{{:index {index}, :time {time}, :type :{kind}, :process {process}, :f ");
    write_name(&mut line, &event.f);
    line.push_str(", :value ");
    match &event.value {
        Value::List(steps) if event.f == "txn" || steps.iter().all(is_step) => {
            write_sequence(&mut line, steps, write_step)
        }
        other => write_value(&mut line, other),
    }
    if let Some(node) = &event.node {
        line.push_str(", :node ");
        read_quoted(&mut line, node);
    }
    if let Some(error) = &event.error {
        line.push_str(", :error ");
        write_name_or_value(&mut line, error);
    }
    line.push('}');
    line
}

/// A whole history, every line ended. The initial states precede it in a form that other tools
/// ignore.
pub fn write(history: &History) -> String {
    let mut text = String::new();
    if let Some(states) = history.initial() {
        text.push_str("#_{:initial ");
        write_sequence(&mut text, states, write_value);
        text.push_str("}\n");
    }
    for event in history.events() {
        text.push_str(&event_to_edn_line(event));
        text.push('\n');
    }
    text
}

fn write_sequence(line: &mut String, items: &[Value], mut each: impl FnMut(&mut String, &Value)) {
    line.push('[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            line.push(' ');
        }
        each(line, item);
    }
    line.push(']');
}

/// Whether a value can only be a micro-operation, whatever the function: Jepsen's long-fork calls
/// its transactions `read` and `write`.
fn is_step(value: &Value) -> bool {
    let Value::List(items) = value else { return false };
    match &**items {
        [Value::Str(f), _, _] => matches!(f.as_str(), "append" | "r" | "w"),
        _ => false,
    }
}

/// One micro-operation: `[:append 3 1]`.
fn write_step(line: &mut String, step: &Value) {
    let Value::List(items) = step else { return write_value(line, step) };
    let mut first = true;
    write_sequence(line, items, |line, item| {
        if std::mem::take(&mut first) {
            write_name_or_value(line, item)
        } else {
            write_value(line, item)
        }
    });
}

fn write_name_or_value(line: &mut String, item: &Value) {
    match item {
        Value::Str(text) => write_name(line, text),
        other => write_value(line, other),
    }
}

fn write_value(line: &mut String, value: &Value) {
    match value {
        Value::Str(text) => read_quoted(line, text),
        Value::Real(number) => write_real(line, number.0),
        Value::List(items) => write_sequence(line, items, self::write_value),
        Value::Map(entries) => write_map(line, entries),
        plain @ (Value::Nil | Value::Bool(_) | Value::Int(_)) => line.push_str(&plain.to_string()),
    }
}

fn write_map(line: &mut String, entries: &[(String, Value)]) {
    line.push('{');
    for (place, (key, item)) in entries.iter().enumerate() {
        line.push_str(if place == 0 { "" } else { ", " });
        match key.parse::<i64>() {
            Ok(number) if number.to_string() == *key => line.push_str(key),
            _ => write_name(line, key),
        }
        line.push(' ');
        write_value(line, item);
    }
    line.push('}');
}

fn write_real(line: &mut String, number: f64) {
    match number {
        f64::INFINITY => line.push_str("##Inf"),
        f64::NEG_INFINITY => line.push_str("##-Inf"),
        _ if number.is_nan() => line.push_str("##NaN"),
        _ => write!(line, "{number:?}").expect("memory takes text"),
    }
}

/// A keyword where possible, else text.
fn write_name(line: &mut String, name: &str) {
    let bytes = name.as_bytes();
    let letter = bytes.first().is_some_and(u8::is_ascii_alphabetic);
    if letter && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.?!*+".contains(byte))
    {
        line.push(':');
        line.push_str(name);
    } else {
        read_quoted(line, name);
    }
}

fn read_quoted(line: &mut String, text: &str) {
    line.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => line.extend(['\\', char]),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            '\t' => line.push_str("\\t"),
            '\0'..='\x1f' => {
                write!(line, "\\u{:04x}", u32::from(char)).expect("memory takes text");
            }
            _ => line.push(char),
        }
    }
    line.push('"');
}
