//! Reads the text format of AWDIT's tests: sessions of transactions on registers.
//!
//! A line is `w key value` or `r key value`; `-----` ends a transaction and `=====` a session.
//! Every transaction took effect. The text has no times between sessions, so the history has none
//! either: [`History::has_real_time`].

use super::event::{Event, Kind, Process};
use super::pairing::History;
use super::parse_error;
use super::parse_error::ParseError;
use super::value::Value;

/// Whether a text begins with a line of this format.
pub(super) fn looks_like_sessions(text: &[u8]) -> bool {
    let first = text.split(|byte| *byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let line = first.and_then(|line| std::str::from_utf8(line.trim_ascii()).ok());
    line.is_some_and(|line| parse_micro_op(line).is_ok())
}

/// Reads a text line by line. Empty transactions are ignored.
pub fn parse(text: &str) -> Result<History, ParseError> {
    let mut reader = SessionReader::default();
    for (number, line) in text.lines().enumerate() {
        match line.trim() {
            "" => {}
            "-----" => reader.end_transaction(),
            "=====" => {
                reader.end_transaction();
                reader.session += 1;
            }
            line => reader.add_micro_op(number + 1, line)?,
        }
    }
    reader.end_transaction();
    let lines = reader.lines;
    parse_error::build_history(reader.events, |position| (lines[position], 1))
        .map(History::without_real_time)
}

#[derive(Default)]
struct SessionReader {
    events: Vec<Event>,
    /// The first line of each event's transaction.
    lines: Vec<usize>,
    session: u64,
    begun: usize,
    asked: Vec<Value>,
    answered: Vec<Value>,
}

impl SessionReader {
    fn add_micro_op(&mut self, number: usize, line: &str) -> Result<(), ParseError> {
        let step =
            parse_micro_op(line).map_err(|why| ParseError { line: number, column: 1, why })?;
        if self.asked.is_empty() {
            self.begun = number;
        }
        let (f, key, value) = step;
        let asked = if f == "r" { Value::Nil } else { Value::Int(value) };
        let micro = |value| Value::from(vec![Value::from(f), Value::Int(key), value]);
        self.asked.push(micro(asked));
        self.answered.push(micro(Value::Int(value)));
        Ok(())
    }

    fn end_transaction(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let asked = Value::from(std::mem::take(&mut self.asked));
        let answered = Value::from(std::mem::take(&mut self.answered));
        for (kind, value) in [(Kind::Invoke, asked), (Kind::Ok, answered)] {
            let index = self.events.len() as u64;
            let (process, f) = (Process::Client(self.session), "txn".into());
            let (node, error) = (None, None);
            self.events.push(Event { index, time: 0, kind, process, f, value, node, error });
            self.lines.push(self.begun);
        }
    }
}

fn parse_micro_op(line: &str) -> Result<(&str, i64, i64), String> {
    let mut words = line.split_whitespace();
    let (f, key, value) = (words.next(), words.next(), words.next());
    let (Some(f @ ("r" | "w")), Some(key), Some(value), None) = (f, key, value, words.next())
    else {
        return Err(format!("{line:?} is none of: r key value, w key value, -----, ====="));
    };
    let number = |word: &str| word.parse().map_err(|_| format!("{word:?} is not a 64-bit integer"));
    Ok((f, number(key)?, number(value)?))
}
