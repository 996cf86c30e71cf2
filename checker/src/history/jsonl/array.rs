//! Reads a history that is one JSON array of events, whatever its lines.

use super::line::{Line, Said, reason};
use crate::history::event::Event;
use crate::history::parse_error;
use crate::history::parse_error::{Damage, Parsed};

/// Reads the array.
pub(super) fn parse(text: &[u8]) -> Result<Parsed, Damage> {
    let mut array =
        Array { text, at: 0, events: Vec::new(), begins: Vec::new(), said: Said::default() };
    array.read()?;
    let Array { events, begins, .. } = array;
    let history =
        parse_error::history(events, |position| parse_error::place(text, begins[position]))?;
    Ok(Parsed { history, torn: None })
}

struct Array<'t> {
    text: &'t [u8],
    at: usize,
    events: Vec<Event>,
    /// Where each event begins.
    begins: Vec<usize>,
    said: Said,
}

impl Array<'_> {
    fn read(&mut self) -> Result<(), Damage> {
        self.expect(b"[")?;
        if self.next() == Some(b']') {
            self.at += 1;
        } else {
            self.event()?;
            while self.expect(b",]")? == b',' {
                self.event()?;
            }
        }
        match self.next() {
            None => Ok(()),
            Some(_) => Err(Damage::at(self.text, self.at, "the array is over")),
        }
    }

    /// The next byte that is no space.
    fn next(&mut self) -> Option<u8> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_ascii_start().len();
        self.text.get(self.at).copied()
    }

    fn expect(&mut self, any: &[u8]) -> Result<u8, Damage> {
        match self.next() {
            Some(byte) if any.contains(&byte) => {
                self.at += 1;
                Ok(byte)
            }
            _ => {
                let want = String::from_utf8_lossy(any).replace(",]", ", or ]");
                Err(Damage::at(self.text, self.at, format!("{want} is missing")))
            }
        }
    }

    fn event(&mut self) -> Result<(), Damage> {
        if self.next() != Some(b'{') {
            return Err(Damage::at(self.text, self.at, "an event is missing"));
        }
        let mut one =
            serde_json::Deserializer::from_slice(&self.text[self.at..]).into_iter::<Line<'_>>();
        let line = match one.next() {
            Some(Ok(line)) => line,
            Some(Err(error)) => return Err(self.damage(&error)),
            None => return Err(Damage::at(self.text, self.at, "an event is missing")),
        };
        let next_index = self.events.last().map_or(0, |event| event.index.saturating_add(1));
        let event = line.event(next_index, &mut self.said);
        self.events.push(event.map_err(|why| Damage::at(self.text, self.at, why))?);
        self.begins.push(self.at);
        self.at += one.byte_offset();
        Ok(())
    }

    /// serde counts from where the event begins.
    fn damage(&self, error: &serde_json::Error) -> Damage {
        let (line, column) = parse_error::place(self.text, self.at);
        let ahead = if error.line() == 1 { column - 1 } else { 0 };
        Damage {
            line: line + error.line() - 1,
            column: (ahead + error.column()).max(1),
            why: reason(error),
        }
    }
}
