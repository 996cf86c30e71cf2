//! Splits a history into the objects a property speaks of, and names operations in sentences.

use rustc_hash::FxHashMap;

use crate::finding::Step;
use crate::history::{History, Kind, Operation, Process, Value};
use crate::verdict::Keyed;

static NIL: Value = Value::Nil;

/// An operation without the key of its object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Op<'h> {
    pub(crate) f: &'h str,
    pub(crate) input: &'h Value,
    /// What the client was told, if the operation is ok.
    pub(crate) output: Option<&'h Value>,
    pub(crate) kind: Kind,
    /// The index of its invocation.
    pub(crate) begin: u64,
    /// The index by which it had happened; never, of one that is not ok.
    pub(crate) end: u64,
    pub(crate) operation: &'h Operation,
}

/// The operations on one object, in order of invocation.
#[derive(Debug)]
pub(crate) struct Object<'h> {
    pub(crate) key: Option<&'h Value>,
    pub(crate) ops: Vec<Op<'h>>,
}

impl<'h> Op<'h> {
    pub(crate) fn whole(operation: &'h Operation) -> Self {
        let kind = operation.kind();
        let told = operation.completion.as_ref().filter(|_| kind == Kind::Ok);
        Self {
            f: &operation.f,
            input: &operation.input,
            output: told.map(|completion| &completion.output),
            kind,
            begin: operation.invoked.index,
            end: told.map_or(u64::MAX, |completion| completion.at.index),
            operation,
        }
    }

    /// The same without its key, if it has one. An answer of nothing says nothing of the key.
    fn inner(operation: &'h Operation) -> Option<(&'h Value, Self)> {
        let whole = Self::whole(operation);
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

    /// When it was invoked, in nanoseconds.
    pub(crate) fn asked_at(&self) -> u64 {
        self.operation.invoked.time
    }

    /// When it completed, in nanoseconds; of one that did not, when it was invoked.
    pub(crate) fn told_at(&self) -> u64 {
        self.operation.completion.as_ref().map_or(self.asked_at(), |told| told.at.time)
    }

    /// Whether it may have happened.
    pub(crate) fn possible(&self) -> bool {
        self.kind != Kind::Fail
    }

    /// `add 5 by process 3 (index 12)`
    pub(crate) fn named(&self) -> String {
        let argument = match self.input {
            Value::Nil => String::new(),
            input => format!(" {}", brief(input)),
        };
        format!("{}{argument} by {} (index {})", self.f, self.process(), self.begin)
    }

    /// Why its argument means nothing.
    pub(crate) fn bad_input(&self, why: &str) -> String {
        format!("event index {}: {} of {} means nothing: {why}", self.begin, self.f, self.process())
    }

    /// Why its answer means nothing.
    pub(crate) fn bad_output(&self, why: &str) -> String {
        format!("event index {}: {} of {} means nothing: {why}", self.end, self.f, self.process())
    }

    /// Why the function means nothing.
    pub(crate) fn unknown_function(&self, known: &str) -> String {
        self.bad_input(&format!("there is no function {:?} here, only {known}", self.f))
    }

    /// A link of an argument from this operation to another.
    pub(crate) fn step(&self, to: &Self, relation: &str, message: String) -> Step {
        Step { from: self.begin, to: to.begin, relation: relation.to_owned(), message }
    }
}

/// A value as it fits into a sentence.
pub(crate) fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

/// ` of key 3`, or nothing where there is one object.
pub(crate) fn of_key(key: Option<&Value>) -> String {
    key.map_or_else(String::new, |key| format!(" of key {}", brief(key)))
}

/// The history as one object.
pub(crate) fn whole(history: &History) -> Object<'_> {
    Object { key: None, ops: history.operations().iter().map(Op::whole).collect() }
}

/// The objects in order of their first operation; an error where a key is missing though promised.
pub(crate) fn objects(history: &History, keyed: Keyed) -> Result<Vec<Object<'_>>, String> {
    if keyed == Keyed::No || (keyed == Keyed::Auto && !looks_keyed(history)) {
        return Ok(vec![whole(history)]);
    }
    let mut objects: Vec<Object<'_>> = Vec::new();
    let mut places = FxHashMap::default();
    for operation in history.operations() {
        let (key, op) = Op::inner(operation)
            .ok_or_else(|| Op::whole(operation).bad_input("it is not about [key value]"))?;
        let place = *places.entry(key).or_insert_with(|| {
            objects.push(Object { key: Some(key), ops: Vec::new() });
            objects.len() - 1
        });
        objects[place].ops.push(op);
    }
    Ok(objects)
}

fn looks_keyed(history: &History) -> bool {
    let operations = history.operations();
    !operations.is_empty() && operations.iter().all(|operation| Op::inner(operation).is_some())
}
