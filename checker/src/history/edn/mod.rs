//! Reads and writes a history as EDN, as Jepsen, Knossos, Elle and Porcupine have it.
//!
//! A history is operations' maps, bare or in vectors and lists, tagged or not:
//! `{:type :invoke, :process 0, :f :cas, :value [1 2], :time 5, :index 0}`. Keys that mean nothing
//! here are passed over. Without `:index` the events are numbered as they come. Without `:f` an
//! operation is a `txn`, as for Elle. With `:key`, as in Porcupine's key-value texts, its value is
//! `[key value]`. A process that is no number is the nemesis. A `:fail` is an observation only if
//! its `:error` is [`MISMATCH`](super::MISMATCH): Jepsen's own means that nothing happened.
//!
//! What EDN has no word for, the states in which a history may have started, stands in front as a
//! discarded form, `#_{:initial [3]}`: other tools pass over it.
//!
//! The text is read once, from the front, straight into events.

mod op;
mod scan;
mod value;
mod write;

use self::scan::{Fault, Scanner};
use super::event::{Event, Names};
use super::parse_error::{self, Damage, Parsed, Torn};
use super::value::Value;

pub use self::write::{event_to_edn_line, write};

/// Reads a history.
pub fn parse(text: impl AsRef<[u8]>) -> Result<Parsed, Damage> {
    let bytes = text.as_ref();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = whole(bytes)?;
    let (events, begins) = (Vec::new(), Vec::new());
    let mut reader =
        Reader { scanner: Scanner::new(text), events, begins, names: Names::default() };
    let initial = reader.initial().map_err(|fault| damaged(bytes, &fault))?;
    let torn = match reader.forms() {
        Ok(()) => None,
        Err((begin, fault)) if is_torn(bytes, begin, &fault) => {
            let (line, _) = parse_error::place(bytes, begin);
            Some(Torn { line, bytes: bytes.len() - begin })
        }
        Err((_, fault)) => return Err(damaged(bytes, &fault)),
    };
    let Reader { events, begins, .. } = reader;
    let history =
        parse_error::history(events, |position| parse_error::place(bytes, begins[position]))?;
    Ok(Parsed { history: history.with_initial(initial), torn })
}

/// The text, without a last character that was cut in two.
fn whole(bytes: &[u8]) -> Result<&str, Damage> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_none() => {
            Ok(std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default())
        }
        Err(error) => Err(Damage::at(bytes, error.valid_up_to(), "this is not UTF-8")),
    }
}

fn damaged(bytes: &[u8], fault: &Fault) -> Damage {
    Damage::at(bytes, fault.at, fault.why.clone())
}

/// Whether the map that begins there is the last line and was not written to its end.
fn is_torn(bytes: &[u8], begin: usize, fault: &Fault) -> bool {
    let line = &bytes[begin..];
    matches!(line.first(), Some(b'{' | b'#'))
        && !line.contains(&b'\n')
        && (fault.cut || !line.trim_ascii_end().ends_with(b"}"))
}

struct Reader<'t> {
    scanner: Scanner<'t>,
    events: Vec<Event>,
    /// Where each event begins.
    begins: Vec<usize>,
    names: Names,
}

impl Reader<'_> {
    /// The states of the discarded form at the very front, if it is one of ours.
    fn initial(&mut self) -> Result<Vec<Value>, Box<Fault>> {
        if !self.scanner.take("#_{:initial ") {
            return Ok(Vec::new());
        }
        let (states, at) = (value::value(&mut self.scanner)?, self.scanner.at());
        match states {
            Value::List(states) if !states.is_empty() && self.scanner.take("}") => {
                Ok(states.to_vec())
            }
            _ => Err(self.scanner.fault(at, ":initial names no states to start in")),
        }
    }

    /// Everything, or where the form begins that is at fault.
    fn forms(&mut self) -> Result<(), (usize, Box<Fault>)> {
        while let Some(first) = self.scanner.gap().map_err(|fault| (self.scanner.at(), fault))? {
            let begin = self.scanner.at();
            match first {
                b'[' | b'(' => self.sequence(),
                _ => self.event(),
            }
            .map_err(|fault| (begin, fault))?;
        }
        Ok(())
    }

    fn sequence(&mut self) -> Result<(), Box<Fault>> {
        let Self { scanner, events, begins, names } = self;
        scanner.bracket(|scanner| add(scanner, events, begins, names))
    }

    fn event(&mut self) -> Result<(), Box<Fault>> {
        add(&mut self.scanner, &mut self.events, &mut self.begins, &mut self.names)
    }
}

fn add(
    scanner: &mut Scanner<'_>,
    events: &mut Vec<Event>,
    begins: &mut Vec<usize>,
    names: &mut Names,
) -> Result<(), Box<Fault>> {
    let next_index = events.last().map_or(0, |event| event.index.saturating_add(1));
    let begin = scanner.at();
    events.push(op::event(scanner, next_index, names)?);
    begins.push(begin);
    Ok(())
}

#[cfg(test)]
mod tests;
