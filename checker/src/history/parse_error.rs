//! Says where a text is no history, and what was lost at its end.

use std::fmt;

use super::event::Event;
use super::pairing::History;

/// A history and what was lost at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What is whole.
    pub history: History,
    /// The last line, if it was cut short.
    pub torn: Option<TornLine>,
}

/// A last line that was cut short, as a crash of the writer leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornLine {
    /// Its number, from 1.
    pub line: usize,
    /// How much of it there is.
    pub bytes: usize,
}

impl fmt::Display for TornLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} was cut short after {} bytes and is ignored", self.line, self.bytes)
    }
}

/// Text that is not a history: where and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in bytes.
    pub column: usize,
    /// What is wrong.
    pub why: String,
}

impl ParseError {
    /// Damage at a byte of a text.
    pub(super) fn at_byte(text: &[u8], byte: usize, why: impl Into<String>) -> Self {
        let (line, column) = line_and_column(text, byte);
        Self { line, column, why: why.into() }
    }
}

/// The line and the column of a byte, both from 1. Counted when something is wrong, so that reading
/// what is fine need not.
pub(super) fn line_and_column(text: &[u8], byte: usize) -> (usize, usize) {
    let before = &text[..byte.min(text.len())];
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (lines + 1, before.len() - begin + 1)
}

/// The history of events that were read, or the damage with the place of the event to blame: where
/// each of them begins is asked only then.
pub(super) fn build_history(
    events: Vec<Event>,
    begins: impl Fn(usize) -> (usize, usize),
) -> Result<History, ParseError> {
    History::new(events).map_err(|malformed| {
        let (line, column) = begins(malformed.position);
        ParseError {
            line,
            column,
            why: format!("index {}: {}", malformed.index, malformed.violation),
        }
    })
}
