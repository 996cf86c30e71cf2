//! Reads states that are lists.

use super::call::with_article;
use crate::history::Value;

/// The items of an initial state that must be a list.
pub(super) fn expect_list<'v>(name: &str, given: &'v Value) -> Result<&'v [Value], String> {
    match given {
        Value::List(items) => Ok(items),
        other => Err(format!("it began with {other}, but {} holds a list", with_article(name))),
    }
}

/// The items of a list state.
pub(super) fn list_items(state: &Value) -> &[Value] {
    match state {
        Value::List(items) => items,
        _ => &[],
    }
}
