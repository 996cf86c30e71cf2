//! Reads one operation map as an event, without building the map.

use super::scan::{Dispatch, EdnError, Scanner};
use super::value::{read_name, read_value};
use crate::history::event::{Event, Kind, Process, ProcessNames, is_nemesis};
use crate::history::text::Text;
use crate::history::value::Value;

/// The fields read so far.
#[derive(Default)]
struct EventFields {
    index: Option<u64>,
    time: Option<u64>,
    kind: Option<Kind>,
    process: Option<Process>,
    f: Option<Text>,
    key: Option<Value>,
    value: Option<Value>,
    node: Option<Text>,
    error: Option<Value>,
}

/// Reads the next map as an event.
pub(super) fn read_event(
    scanner: &mut Scanner<'_>,
    next_index: u64,
    names: &mut ProcessNames,
) -> Result<Event, Box<EdnError>> {
    let begin = scanner.at();
    skip_tag(scanner)?;
    let mut fields = EventFields::default();
    scanner.for_each_form(|scanner| fields.read_field(scanner))?;
    let missing = |what: &str| scanner.error_at(begin, format!("this operation has no :{what}"));
    let value = fields.value.unwrap_or_default();
    let kind = fields.kind.ok_or_else(|| missing("type"))?;
    let process = names.resolve(fields.process).ok_or_else(|| missing("process"))?;
    Ok(Event {
        index: fields.index.unwrap_or(next_index),
        time: fields.time.unwrap_or(0),
        kind,
        process,
        f: fields.f.unwrap_or_else(|| scanner.intern("txn")),
        value: match fields.key {
            Some(key) => Value::pair(key, value),
            None => value,
        },
        node: fields.node,
        error: fields.error.filter(|error| *error != Value::Nil),
    })
}

/// Skips the tag of a record, up to the bracket of its map.
fn skip_tag(scanner: &mut Scanner<'_>) -> Result<(), Box<EdnError>> {
    let begin = scanner.at();
    let mut first = scanner.expect_form()?;
    if first == b'#' && matches!(scanner.read_dispatch()?, Dispatch::Tag(_)) {
        first = scanner.expect_form()?;
    }
    if first == b'{' {
        return Ok(());
    }
    Err(scanner
        .error_at(begin, "this is neither an operation's map nor a vector or list of such maps"))
}

impl EventFields {
    /// Reads one key and its value.
    fn read_field(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Box<EdnError>> {
        if scanner.expect_form()? != b':' {
            scanner.skip_form()?;
            return scanner.skip_form();
        }
        let at = scanner.at();
        let fresh = match scanner.read_word()? {
            ":index" => {
                read_count(scanner)?.is_none_or(|index| self.index.replace(index).is_none())
            }
            ":time" => read_count(scanner)?.is_none_or(|time| self.time.replace(time).is_none()),
            ":type" => self.kind.replace(read_kind(scanner)?).is_none(),
            ":process" => self.process.replace(read_process(scanner)?).is_none(),
            ":f" => {
                let name = read_name(scanner)?;
                self.f.replace(scanner.intern(&name)).is_none()
            }
            ":key" => self.key.replace(read_value(scanner)?).is_none(),
            ":value" => self.value.replace(read_value(scanner)?).is_none(),
            ":error" => self.error.replace(read_value(scanner)?).is_none(),
            ":node" => read_node(scanner)?.is_none_or(|node| self.node.replace(node).is_none()),
            _ => scanner.skip_form().map(|()| true)?,
        };
        if fresh { Ok(()) } else { Err(scanner.error_at(at, "duplicate key in the operation")) }
    }
}

/// A number from 0. Jepsen writes negative numbers and nil for unknown ones.
fn read_count(scanner: &mut Scanner<'_>) -> Result<Option<u64>, Box<EdnError>> {
    scanner.expect_form()?;
    let at = scanner.at();
    match read_value(scanner)? {
        Value::Int(number) => Ok(u64::try_from(number).ok()),
        Value::Nil => Ok(None),
        other => Err(scanner.error_at(at, format!("{other} is not a number of this kind"))),
    }
}

fn read_kind(scanner: &mut Scanner<'_>) -> Result<Kind, Box<EdnError>> {
    scanner.expect_form()?;
    let at = scanner.at();
    match read_name(scanner)?.as_ref() {
        "invoke" => Ok(Kind::Invoke),
        "ok" => Ok(Kind::Ok),
        "fail" => Ok(Kind::Fail),
        "info" => Ok(Kind::Info),
        other => {
            Err(scanner.error_at(at, format!("type {other:?} is none of :invoke :ok :fail :info")))
        }
    }
}

fn read_process(scanner: &mut Scanner<'_>) -> Result<Process, Box<EdnError>> {
    scanner.expect_form()?;
    let at = scanner.at();
    match read_value(scanner)? {
        Value::Int(number) if number >= 0 => Ok(Process::Client(number.unsigned_abs())),
        Value::Str(name) if is_nemesis(&name) => Ok(Process::Nemesis),
        other => Err(scanner
            .error_at(at, format!("process {other} is neither a client's number nor :nemesis"))),
    }
}

fn read_node(scanner: &mut Scanner<'_>) -> Result<Option<Text>, Box<EdnError>> {
    Ok(match read_value(scanner)? {
        Value::Str(node) => Some(node),
        Value::Nil => None,
        other => Some(other.to_string().into()),
    })
}
