//! Pairs invocations with completions: a [`History`] is well-formed by construction.

use std::collections::BTreeMap;

use super::event::{Completion, Event, Kind, Moment, Operation, Process};
use super::text::Text;
use super::value::Value;

/// Events in order, and the operations that they make up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    events: Vec<Event>,
    operations: Vec<Operation>,
    initial: Option<Vec<Value>>,
    no_real_time: bool,
}

/// Events that no set of sequential clients can produce.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event {} (index {index}): {violation}", position + 1)]
pub struct Malformed {
    /// The position of the offending event, from 0.
    pub position: usize,
    /// Its index.
    pub index: u64,
    /// What is wrong with it.
    pub violation: Violation,
}

/// What can be wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Indices do not increase.
    #[error("its index does not come after {0}, the index before it")]
    OutOfOrder(u64),
    /// A process invokes while its operation is open.
    #[error("{0} invokes while its operation invoked at index {1} is open")]
    Busy(Process, u64),
    /// A completion without an invocation.
    #[error("{0} completes an operation that it never invoked")]
    NeverInvoked(Process),
    /// A completion of another function.
    #[error("{process} completes {completed:?} but had invoked {invoked:?}")]
    OtherFunction {
        /// The process.
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
                Some(index) if event.index <= index => Err(Violation::OutOfOrder(index)),
                _ => Ok(()),
            };
            before = Some(event.index);
            ordered.and_then(|()| pairing.pair_event(event)).map_err(|violation| Malformed {
                position,
                index: event.index,
                violation,
            })?;
        }
        Ok(Self { events, operations: pairing.operations, initial: None, no_real_time: false })
    }

    /// The same history, started in one of these states instead of the model's initial state. An
    /// empty list changes nothing.
    #[must_use]
    pub fn with_initial(self, states: Vec<Value>) -> Self {
        Self { initial: Some(states).filter(|states| !states.is_empty()), ..self }
    }

    /// The same history without a real-time order: only the order of each process is known.
    #[must_use]
    pub fn without_real_time(self) -> Self {
        Self { no_real_time: true, ..self }
    }

    /// The same history of a run with this many clients, so that messages name clients instead of
    /// processes.
    #[must_use]
    pub fn with_concurrency(mut self, concurrency: u64) -> Self {
        for operation in &mut self.operations {
            operation.client = operation.process.client(concurrency);
        }
        self
    }

    /// Whether the order of events is the order in which they happened.
    pub fn has_real_time(&self) -> bool {
        !self.no_real_time
    }

    /// Every event, including the nemesis's.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The clients' operations, in order of invocation.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The initial states, if the history gives any.
    pub fn initial(&self) -> Option<&[Value]> {
        self.initial.as_deref()
    }
}

#[derive(Default)]
struct Pairing {
    operations: Vec<Operation>,
    clients: BTreeMap<Process, ClientState>,
}

/// What a process is doing.
enum ClientState {
    Idle,
    Open(usize),
    Retired(u64),
}

impl Pairing {
    fn pair_event(&mut self, event: &Event) -> Result<(), Violation> {
        if event.process == Process::Nemesis {
            return Ok(());
        }
        let client = self.clients.entry(event.process).or_insert(ClientState::Idle);
        match (&client, event.kind) {
            (ClientState::Retired(index), _) => Err(Violation::Retired(event.process, *index)),
            (ClientState::Idle, Kind::Invoke) => {
                *client = ClientState::Open(self.operations.len());
                self.operations.push(invocation(event));
                Ok(())
            }
            (ClientState::Open(open), Kind::Invoke) => {
                Err(Violation::Busy(event.process, self.operations[*open].invoked.index))
            }
            (ClientState::Idle, _) => Err(Violation::NeverInvoked(event.process)),
            (ClientState::Open(open), kind) => {
                complete(&mut self.operations[*open], event)?;
                *client = match kind {
                    Kind::Info => ClientState::Retired(event.index),
                    Kind::Invoke | Kind::Ok | Kind::Fail => ClientState::Idle,
                };
                Ok(())
            }
        }
    }
}

pub(crate) fn invocation(event: &Event) -> Operation {
    Operation {
        process: event.process,
        client: None,
        f: event.f.clone(),
        input: event.value.clone(),
        node: event.node.clone(),
        invoked: Moment { index: event.index, time: event.time },
        completion: None,
    }
}

pub(crate) fn complete(operation: &mut Operation, event: &Event) -> Result<(), Violation> {
    if operation.f != event.f {
        return Err(Violation::OtherFunction {
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
