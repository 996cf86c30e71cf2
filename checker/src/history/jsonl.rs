//! Reads and writes a history as JSON lines: one event per line, with Jepsen's keys.
//!
//! The first line may instead give the initial states: `{"initial":[3]}`. A writer that crashed
//! leaves an incomplete last line, which is returned as data ([`TornLine`]). Any other malformed
//! line is an error with its position, because a checker must not guess. One JSON array of events,
//! as other tools write, is read as well.

mod array;
mod line;

use serde::Deserialize;

use self::line::{JsonEvent, ParseState, strip_place};
use super::event::Event;
use super::pairing::History;
use super::parse_error;
use super::parse_error::{ParseError, Parsed, TornLine};
use super::value::Value;

#[derive(Deserialize)]
struct JsonHeader {
    initial: Vec<Value>,
}

/// Reads a history.
pub fn parse(text: impl AsRef<[u8]>) -> Result<Parsed, ParseError> {
    let text = text.as_ref();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if text.trim_ascii_start().starts_with(b"[") {
        return array::parse(text);
    }
    match std::str::from_utf8(text) {
        // Valid UTF-8 as a whole needs no validation of each string.
        Ok(text) => read_lines(
            text.split_inclusive('\n'),
            |line| serde_json::from_str(line.trim_ascii_end()),
            |line| serde_json::from_str(line.trim_ascii_end()),
        ),
        Err(_) => {
            let lines = text.split_inclusive(|byte| *byte == b'\n');
            read_lines(
                lines,
                |line| serde_json::from_slice(line.trim_ascii_end()),
                |line| serde_json::from_slice(line.trim_ascii_end()),
            )
        }
    }
}

/// Reads a history from its lines, given how to read a line as an event and as a header.
fn read_lines<'t, L: AsRef<[u8]> + ?Sized + 't>(
    lines: impl Iterator<Item = &'t L>,
    event: impl Fn(&'t L) -> serde_json::Result<JsonEvent<'t>>,
    header: impl Fn(&'t L) -> serde_json::Result<JsonHeader>,
) -> Result<Parsed, ParseError> {
    let mut reader = JsonlReader::default();
    let mut torn = None;
    for (number, line) in lines.enumerate() {
        let bytes = line.as_ref();
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        if reader.is_new()
            && let Ok(header) = header(line)
        {
            reader.set_initial(number + 1, header)?;
            continue;
        }
        let read = event(line).map_err(|error| parse_error_at(number + 1, &error));
        match read.and_then(|event| reader.push_event(number + 1, event)) {
            Ok(()) => {}
            Err(_) if is_torn(bytes) => {
                torn = Some(TornLine { line: number + 1, bytes: bytes.len() });
            }
            Err(damage) => return Err(damage),
        }
    }
    Ok(Parsed { history: reader.finish()?, torn })
}

/// Whether a line is incomplete. A brace at its end may close an inner object.
fn is_torn(line: &[u8]) -> bool {
    let cut = || match serde_json::from_slice::<serde::de::IgnoredAny>(line) {
        Ok(_) => false,
        Err(error) => error.is_eof() || !line.ends_with(b"}"),
    };
    line.starts_with(b"{") && !line.ends_with(b"\n") && cut()
}

#[derive(Default)]
struct JsonlReader {
    events: Vec<Event>,
    lines: Vec<usize>,
    said: ParseState,
    initial: Option<Vec<Value>>,
}

impl JsonlReader {
    /// Whether no line has been read yet.
    fn is_new(&self) -> bool {
        self.events.is_empty() && self.initial.is_none()
    }

    fn set_initial(&mut self, number: usize, header: JsonHeader) -> Result<(), ParseError> {
        if header.initial.is_empty() {
            let why = "\"initial\" lists no initial state".to_owned();
            return Err(ParseError { line: number, column: 1, why });
        }
        self.initial = Some(header.initial);
        Ok(())
    }

    fn push_event(&mut self, number: usize, line: JsonEvent<'_>) -> Result<(), ParseError> {
        let next_index = self.events.last().map_or(0, |event| event.index.saturating_add(1));
        let event = line.into_event(next_index, &mut self.said);
        let why = |why: &str| ParseError { line: number, column: 1, why: why.to_owned() };
        self.events.push(event.map_err(why)?);
        self.lines.push(number);
        Ok(())
    }

    fn finish(self) -> Result<History, ParseError> {
        let Self { events, lines, .. } = self;
        let history = parse_error::build_history(events, |position| (lines[position], 1))?;
        Ok(match self.initial {
            Some(states) => history.with_initial(states),
            None => history,
        })
    }
}

/// serde counts lines within the one line that it reads; this is the line of the file.
fn parse_error_at(line: usize, error: &serde_json::Error) -> ParseError {
    ParseError { line, column: error.column().max(1), why: strip_place(error) }
}

/// One event as one line, without the newline.
pub fn event_to_json_line(event: &Event) -> String {
    to_json(event)
}

/// A whole history, its header first if it has one, every line ended.
pub fn write(history: &History) -> String {
    let mut text = String::new();
    if let Some(states) = history.initial() {
        text.push_str(&to_json(&serde_json::json!({ "initial": states })));
        text.push('\n');
    }
    for event in history.events() {
        text.push_str(&event_to_json_line(event));
        text.push('\n');
    }
    text
}

/// Infallible: every key is a string, and the output is memory.
fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("plain data is always JSON")
}
