//! Reports where a text is not a history, and what is missing at its end.

use std::fmt;

use super::event::Event;
use super::pairing::History;

/// A history, and the incomplete line at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The complete events.
    pub history: History,
    /// The last line, if it is incomplete.
    pub torn: Option<TornLine>,
}

/// An incomplete last line, as a crash of the writer leaves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornLine {
    /// Its number, from 1.
    pub line: usize,
    /// The number of bytes that were written.
    pub bytes: usize,
}

impl fmt::Display for TornLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} was cut short after {} bytes and is ignored", self.line, self.bytes)
    }
}

/// Text that is not a history: where, and why.
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
    /// An error at a byte of a text.
    pub(super) fn at_byte(text: &[u8], byte: usize, why: impl Into<String>) -> Self {
        let (line, column) = line_and_column(text, byte);
        Self { line, column, why: why.into() }
    }
}

/// The line and column of a byte, both from 1. Computed on errors only, so that reading valid text
/// does not pay for it.
pub(super) fn line_and_column(text: &[u8], byte: usize) -> (usize, usize) {
    let before = &text[..byte.min(text.len())];
    let lines = before.iter().filter(|byte| **byte == b'\n').count();
    let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (lines + 1, before.len() - begin + 1)
}

/// Builds the history, or reports the position of the offending event. Positions are computed on
/// errors only.
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
