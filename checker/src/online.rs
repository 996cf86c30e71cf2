//! Defines checks of a history that is still being recorded, so that a run can stop at its first
//! violation.
//!
//! A reported violation is final: every continuation of the history violates the same check, so
//! the check of the whole history finds it, too. What a later event could still explain is not
//! reported. A history that the check cannot interpret is not judged any further.
//!
//! One difference remains. With [`crate::verdict::Keyed::Auto`] the first invocation decides
//! whether values are `[key, value]`; a violation reported before another invocation contradicts
//! that stands.

use rustc_hash::FxHashMap;

use crate::history::{self, Event, Kind, Operation, Process, Value};

/// A violation, which no later event can resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Anomaly {
    /// The object, if the history is keyed.
    pub key: Option<Value>,
    /// The index of the event at which it was found.
    pub index: u64,
    /// The violation in one sentence.
    pub message: String,
}

impl Anomaly {
    pub(crate) fn new(key: Option<Value>, index: u64, message: String) -> Self {
        Self { key, index, message }
    }
}

/// Checks a history event by event.
pub trait OnlineCheck {
    /// Takes the next event, and returns a violation if this event proves one.
    fn add_event(&mut self, event: &Event) -> Option<Anomaly>;
    /// The approximate memory held, in bytes.
    fn held_bytes(&self) -> usize;
    /// Makes messages name the clients of a run with this many clients instead of processes.
    fn set_concurrency(&mut self, concurrency: u64);
}

/// The open operation of each client.
#[derive(Default)]
pub(crate) struct OpenOperations {
    open: FxHashMap<Process, Operation>,
    /// The number of clients, if it is known.
    pub(crate) concurrency: Option<u64>,
}

/// What an event does.
pub(crate) enum PairedEvent<'o> {
    /// It invokes this operation.
    Invoked(&'o Operation),
    /// It completes this operation.
    Completed(Operation),
}

impl OpenOperations {
    /// Pairs a client's event with its open operation; `None` for an event of the nemesis.
    pub(crate) fn pair(&mut self, event: &Event) -> Result<Option<PairedEvent<'_>>, String> {
        use std::collections::hash_map::Entry;
        if event.process == Process::Nemesis {
            return Ok(None);
        }
        match (self.open.entry(event.process), event.kind) {
            (Entry::Vacant(idle), Kind::Invoke) => {
                let client = self.concurrency.and_then(|count| event.process.client(count));
                let operation = Operation { client, ..history::invocation(event) };
                Ok(Some(PairedEvent::Invoked(idle.insert(operation))))
            }
            (Entry::Occupied(busy), kind) if kind != Kind::Invoke => {
                let mut operation = busy.remove();
                history::complete(&mut operation, event).map_err(|why| why.to_string())?;
                Ok(Some(PairedEvent::Completed(operation)))
            }
            _ => Err(format!("event index {} fits no open operation", event.index)),
        }
    }
}
