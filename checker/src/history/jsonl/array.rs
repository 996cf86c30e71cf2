//! Reads a history that is one JSON array of events, on any number of lines.

use super::line::{JsonEvent, ParseState, strip_place};
use crate::history::event::Event;
use crate::history::parse_error;
use crate::history::parse_error::{ParseError, Parsed};

/// Reads the array.
pub(super) fn parse(text: &[u8]) -> Result<Parsed, ParseError> {
    let mut array = ArrayReader {
        text,
        at: 0,
        events: Vec::new(),
        begins: Vec::new(),
        said: ParseState::default(),
    };
    array.read_array()?;
    let ArrayReader { events, begins, .. } = array;
    let history = parse_error::build_history(events, |position| {
        parse_error::line_and_column(text, begins[position])
    })?;
    Ok(Parsed { history, torn: None })
}

struct ArrayReader<'t> {
    text: &'t [u8],
    at: usize,
    events: Vec<Event>,
    /// The byte at which each event begins.
    begins: Vec<usize>,
    said: ParseState,
}

impl ArrayReader<'_> {
    fn read_array(&mut self) -> Result<(), ParseError> {
        self.expect_byte(b"[")?;
        if self.skip_space() == Some(b']') {
            self.at += 1;
        } else {
            self.read_event()?;
            while self.expect_byte(b",]")? == b',' {
                self.read_event()?;
            }
        }
        match self.skip_space() {
            None => Ok(()),
            Some(_) => {
                Err(ParseError::at_byte(self.text, self.at, "text after the end of the array"))
            }
        }
    }

    /// Skips white space, and returns the next byte.
    fn skip_space(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_ascii_start().len();
        self.text.get(self.at).copied()
    }

    fn expect_byte(&mut self, any: &[u8]) -> Result<u8, ParseError> {
        match self.skip_space() {
            Some(byte) if any.contains(&byte) => {
                self.at += 1;
                Ok(byte)
            }
            _ => {
                let want = String::from_utf8_lossy(any).replace(",]", ", or ]");
                Err(ParseError::at_byte(self.text, self.at, format!("{want} is missing")))
            }
        }
    }

    fn read_event(&mut self) -> Result<(), ParseError> {
        if self.skip_space() != Some(b'{') {
            return Err(ParseError::at_byte(self.text, self.at, "an event is missing"));
        }
        let mut one = serde_json::Deserializer::from_slice(&self.text[self.at..])
            .into_iter::<JsonEvent<'_>>();
        let line = match one.next() {
            Some(Ok(line)) => line,
            Some(Err(error)) => return Err(self.error_in_event(&error)),
            None => return Err(ParseError::at_byte(self.text, self.at, "an event is missing")),
        };
        let next_index = self.events.last().map_or(0, |event| event.index.saturating_add(1));
        let event = line.into_event(next_index, &mut self.said);
        self.events.push(event.map_err(|why| ParseError::at_byte(self.text, self.at, why))?);
        self.begins.push(self.at);
        self.at += one.byte_offset();
        Ok(())
    }

    /// serde counts lines and columns from where the event begins.
    fn error_in_event(&self, error: &serde_json::Error) -> ParseError {
        let (line, column) = parse_error::line_and_column(self.text, self.at);
        let ahead = if error.line() == 1 { column - 1 } else { 0 };
        ParseError {
            line: line + error.line() - 1,
            column: (ahead + error.column()).max(1),
            why: strip_place(error),
        }
    }
}
