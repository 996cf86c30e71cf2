//! Pairs invocations with completions: a [`History`] is well-formed by construction.

use std::collections::BTreeMap;

use super::event::{Completion, Event, Kind, Moment, Operation, Process};
use super::text::Text;
use super::value::Value;

/// Events in order, and the operations they make up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    events: Vec<Event>,
    operations: Vec<Operation>,
    initial: Option<Vec<Value>>,
    untimed: bool,
}

/// Events that no set of single-threaded clients can produce.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {} (index {index}): {flaw}", position + 1)]
pub struct Malformed {
    /// The place of the offending event among the events given, from 0.
    pub position: usize,
    /// Its index.
    pub index: u64,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What can be wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Indices do not grow.
    #[error("its index does not come after {0}, the index before it")]
    OutOfOrder(u64),
    /// A second invocation on a busy process.
    #[error("{0} invokes while its operation invoked at index {1} is open")]
    Busy(Process, u64),
    /// A completion of nothing.
    #[error("{0} completes an operation that it never invoked")]
    NeverInvoked(Process),
    /// A completion of something else.
    #[error("{process} completes {completed:?} but had invoked {invoked:?}")]
    OtherFunction {
        /// Who.
        process: Process,
        /// The function of its open invocation.
        invoked: Text,
        /// The function of the completion.
        completed: Text,
    },
    /// An event of a process whose last operation ended in `info`.
    #[error("{0} was retired by the info at index {1} and cannot go on; use a new number")]
    Retired(Process, u64),
}

impl History {
    /// Pairs invocations with completions.
    pub fn new(events: Vec<Event>) -> Result<Self, Malformed> {
        let mut pairing = Pairing::default();
        pairing.operations.reserve(events.len() / 2);
        let mut before = None;
        for (position, event) in events.iter().enumerate() {
            let ordered = match before {
                Some(index) if event.index <= index => Err(Flaw::OutOfOrder(index)),
                _ => Ok(()),
            };
            before = Some(event.index);
            ordered.and_then(|()| pairing.add(event)).map_err(|flaw| Malformed {
                position,
                index: event.index,
                flaw,
            })?;
        }
        Ok(Self { events, operations: pairing.operations, initial: None, untimed: false })
    }

    /// The same history, started in one of these states instead of the model's own; no states, no
    /// change of mind.
    #[must_use]
    pub fn with_initial(self, states: Vec<Value>) -> Self {
        Self { initial: Some(states).filter(|states| !states.is_empty()), ..self }
    }

    /// The same history, of which only the order of each process is known: that of its events says
    /// nothing.
    #[must_use]
    pub fn without_time(self) -> Self {
        Self { untimed: true, ..self }
    }

    /// Whether the order of its events is that in which they happened.
    pub fn is_timed(&self) -> bool {
        !self.untimed
    }

    /// Every event, the nemesis's too.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The clients' operations, in order of invocation.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The states it may have started in, if it says so.
    pub fn initial(&self) -> Option<&[Value]> {
        self.initial.as_deref()
    }
}

#[derive(Default)]
struct Pairing {
    operations: Vec<Operation>,
    clients: BTreeMap<Process, Client>,
}

/// What a process is doing.
enum Client {
    Idle,
    Open(usize),
    Retired(u64),
}

impl Pairing {
    fn add(&mut self, event: &Event) -> Result<(), Flaw> {
        if event.process == Process::Nemesis {
            return Ok(());
        }
        let client = self.clients.entry(event.process).or_insert(Client::Idle);
        match (&client, event.kind) {
            (Client::Retired(index), _) => Err(Flaw::Retired(event.process, *index)),
            (Client::Idle, Kind::Invoke) => {
                *client = Client::Open(self.operations.len());
                self.operations.push(invocation(event));
                Ok(())
            }
            (Client::Open(open), Kind::Invoke) => {
                Err(Flaw::Busy(event.process, self.operations[*open].invoked.index))
            }
            (Client::Idle, _) => Err(Flaw::NeverInvoked(event.process)),
            (Client::Open(open), kind) => {
                complete(&mut self.operations[*open], event)?;
                *client = match kind {
                    Kind::Info => Client::Retired(event.index),
                    Kind::Invoke | Kind::Ok | Kind::Fail => Client::Idle,
                };
                Ok(())
            }
        }
    }
}

pub(crate) fn invocation(event: &Event) -> Operation {
    Operation {
        process: event.process,
        f: event.f.clone(),
        input: event.value.clone(),
        node: event.node.clone(),
        invoked: Moment { index: event.index, time: event.time },
        completion: None,
    }
}

pub(crate) fn complete(operation: &mut Operation, event: &Event) -> Result<(), Flaw> {
    if operation.f != event.f {
        return Err(Flaw::OtherFunction {
            process: event.process,
            invoked: operation.f.clone(),
            completed: event.f.clone(),
        });
    }
    operation.completion = Some(Completion {
        at: Moment { index: event.index, time: event.time },
        kind: event.kind,
        output: event.value.clone(),
        error: event.error.clone(),
    });
    if operation.node.is_none() {
        operation.node.clone_from(&event.node);
    }
    Ok(())
}
