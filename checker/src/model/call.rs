//! Defines a call: what a model is asked about.

use crate::history::{Kind, Operation, Text, Value};

/// One call of an operation: a function, its argument and its response.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call {
    /// The function.
    pub f: Text,
    /// Its argument.
    pub input: Value,
    /// What the client learned of the outcome.
    pub response: Response,
}

/// What a client learned of the outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Response {
    /// The call took effect and returned this value.
    Output(Value),
    /// The call changed nothing, because the state was not the expected one.
    Mismatch,
    /// The outcome is unknown.
    Unknown,
}

impl Call {
    /// Whether the operation constrains the object. A failed operation does not, unless it observed
    /// a mismatch.
    pub(crate) fn is_made_by(operation: &Operation) -> bool {
        operation.kind() != Kind::Fail || operation.is_mismatch()
    }

    /// The call of an operation, or `None` if the operation did not take effect.
    pub fn of(operation: &Operation) -> Option<Self> {
        let response = match (&operation.completion, operation.kind()) {
            (_, Kind::Fail) if operation.is_mismatch() => Response::Mismatch,
            (_, Kind::Fail) => return None,
            (Some(completion), Kind::Ok) => Response::Output(completion.output.clone()),
            _ => Response::Unknown,
        };
        Some(Self { f: operation.f.clone(), input: operation.input.clone(), response })
    }
}

/// The name with its indefinite article.
pub(crate) fn with_article(name: &str) -> String {
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

/// Rejects functions outside of the list, and mismatches of functions that cannot mismatch.
pub(super) fn check_function(
    name: &str,
    call: &Call,
    functions: &[&str],
    refusable: &[&str],
) -> Result<(), String> {
    let f = call.f.as_str();
    if !functions.contains(&f) {
        return Err(format!(
            "{} has no function {f:?}, only {}",
            with_article(name),
            functions.join(", ")
        ));
    }
    if call.response == Response::Mismatch && !refusable.contains(&f) {
        return Err(format!("{} expects no state, so it cannot mismatch", with_article(f)));
    }
    Ok(())
}
