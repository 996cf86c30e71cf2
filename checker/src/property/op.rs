//! Splits a history into objects, and describes operations in messages.

use rustc_hash::FxHashMap;

use crate::finding::Step;
use crate::history::{Actor, History, Kind, Operation, Process, Value};
use crate::verdict::Keyed;

static NIL: Value = Value::Nil;

/// An operation without the key of its object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op<'h> {
    pub(crate) f: &'h str,
    pub(crate) input: &'h Value,
    /// The returned value, if the operation is ok.
    pub(crate) output: Option<&'h Value>,
    pub(crate) kind: Kind,
    /// The index of its invocation.
    pub(crate) begin: u64,
    /// The index of its completion; `u64::MAX` unless the operation is ok.
    pub(crate) end: u64,
    pub(crate) operation: &'h Operation,
}

/// The operations on one object, in order of invocation.
#[derive(Debug)]
pub(crate) struct ObjectOps<'h> {
    pub(crate) key: Option<&'h Value>,
    pub(crate) ops: Vec<Op<'h>>,
}

impl<'h> Op<'h> {
    pub(crate) fn new(operation: &'h Operation) -> Self {
        let kind = operation.kind();
        let completion = operation.completion.as_ref().filter(|_| kind == Kind::Ok);
        Self {
            f: &operation.f,
            input: &operation.input,
            output: completion.map(|completion| &completion.output),
            kind,
            begin: operation.invoked.index,
            end: completion.map_or(u64::MAX, |completion| completion.at.index),
            operation,
        }
    }

    /// The key and the operation without it, if its values are `[key, value]`. An output of nil
    /// needs no key.
    pub(super) fn without_key(operation: &'h Operation) -> Option<(&'h Value, Self)> {
        let whole = Self::new(operation);
        let (key, input) = operation.input.as_pair()?;
        let output = match whole.output {
            None => None,
            Some(Value::Nil) => Some(&NIL),
            Some(output) => Some(output.as_pair().filter(|(answered, _)| *answered == key)?.1),
        };
        let plain = !matches!(key, Value::List(_) | Value::Nil);
        plain.then_some((key, Self { input, output, ..whole }))
    }

    pub(crate) fn process(&self) -> Process {
        self.operation.process
    }

    /// The author, as messages name it.
    pub(crate) fn actor(&self) -> Actor {
        self.operation.actor()
    }

    /// The time of its invocation, in nanoseconds.
    pub(crate) fn invoked_at(&self) -> u64 {
        self.operation.invoked.time
    }

    /// The time of its completion, in nanoseconds; that of its invocation if it did not complete.
    pub(crate) fn completed_at(&self) -> u64 {
        self.operation
            .completion
            .as_ref()
            .map_or(self.invoked_at(), |completion| completion.at.time)
    }

    /// Whether it may have taken effect.
    pub(crate) fn may_have_happened(&self) -> bool {
        self.kind != Kind::Fail
    }

    /// `add 5 by process 3 (index 12)`
    pub(crate) fn describe(&self) -> String {
        let argument = match self.input {
            Value::Nil => String::new(),
            input => format!(" {}", abbreviate(input)),
        };
        format!("{}{argument} by {} (index {})", self.f, self.actor(), self.begin)
    }

    /// The error for an input that the check cannot interpret.
    pub(crate) fn invalid_input(&self, why: &str) -> String {
        format!(
            "event index {}: {} by {} has an invalid input: {why}",
            self.begin,
            self.f,
            self.actor()
        )
    }

    /// The error for an output that the check cannot interpret.
    pub(crate) fn invalid_output(&self, why: &str) -> String {
        format!(
            "event index {}: {} by {} has an invalid output: {why}",
            self.end,
            self.f,
            self.actor()
        )
    }

    /// The error for a function that the check does not have.
    pub(crate) fn unknown_function(&self, known: &str) -> String {
        self.invalid_input(&format!("unknown function {:?}, expected {known}", self.f))
    }

    /// Why this operation precedes a later one in real time.
    pub(crate) fn acknowledged_before(&self, later: &Self) -> String {
        format!(
            "{} was acknowledged at index {}, before {} began",
            self.describe(),
            self.end,
            later.describe()
        )
    }

    /// One step of a proof, from this operation to another.
    pub(crate) fn step(&self, to: &Self, relation: &str, message: String) -> Step {
        Step { from: self.begin, to: to.begin, relation: relation.to_owned(), message }
    }
}

/// A value as text, shortened to 60 characters.
pub(crate) fn abbreviate(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

/// ` of key 3`, or nothing if the history is one object.
pub(crate) fn key_suffix(key: Option<&Value>) -> String {
    key.map_or_else(String::new, |key| format!(" of key {}", abbreviate(key)))
}

/// The history as one object.
pub(crate) fn single_object(history: &History) -> ObjectOps<'_> {
    ObjectOps { key: None, ops: history.operations().iter().map(Op::new).collect() }
}

/// The objects in order of their first operation; an error if a required key is missing.
pub(crate) fn split_by_key(history: &History, keyed: Keyed) -> Result<Vec<ObjectOps<'_>>, String> {
    if keyed == Keyed::No || (keyed == Keyed::Auto && !looks_keyed(history)) {
        return Ok(vec![single_object(history)]);
    }
    let mut objects: Vec<ObjectOps<'_>> = Vec::new();
    let mut places = FxHashMap::default();
    for operation in history.operations() {
        let (key, op) = Op::without_key(operation)
            .ok_or_else(|| Op::new(operation).invalid_input("expected [key value]"))?;
        let place = *places.entry(key).or_insert_with(|| {
            objects.push(ObjectOps { key: Some(key), ops: Vec::new() });
            objects.len() - 1
        });
        objects[place].ops.push(op);
    }
    Ok(objects)
}

fn looks_keyed(history: &History) -> bool {
    let operations = history.operations();
    !operations.is_empty()
        && operations.iter().all(|operation| Op::without_key(operation).is_some())
}
