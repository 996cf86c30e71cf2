//! Defines events, as a history records them, and operations, as checks see them.

use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Text;
use super::value::Value;

/// One event of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its number. Numbers increase along the history; gaps are allowed.
    pub index: u64,
    /// Nanoseconds since the run began.
    pub time: u64,
    /// What it reports.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The process that it is about.
    pub process: Process,
    /// The function called.
    pub f: Text,
    /// The argument of the call; in an ok completion, the result.
    pub value: Value,
    /// The replica that the client called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Text>,
    /// Why the operation failed, or why its outcome is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}

/// What an event reports of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The operation was invoked.
    Invoke,
    /// The operation took effect.
    Ok,
    /// The operation did not take effect.
    Fail,
    /// The outcome is unknown; the operation may still take effect.
    Info,
}

/// A logical single-threaded client, or the nemesis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Process {
    /// A client. After an `info` its number is never used again.
    Client(u64),
    /// The nemesis. Its events say nothing about the data.
    Nemesis,
}

/// Whether the events of a history name their process. If none does, one client makes all calls.
#[derive(Debug, Default)]
pub(super) struct ProcessNames(Option<bool>);

impl ProcessNames {
    /// The process of the next event; `None` if this event names none though others do.
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

/// Accepts a number or the nemesis. Any other name is an error: taken for the nemesis, its
/// operations would be left out and the history would be valid.
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

/// Whether a name is that of the nemesis, with or without a keyword's colon.
pub(super) fn is_nemesis(name: &str) -> bool {
    name.strip_prefix(':').unwrap_or(name) == "nemesis"
}

/// The error of a compare-and-set that failed *because* the state was not the expected one.
pub const MISMATCH: &str = "mismatch";

/// An invocation and its completion, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Operation {
    /// The process.
    pub process: Process,
    /// The client whose process it is, if the run's concurrency is known. Only messages use it.
    #[serde(skip)]
    pub client: Option<u64>,
    /// The function called.
    pub f: Text,
    /// The argument.
    pub input: Value,
    /// The replica that the client called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Text>,
    /// The invocation.
    pub invoked: Moment,
    /// The completion; an operation without one counts as info.
    pub completion: Option<Completion>,
}

/// A position in the total order of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Moment {
    /// The index of the event, which decides which operations overlap.
    pub index: u64,
    /// The time of the event, for display only; times may be equal.
    pub time: u64,
}

/// The completion of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// The position of the completion.
    pub at: Moment,
    /// `Ok`, `Fail` or `Info`.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// The result.
    pub output: Value,
    /// Why the operation failed, or why its outcome is unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Value>,
}

impl Operation {
    /// How the operation ended.
    pub fn kind(&self) -> Kind {
        self.completion.as_ref().map_or(Kind::Info, |completion| completion.kind)
    }

    /// Whether the operation took effect for certain.
    pub fn is_ok(&self) -> bool {
        self.kind() == Kind::Ok
    }

    /// Whether it failed because the state was not the expected one, which is a read of the state.
    pub fn is_mismatch(&self) -> bool {
        self.completion.as_ref().is_some_and(|completion| {
            completion.kind == Kind::Fail
                && matches!(&completion.error, Some(Value::Str(why)) if *why == MISMATCH)
        })
    }

    /// Its invocation and completion as events.
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
