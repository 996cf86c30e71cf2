//! Names the parts of a history: events as they were journaled, and operations as they are judged.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Text;
use super::value::Value;

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its number; grows along the history, with or without gaps.
    pub index: u64,
    /// Nanoseconds since the run began.
    pub time: u64,
    /// What it says.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Who says it.
    pub process: Process,
    /// The function called.
    pub f: Text,
    /// The argument, or in an ok completion the result.
    pub value: Value,
    /// The replica that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Text>,
    /// Why it failed, or why nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}

/// What an event says of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It begins.
    Invoke,
    /// It happened.
    Ok,
    /// It did not happen.
    Fail,
    /// Nobody knows; it may still happen.
    Info,
}

/// A logical single-threaded client, or the nemesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// A client; after an `info` its number is never used again.
    Client(u64),
    /// What breaks things; its events claim nothing about the data.
    Nemesis,
}

/// Whether the events of a history say who speaks. Where none does, one client takes turns.
#[derive(Debug, Default)]
pub(super) struct ProcessNames(Option<bool>);

impl ProcessNames {
    /// Who speaks in the next event, or nothing if it does not say though others do.
    pub(super) fn resolve(&mut self, said: Option<Process>) -> Option<Process> {
        let named = *self.0.get_or_insert(said.is_some());
        said.or((!named).then_some(Process::Client(0)))
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(number) => write!(f, "process {number}"),
            Self::Nemesis => f.write_str("the nemesis"),
        }
    }
}

impl Serialize for Process {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Client(number) => serializer.serialize_u64(*number),
            Self::Nemesis => serializer.serialize_str("nemesis"),
        }
    }
}

/// A number is a client, and there is the nemesis. Other names are refused: who took them for the nemesis would judge
/// a history in which no client did anything.
impl<'de> Deserialize<'de> for Process {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ProcessVisitor)
    }
}

struct ProcessVisitor;

impl<'de> Visitor<'de> for ProcessVisitor {
    type Value = Process;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a client's number or \"nemesis\"")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Process, E> {
        Ok(Process::Client(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Process, E> {
        u64::try_from(number).map(Process::Client).map_err(|_| unknown_process(number))
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Process, E> {
        if is_nemesis(name) {
            Ok(Process::Nemesis)
        } else {
            Err(unknown_process(format_args!("{name:?}")))
        }
    }
}

fn unknown_process<E: Error>(what: impl fmt::Display) -> E {
    E::custom(format!("process {what} is neither a client's number nor \"nemesis\""))
}

/// What the nemesis is called, with or without a keyword's colon.
pub(super) fn is_nemesis(name: &str) -> bool {
    name.strip_prefix(':').unwrap_or(name) == "nemesis"
}

/// The error of a compare-and-set that failed *because* the state was not the expected one.
pub const MISMATCH: &str = "mismatch";

/// An invocation and its completion, if there was one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// Who called.
    pub process: Process,
    /// The function called.
    pub f: Text,
    /// The argument.
    pub input: Value,
    /// The replica that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Text>,
    /// Where it began.
    pub invoked: Moment,
    /// How it ended; an operation without an end counts as info.
    pub completion: Option<Completion>,
}

/// A place in the history's total order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Moment {
    /// The event's index: what decides which operations overlap.
    pub index: u64,
    /// The event's time: for people; times may tie.
    pub time: u64,
}

/// The end of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// Where it ended.
    pub at: Moment,
    /// `Ok`, `Fail` or `Info`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The result.
    pub output: Value,
    /// Why it failed, or why nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}

impl Operation {
    /// How it ended.
    pub fn kind(&self) -> Kind {
        self.completion.as_ref().map_or(Kind::Info, |completion| completion.kind)
    }

    /// Whether it certainly happened.
    pub fn is_ok(&self) -> bool {
        self.kind() == Kind::Ok
    }

    /// Whether it failed by seeing a state other than the one it expected: an observation, not a
    /// nothing.
    pub fn is_mismatch(&self) -> bool {
        self.completion.as_ref().is_some_and(|completion| {
            completion.kind == Kind::Fail
                && matches!(&completion.error, Some(Value::Str(why)) if *why == MISMATCH)
        })
    }

    /// Its invocation and its completion, as they stand in a history.
    pub fn events(&self) -> Vec<Event> {
        let invocation = Event {
            index: self.invoked.index,
            time: self.invoked.time,
            kind: Kind::Invoke,
            process: self.process,
            f: self.f.clone(),
            value: self.input.clone(),
            node: self.node.clone(),
            error: None,
        };
        let completion = self.completion.as_ref().map(|completion| Event {
            index: completion.at.index,
            time: completion.at.time,
            kind: completion.kind,
            value: completion.output.clone(),
            error: completion.error.clone(),
            ..invocation.clone()
        });
        std::iter::once(invocation).chain(completion).collect()
    }
}
