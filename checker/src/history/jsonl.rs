//! Reads and writes a history as JSON lines: one event a line, with Jepsen's keys.
//!
//! The first line may instead say in which states the history may have started: `{"initial":[3]}`.
//! A last line without its newline that is no JSON is what a crash of the writer leaves; it is
//! reported as data ([`Torn`]). Damage anywhere else is an error that says where and why: a judge
//! does not guess.

use std::fmt;

use serde::Deserialize;

use super::{Event, History, Kind, Process, Value};

/// A history and what was lost at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The whole lines.
    pub history: History,
    /// The last line, if it was cut short.
    pub torn: Option<Torn>,
}

/// A last line that was cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Its number, from 1.
    pub line: usize,
    /// How much of it there is.
    pub bytes: usize,
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} was cut short after {} bytes and is ignored", self.line, self.bytes)
    }
}

/// Text that is not a history: where and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct Damage {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in bytes.
    pub column: usize,
    /// What is wrong.
    pub why: String,
}

#[derive(Deserialize)]
struct Header {
    initial: Vec<Value>,
}

/// An event as other tools write it: numbers may be missing, and a time of -1 means that nobody
/// knows.
#[derive(Deserialize)]
struct Line {
    index: Option<u64>,
    time: Option<i64>,
    #[serde(rename = "type")]
    kind: Kind,
    process: Process,
    f: String,
    #[serde(default)]
    value: Value,
    node: Option<String>,
    error: Option<Value>,
}

impl Line {
    fn event(self, next_index: u64) -> Event {
        Event {
            index: self.index.unwrap_or(next_index),
            time: self.time.map_or(0, |time| time.max(0).unsigned_abs()),
            kind: self.kind,
            process: self.process,
            f: self.f,
            value: self.value,
            node: self.node,
            error: self.error,
        }
    }
}

/// Reads a history.
pub fn parse(text: impl AsRef<[u8]>) -> Result<Parsed, Damage> {
    let mut reader = Reader::default();
    let mut torn = None;
    for (number, line) in text.as_ref().split_inclusive(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match reader.add(number + 1, line.trim_ascii_end()) {
            Ok(()) => {}
            Err(_) if !line.ends_with(b"\n") => {
                torn = Some(Torn { line: number + 1, bytes: line.len() });
            }
            Err(damage) => return Err(damage),
        }
    }
    Ok(Parsed { history: reader.finish()?, torn })
}

#[derive(Default)]
struct Reader {
    events: Vec<Event>,
    lines: Vec<usize>,
    initial: Option<Vec<Value>>,
}

impl Reader {
    fn add(&mut self, number: usize, line: &[u8]) -> Result<(), Damage> {
        if self.events.is_empty()
            && self.initial.is_none()
            && let Ok(header) = serde_json::from_slice::<Header>(line)
        {
            if header.initial.is_empty() {
                let why = "\"initial\" names no state to start in".to_owned();
                return Err(Damage { line: number, column: 1, why });
            }
            self.initial = Some(header.initial);
            return Ok(());
        }
        let next_index = self.events.last().map_or(0, |event| event.index.saturating_add(1));
        let parsed: Line = serde_json::from_slice(line).map_err(|error| damage(number, &error))?;
        self.events.push(parsed.event(next_index));
        self.lines.push(number);
        Ok(())
    }

    fn finish(self) -> Result<History, Damage> {
        let history = History::new(self.events).map_err(|malformed| Damage {
            line: self.lines[malformed.position],
            column: 1,
            why: format!("index {}: {}", malformed.index, malformed.flaw),
        })?;
        Ok(match self.initial {
            Some(states) => history.with_initial(states),
            None => history,
        })
    }
}

/// serde counts lines within the one line it is given; ours is the line of the file.
fn damage(line: usize, error: &serde_json::Error) -> Damage {
    let text = error.to_string();
    let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why).to_owned();
    Damage { line, column: error.column().max(1), why }
}

/// One event as one line, without the newline.
pub fn event_to_json_line(event: &Event) -> String {
    json(event)
}

/// A whole history, header first if it has one, every line ended.
pub fn write(history: &History) -> String {
    let mut text = String::new();
    if let Some(states) = history.initial() {
        text.push_str(&json(&serde_json::json!({ "initial": states })));
        text.push('\n');
    }
    for event in history.events() {
        text.push_str(&event_to_json_line(event));
        text.push('\n');
    }
    text
}

/// Cannot fail: every key is a string and nothing is written but memory.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data is always JSON")
}
