//! Holds the evidence for a No: a few operations that no order explains.
//!
//! Replayed alone from any of its entry states a window is illegal; without the accused operation
//! it is legal. Both were checked before it was made.

use serde::Serialize;

use crate::history::{Event, History, Kind, Operation, Value, jsonl};

/// A part of a history that proves it wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Window {
    /// The key it is about, if the history is keyed.
    pub key: Option<Value>,
    /// Every state the object could have been in where the window begins.
    pub entry_states: Vec<Value>,
    /// The operations, in order of invocation.
    pub operations: Vec<Operation>,
    /// The operation whose completion left no explanation: its place in `operations`.
    pub accused: usize,
    /// The longest legal order found: places in `operations`.
    pub legal_prefix: Vec<usize>,
    /// The states that could hold before each operation of that order.
    pub states_along: Vec<Vec<Value>>,
    /// The states that order can end in.
    pub states_after: Vec<Value>,
    /// Every operation that could come next, and why it cannot.
    pub candidates: Vec<Candidate>,
    /// What is wrong, for someone who has read nothing else.
    #[serde(rename = "sentence")]
    pub message: String,
}

/// An operation that cannot come next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its place in the window's operations.
    pub operation: usize,
    /// Why not.
    pub reason: String,
}

impl Window {
    /// An operation by its place, in a few words: `cas [4 5] ok @n2 by process 7`.
    pub fn name(&self, place: usize) -> String {
        let operation = &self.operations[place];
        format!("{} by {}", self.label(place), operation.process)
    }

    /// A short label for drawings: `w 3 ok`.
    pub(crate) fn label(&self, place: usize) -> String {
        let operation = &self.operations[place];
        let f = match operation.f.as_str() {
            "write" => "w",
            "read" => "r",
            other => other,
        };
        let shown = match &operation.completion {
            Some(completion) if completion.kind == Kind::Ok => &completion.output,
            _ => &operation.input,
        };
        let outcome = match operation.kind() {
            Kind::Ok => "ok",
            Kind::Fail if operation.is_mismatch() => "mismatch",
            Kind::Fail => "fail",
            Kind::Info | Kind::Invoke => "?",
        };
        let node = operation.node.as_ref().map_or_else(String::new, |node| format!(" @{node}"));
        format!("{f} {} {outcome}{node}", self.without_key(shown))
    }

    /// The value without the key, which stands above the drawing.
    fn without_key<'v>(&self, value: &'v Value) -> &'v Value {
        match (&self.key, value.as_pair()) {
            (Some(key), Some((first, rest))) if first == key => rest,
            _ => value,
        }
    }

    /// The window as a history of its own, which starts in its entry states.
    pub fn history(&self) -> History {
        let mut events: Vec<Event> = self.operations.iter().flat_map(Operation::events).collect();
        events.sort_by_key(|event| event.index);
        History::new(events)
            .expect("a window's operations come from a history or are renumbered")
            .with_initial(self.entry_states.clone())
    }

    /// The window as JSON lines, entry states first: check it again with any budget.
    pub fn to_jsonl(&self) -> String {
        jsonl::write(&self.history())
    }
}
