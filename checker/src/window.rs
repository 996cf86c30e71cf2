//! Holds the evidence for a violation: a few operations that no order explains.
//!
//! A window is illegal when replayed alone from any of its entry states, and legal without the
//! accused operation. Both are checked before a window is returned.

use serde::Serialize;

use crate::history::{Event, History, Kind, Operation, Value, jsonl};

/// A part of a history that proves the violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Window {
    /// The key of the object, if the history is keyed.
    pub key: Option<Value>,
    /// Every state that the object could have been in where the window begins.
    pub entry_states: Vec<Value>,
    /// The operations, in order of invocation.
    pub operations: Vec<Operation>,
    /// The position in `operations` of the operation whose completion no order explains.
    pub accused: usize,
    /// The longest consistent prefix of an order, as positions in `operations`.
    pub legal_prefix: Vec<usize>,
    /// The states that are possible before each operation of that prefix.
    pub states_along: Vec<Vec<Value>>,
    /// The states that are possible after that prefix.
    pub states_after: Vec<Value>,
    /// Every remaining operation, and why it cannot come next.
    pub candidates: Vec<Candidate>,
    /// The violation in one sentence.
    #[serde(rename = "sentence")]
    pub message: String,
}

/// An operation that cannot come next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// Its position in the window's operations.
    pub operation: usize,
    /// Why it cannot come next.
    pub reason: String,
}

impl Window {
    /// A short description of an operation: `cas [4 5] ok @n2 by process 7`.
    pub fn name(&self, place: usize) -> String {
        let operation = &self.operations[place];
        format!("{} by {}", self.label(place), operation.actor())
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
        let shown = describe_call(f, self.without_key(shown));
        format!("{shown} {outcome}{node}")
    }

    /// The value without the key, which the heading of the drawing shows.
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

    /// The window as JSON lines, entry states first, to check it again with another budget.
    pub fn to_jsonl(&self) -> String {
        jsonl::write(&self.history())
    }
}

/// A function and its value. A function that a [`crate::Spec`] named is the whole call, as in
/// `Push(1) -> ()`, so a nil after it is left out.
pub(crate) fn describe_call(f: &str, value: &Value) -> String {
    let is_whole_call = f.contains(|c: char| c.is_ascii_uppercase() || " ()".contains(c));
    if is_whole_call && *value == Value::Nil { f.to_owned() } else { format!("{f} {value}") }
}
