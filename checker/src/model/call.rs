//! Defines a call: what a model is asked about.

use crate::history::{Kind, Operation, Text, Value};

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
pub(super) fn known(
    name: &str,
    call: &Call,
    functions: &[&str],
    refusable: &[&str],
) -> Result<(), String> {
    let f = call.f.as_str();
    if !functions.contains(&f) {
        return Err(format!("{} has no function {f:?}, only {}", a(name), functions.join(", ")));
    }
    if call.seen == Seen::Mismatch && !refusable.contains(&f) {
        return Err(format!("{} expects no state, so it cannot mismatch", a(f)));
    }
    Ok(())
}
