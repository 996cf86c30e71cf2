//! Lists the errors that operations completed with, to find unexpected ones.

use std::collections::BTreeMap;

use super::op::abbreviate;
use super::verdict_builder::VerdictBuilder;
use crate::history::{History, Kind, Operation, Text, Value};
use crate::verdict::Verdict;

/// Operations of one function that completed with the same error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnhandledError {
    /// The error text, or its first item if it is a list.
    pub error: String,
    /// The function.
    pub f: Text,
    /// The outcome: `fail` or `info`.
    pub kind: Kind,
    /// The number of such operations.
    pub count: usize,
    /// The index of the first invocation of such an operation.
    pub first: u64,
}

/// Every error that is not expected, the most frequent first.
pub fn find_unhandled_errors(history: &History, known: &[&str]) -> Vec<UnhandledError> {
    let mut kinds: BTreeMap<(String, &str, Kind), UnhandledError> = BTreeMap::new();
    for operation in history.operations() {
        let Some(error) = error_text(operation).filter(|error| !known.contains(&error.as_str()))
        else {
            continue;
        };
        let (f, kind, first) = (&operation.f, operation.kind(), operation.invoked.index);
        let fresh = || UnhandledError { error: error.clone(), f: f.clone(), kind, count: 0, first };
        kinds.entry((error.clone(), f, kind)).or_insert_with(fresh).count += 1;
    }
    let mut kinds: Vec<UnhandledError> = kinds.into_values().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    kinds
}

/// The error of an operation: a text, or the head of a list such as Jepsen's `[:timeout …]`.
fn error_text(operation: &Operation) -> Option<String> {
    match operation.completion.as_ref()?.error.as_ref()? {
        Value::Str(text) => Some(text.to_string()),
        Value::List(items) => items.first().map(|head| match head {
            Value::Str(text) => text.to_string(),
            other => abbreviate(other),
        }),
        other => Some(abbreviate(other)),
    }
}

/// Unknown if there is an unexpected error, because its outcome may have been misclassified.
pub fn check_errors(history: &History, known: &[&str]) -> Verdict {
    let mut builder = VerdictBuilder::new("unhandled-errors", &[]);
    let found = find_unhandled_errors(history, known);
    if let Some(UnhandledError { error, f, count, first, .. }) = found.first() {
        builder.add_unknown(|| {
            format!(
                "{count} calls of {f} completed with the unexpected error {error:?}, first at \
                 index {first}"
            )
        });
    }
    builder.stats.operations = history.operations().len();
    builder.set_measure("errors", found.iter().map(error_row).collect::<Vec<_>>());
    builder.build("no operation completed with an unexpected error")
}

fn error_row(kind: &UnhandledError) -> Value {
    Value::map([
        ("error".to_owned(), Value::from(kind.error.as_str())),
        ("f".to_owned(), Value::from(kind.f.as_str())),
        ("count".to_owned(), Value::Int(kind.count as i64)),
        ("first".to_owned(), Value::Int(kind.first as i64)),
    ])
}
