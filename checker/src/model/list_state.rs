//! Reads states that are lists.

use super::call::a;
use crate::history::Value;

/// What a history began with, if it is a list.
pub(super) fn listed<'v>(name: &str, given: &'v Value) -> Result<&'v [Value], String> {
    match given {
        Value::List(items) => Ok(items),
        other => Err(format!("it began with {other}, but {} holds a list", a(name))),
    }
}

/// What a list holds.
pub(super) fn items(state: &Value) -> &[Value] {
    match state {
        Value::List(items) => items,
        _ => &[],
    }
}
