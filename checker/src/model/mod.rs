//! Specifies objects one operation at a time: what a single correct copy would answer.
//!
//! A [`Model`] is a pure function from a state and a [`Call`] to the next state, or to the reason
//! in words why the call cannot have gone that way. One model is one file and one line in
//! [`MODELS`]. One that may go several ways is a [`Branching`], and [`AnyOf`] makes a model of it.

mod append_list;
mod branching;
mod cas_register;
mod counter;
mod fifo_queue;
mod kv;
mod lock;
mod multi_register;
mod register;
mod semaphore;
mod sequence;
mod set;
mod stack;
mod unordered_queue;
mod versioned_register;

pub use branching::{AnyOf, Branching};

use crate::history::{Kind, Operation, Text, Value};

/// Every model, in order of name.
pub const MODELS: &[&dyn Model] = &[
    &append_list::AppendList,
    &cas_register::CasRegister,
    &counter::Counter,
    &fifo_queue::FIFO_QUEUE,
    &kv::Kv,
    &lock::Lock,
    &multi_register::MultiRegister,
    &register::Register,
    &semaphore::Semaphore,
    &set::Set,
    &stack::STACK,
    &AnyOf(unordered_queue::UnorderedQueue),
    &versioned_register::VersionedRegister,
];

/// Those that are cells with `read`, `write`, `cas` and text.
#[cfg(test)]
pub(crate) const CELLS: &[&dyn Model] = &[&cas_register::CasRegister, &kv::Kv, &register::Register];

/// The model of that name.
pub fn named(name: &str) -> Option<&'static dyn Model> {
    MODELS.iter().copied().find(|model| model.name() == name)
}

/// The names of all models.
pub fn names() -> Vec<&'static str> {
    MODELS.iter().map(|model| model.name()).collect()
}

/// A sequential specification.
pub trait Model: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What it is, in a sentence.
    fn doc(&self) -> &'static str;

    /// The state of a fresh copy.
    fn initial(&self) -> Value;

    /// A state that a history says it began in, as the model holds it, or why it is none.
    fn begins(&self, given: &Value) -> Result<Value, String> {
        Ok(given.clone())
    }

    /// Whether its calls carry `[key, value]` by their nature and its state holds every key.
    /// Otherwise the model is one plain object, and a keyed history is one copy of it per key.
    fn has_keys(&self) -> bool {
        false
    }

    /// Refuses a call that the model has no meaning for. [`Model::step`] is asked of no other.
    fn understands(&self, call: &Call) -> Result<(), String>;

    /// Whether the call leaves every state as it is. The search relies on it.
    fn observes(&self, call: &Call) -> bool;

    /// What is true of the call whatever state it meets; nothing, if in doubt. The search relies on
    /// it, and of a model with keys it need be true only of states that hold no other key.
    fn shape(&self, _call: &Call) -> Shape {
        Shape::default()
    }

    /// The one state that there can be after the call, whatever was before it; nothing, if there may be several. A
    /// long history is cut where such a call was alone. Of a model with keys it holds where its shapes do.
    fn settles(&self, call: &Call) -> Option<Value> {
        let Shape { meets, leaves } = self.shape(call);
        match meets {
            Meets::One(state) if self.observes(call) => Some(state),
            _ if self.observes(call) => None,
            _ => leaves,
        }
    }

    /// Whether the call only adds to the state, so that [`Model::is_past`] stays true over it.
    fn grows(&self, _call: &Call) -> bool {
        false
    }

    /// Whether the state rules out this observation for good, as long as it only grows; and
    /// whatever grows can go on growing from such a state.
    fn is_past(&self, _state: &Value, _call: &Call) -> bool {
        false
    }

    /// The state after the call, or why it cannot have gone that way in this state.
    fn step(&self, state: &Value, call: &Call) -> Result<Value, String>;
}

/// What is true of a call whatever state it meets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The states that let it go as it went.
    pub meets: Meets,
    /// The state it leaves behind wherever it can go, if there is one such; of a call that observes
    /// it says nothing.
    pub leaves: Option<Value>,
}

/// The states that let a call go as it went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Meets {
    /// Every state.
    Any,
    /// This one and no other.
    One(Value),
    /// Nobody knows which.
    #[default]
    Some,
}

/// What a model is asked about: a function, its argument and what was seen of its effect.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// The function.
    pub f: Text,
    /// Its argument.
    pub input: Value,
    /// What the client was told.
    pub seen: Seen,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Seen {
    /// That it happened, with this result.
    Output(Value),
    /// That the state was not the one it expected.
    Mismatch,
    /// Nothing.
    Nothing,
}

impl Call {
    /// Whether an operation has a say: one that failed has none, unless it saw a state.
    pub(crate) fn is_made_by(operation: &Operation) -> bool {
        operation.kind() != Kind::Fail || operation.is_mismatch()
    }

    /// The call of an operation as it stands, or `None` of one that did not happen.
    pub fn of(operation: &Operation) -> Option<Self> {
        let seen = match (&operation.completion, operation.kind()) {
            (_, Kind::Fail) if operation.is_mismatch() => Seen::Mismatch,
            (_, Kind::Fail) => return None,
            (Some(completion), Kind::Ok) => Seen::Output(completion.output.clone()),
            _ => Seen::Nothing,
        };
        Some(Self { f: operation.f.clone(), input: operation.input.clone(), seen })
    }
}

/// The name with its article.
pub(crate) fn a(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// Refuses functions other than these, and a mismatch of those that cannot be refused.
fn known(name: &str, call: &Call, functions: &[&str], refusable: &[&str]) -> Result<(), String> {
    let f = call.f.as_str();
    if !functions.contains(&f) {
        return Err(format!("{} has no function {f:?}, only {}", a(name), functions.join(", ")));
    }
    if call.seen == Seen::Mismatch && !refusable.contains(&f) {
        return Err(format!("{} expects no state, so it cannot mismatch", a(f)));
    }
    Ok(())
}

/// What a history began with, if it is a list.
fn listed<'v>(name: &str, given: &'v Value) -> Result<&'v [Value], String> {
    match given {
        Value::List(items) => Ok(items),
        other => Err(format!("it began with {other}, but {} holds a list", a(name))),
    }
}

/// What a list holds.
fn items(state: &Value) -> &[Value] {
    match state {
        Value::List(items) => items,
        _ => &[],
    }
}

#[cfg(test)]
mod object_tests;
#[cfg(test)]
mod tests;
