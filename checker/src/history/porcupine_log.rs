//! Reads the etcd logs of Porcupine's tests: Jepsen's old text log of one compare-and-set register.
//!
//! A line is `INFO  jepsen.util - 4 :invoke :cas [2 4]`, with fields separated by white space. A
//! failed `cas` with its arguments is a mismatch. Other log lines are ignored; a malformed line of
//! this kind is an error.

use super::event::{Event, Kind, MISMATCH, Process};
use super::pairing::History;
use super::parse_error::ParseError;
use super::text::TextInterner;
use super::value::Value;

/// What precedes an entry.
const MARK: &str = "jepsen.util - ";

/// Whether a text has entries, or begins as such logs do.
pub(super) fn looks_like_log(text: &[u8]) -> bool {
    text.starts_with(b"INFO") || text.windows(MARK.len()).any(|bytes| bytes == MARK.as_bytes())
}

/// Reads a log.
pub fn parse(text: &str) -> Result<History, ParseError> {
    let mut events = Vec::new();
    let mut lines = Vec::new();
    let mut names = TextInterner::default();
    for (number, line) in text.lines().enumerate() {
        let Some((_, entry)) = line.split_once(MARK) else { continue };
        let Some(event) = parse_event(entry, events.len() as u64, &mut names).map_err(|why| {
            ParseError { line: number + 1, column: line.len() - entry.len() + 1, why }
        })?
        else {
            continue;
        };
        events.push(event);
        lines.push(number + 1);
    }
    History::new(events).map_err(|malformed| ParseError {
        line: lines[malformed.position],
        column: 1,
        why: malformed.violation.to_string(),
    })
}

/// The event of an entry; `None` if the entry is not about a client.
fn parse_event(entry: &str, index: u64, names: &mut TextInterner) -> Result<Option<Event>, String> {
    let mut words = entry.splitn(2, char::is_whitespace);
    let process = words.next().and_then(|word| word.parse().ok());
    let Some(process) = process.map(Process::Client) else { return Ok(None) };
    let rest = words.next().unwrap_or_default().trim();
    let mut words = rest.splitn(3, char::is_whitespace).filter(|word| !word.is_empty());
    let kind = parse_kind(words.next().unwrap_or_default())?;
    let rest = rest.trim_start_matches(|c: char| !c.is_whitespace()).trim();
    let (f, argument) = rest.split_once(char::is_whitespace).ok_or("a value is missing")?;
    let f = f.strip_prefix(':').ok_or_else(|| format!("{f:?} is not a function"))?;
    let timed_out = argument.trim() == ":timed-out";
    let value = if timed_out { Value::Nil } else { parse_value(argument.trim())? };
    let error = match (kind, timed_out) {
        (_, true) => Some(Value::from("timed-out")),
        (Kind::Fail, false) if f == "cas" => Some(Value::from(MISMATCH)),
        _ => None,
    };
    let f = names.intern(f);
    Ok(Some(Event { index, time: 0, kind, process, f, value, node: None, error }))
}

fn parse_kind(word: &str) -> Result<Kind, String> {
    match word {
        ":invoke" => Ok(Kind::Invoke),
        ":ok" => Ok(Kind::Ok),
        ":fail" => Ok(Kind::Fail),
        ":info" => Ok(Kind::Info),
        _ => Err(format!("{word:?} is none of :invoke :ok :fail :info")),
    }
}

fn parse_value(text: &str) -> Result<Value, String> {
    if let Some(items) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return items
            .split_whitespace()
            .map(parse_value)
            .collect::<Result<_, _>>()
            .map(Value::List);
    }
    match text {
        "nil" => Ok(Value::Nil),
        _ => text.parse().map(Value::Int).map_err(|_| format!("{text:?} is not a value")),
    }
}
