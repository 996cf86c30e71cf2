//! Reads and writes a history as EDN, as Jepsen, Knossos, Elle and Porcupine do.
//!
//! A history is a sequence of operation maps, bare or in vectors and lists, tagged or not: `{:type
//! :invoke, :process 0, :f :cas, :value [1 2], :time 5, :index 0}`. Unknown keys are ignored.
//! Without `:index` the events are numbered in order. Without `:f` an operation is a `txn`, as in
//! Elle. With `:key`, as in Porcupine's key-value texts, the value is `[key value]`. A process that
//! is not a number is the nemesis. A `:fail` is a read only if its `:error` is
//! [`MISMATCH`](super::MISMATCH); Jepsen's other failures had no effect.
//!
//! EDN has no form for initial states. They precede the history as a discarded form, `#_{:initial
//! [3]}`, which other tools ignore.
//!
//! The text is read once, front to back, straight into events.

mod op;
mod scan;
mod value;
mod write;

use self::scan::{EdnError, Scanner};
use super::event::{Event, ProcessNames};
use super::parse_error::{self, ParseError, Parsed, TornLine};
use super::value::Value;

pub use self::write::{event_to_edn_line, write};

/// Reads a history.
pub fn parse(text: impl AsRef<[u8]>) -> Result<Parsed, ParseError> {
    let bytes = text.as_ref();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = valid_utf8(bytes)?;
    let (events, begins) = (Vec::new(), Vec::new());
    let mut reader =
        EdnReader { scanner: Scanner::new(text), events, begins, names: ProcessNames::default() };
    let initial = reader.read_initial().map_err(|fault| parse_error(bytes, &fault))?;
    let torn = match reader.read_forms() {
        Ok(()) => None,
        Err((begin, fault)) if is_torn(bytes, begin, &fault) => {
            let (line, _) = parse_error::line_and_column(bytes, begin);
            Some(TornLine { line, bytes: bytes.len() - begin })
        }
        Err((_, fault)) => return Err(parse_error(bytes, &fault)),
    };
    let EdnReader { events, begins, .. } = reader;
    let history = parse_error::build_history(events, |position| {
        parse_error::line_and_column(bytes, begins[position])
    })?;
    Ok(Parsed { history: history.with_initial(initial), torn })
}

/// The text, without a last character that was cut in two.
fn valid_utf8(bytes: &[u8]) -> Result<&str, ParseError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() => {
            Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(error) => Err(ParseError::at_byte(bytes, error.valid_up_to(), "this is not UTF-8")),
    }
}

fn parse_error(bytes: &[u8], fault: &EdnError) -> ParseError {
    ParseError::at_byte(bytes, fault.at, fault.why.clone())
}

/// Whether the map that begins there is the last line, and incomplete.
fn is_torn(bytes: &[u8], begin: usize, fault: &EdnError) -> bool {
    let line = &bytes[begin..];
    matches!(line.first(), Some(b'{' | b'#'))
        && !line.contains(&b'\n')
        && (fault.cut || !line.trim_ascii_end().ends_with(b"}"))
}

struct EdnReader<'t> {
    scanner: Scanner<'t>,
    events: Vec<Event>,
    /// The byte at which each event begins.
    begins: Vec<usize>,
    names: ProcessNames,
}

impl EdnReader<'_> {
    /// The initial states from a discarded form at the front, if there is one.
    fn read_initial(&mut self) -> Result<Vec<Value>, Box<EdnError>> {
        if !self.scanner.take("#_{:initial ") {
            return Ok(Vec::new());
        }
        let (states, at) = (value::read_value(&mut self.scanner)?, self.scanner.at());
        match states {
            Value::List(states) if !states.is_empty() && self.scanner.take("}") => {
                Ok(states.to_vec())
            }
            _ => Err(self.scanner.error_at(at, ":initial lists no initial state")),
        }
    }

    /// Reads everything, or returns the byte at which the malformed form begins.
    fn read_forms(&mut self) -> Result<(), (usize, Box<EdnError>)> {
        while let Some(first) =
            self.scanner.skip_gap().map_err(|fault| (self.scanner.at(), fault))?
        {
            let begin = self.scanner.at();
            match first {
                b'[' | b'(' => self.read_sequence(),
                _ => self.read_event(),
            }
            .map_err(|fault| (begin, fault))?;
        }
        Ok(())
    }

    fn read_sequence(&mut self) -> Result<(), Box<EdnError>> {
        let Self { scanner, events, begins, names } = self;
        scanner.for_each_form(|scanner| push_event(scanner, events, begins, names))
    }

    fn read_event(&mut self) -> Result<(), Box<EdnError>> {
        push_event(&mut self.scanner, &mut self.events, &mut self.begins, &mut self.names)
    }
}

fn push_event(
    scanner: &mut Scanner<'_>,
    events: &mut Vec<Event>,
    begins: &mut Vec<usize>,
    names: &mut ProcessNames,
) -> Result<(), Box<EdnError>> {
    let next_index = events.last().map_or(0, |event| event.index.saturating_add(1));
    let begin = scanner.at();
    events.push(op::read_event(scanner, next_index, names)?);
    begins.push(begin);
    Ok(())
}

#[cfg(test)]
mod tests;
