//! Reads one operation's map as an event, without making the map.

use super::scan::{Dispatch, Fault, Scanner};
use super::value::{name, value};
use crate::history::event::{Event, Kind, Names, Process, is_nemesis};
use crate::history::text::Text;
use crate::history::value::Value;

/// What the map has said so far.
#[derive(Default)]
struct Fields {
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

/// The event of the map that comes next.
pub(super) fn event(
    scanner: &mut Scanner<'_>,
    next_index: u64,
    names: &mut Names,
) -> Result<Event, Box<Fault>> {
    let begin = scanner.at();
    untag(scanner)?;
    let mut fields = Fields::default();
    scanner.bracket(|scanner| fields.add(scanner))?;
    let missing = |what: &str| scanner.fault(begin, format!("this operation has no :{what}"));
    let value = fields.value.unwrap_or_default();
    let kind = fields.kind.ok_or_else(|| missing("type"))?;
    let process = names.process(fields.process).ok_or_else(|| missing("process"))?;
    Ok(Event {
        index: fields.index.unwrap_or(next_index),
        time: fields.time.unwrap_or(0),
        kind,
        process,
        f: fields.f.unwrap_or_else(|| scanner.share("txn")),
        value: match fields.key {
            Some(key) => Value::pair(key, value),
            None => value,
        },
        node: fields.node,
        error: fields.error.filter(|error| *error != Value::Nil),
    })
}

/// Passes over the name of a record, up to the bracket of its map.
fn untag(scanner: &mut Scanner<'_>) -> Result<(), Box<Fault>> {
    let begin = scanner.at();
    let mut first = scanner.form()?;
    if first == b'#' && matches!(scanner.dispatch()?, Dispatch::Tag(_)) {
        first = scanner.form()?;
    }
    if first == b'{' {
        return Ok(());
    }
    Err(scanner
        .fault(begin, "this is neither an operation's map nor a vector or list of such maps"))
}

impl Fields {
    /// Takes one key and what belongs to it.
    fn add(&mut self, scanner: &mut Scanner<'_>) -> Result<(), Box<Fault>> {
        if scanner.form()? != b':' {
            scanner.skip()?;
            return scanner.skip();
        }
        let at = scanner.at();
        let fresh = match scanner.word()? {
            ":index" => count(scanner)?.is_none_or(|index| self.index.replace(index).is_none()),
            ":time" => count(scanner)?.is_none_or(|time| self.time.replace(time).is_none()),
            ":type" => self.kind.replace(kind(scanner)?).is_none(),
            ":process" => self.process.replace(process(scanner)?).is_none(),
            ":f" => {
                let name = name(scanner)?;
                self.f.replace(scanner.share(&name)).is_none()
            }
            ":key" => self.key.replace(value(scanner)?).is_none(),
            ":value" => self.value.replace(value(scanner)?).is_none(),
            ":error" => self.error.replace(value(scanner)?).is_none(),
            ":node" => node(scanner)?.is_none_or(|node| self.node.replace(node).is_none()),
            _ => scanner.skip().map(|()| true)?,
        };
        if fresh {
            Ok(())
        } else {
            Err(scanner.fault(at, "this key stands twice in the operation"))
        }
    }
}

/// A number from 0; less than that, and nil, is how Jepsen says that nobody knows.
fn count(scanner: &mut Scanner<'_>) -> Result<Option<u64>, Box<Fault>> {
    scanner.form()?;
    let at = scanner.at();
    match value(scanner)? {
        Value::Int(number) => Ok(u64::try_from(number).ok()),
        Value::Nil => Ok(None),
        other => Err(scanner.fault(at, format!("{other} is no number of this kind"))),
    }
}

fn kind(scanner: &mut Scanner<'_>) -> Result<Kind, Box<Fault>> {
    scanner.form()?;
    let at = scanner.at();
    match name(scanner)?.as_ref() {
        "invoke" => Ok(Kind::Invoke),
        "ok" => Ok(Kind::Ok),
        "fail" => Ok(Kind::Fail),
        "info" => Ok(Kind::Info),
        other => {
            Err(scanner.fault(at, format!("type {other:?} is none of :invoke :ok :fail :info")))
        }
    }
}

fn process(scanner: &mut Scanner<'_>) -> Result<Process, Box<Fault>> {
    scanner.form()?;
    let at = scanner.at();
    match value(scanner)? {
        Value::Int(number) if number >= 0 => Ok(Process::Client(number.unsigned_abs())),
        Value::Str(name) if is_nemesis(&name) => Ok(Process::Nemesis),
        other => {
            Err(scanner
                .fault(at, format!("process {other} is neither a client's number nor :nemesis")))
        }
    }
}

fn node(scanner: &mut Scanner<'_>) -> Result<Option<Text>, Box<Fault>> {
    Ok(match value(scanner)? {
        Value::Str(node) => Some(node),
        Value::Nil => None,
        other => Some(other.to_string().into()),
    })
}
