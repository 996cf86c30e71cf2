//! Lists the errors that operations ended with, so that none goes unnoticed.

use std::collections::BTreeMap;

use super::objects::brief;
use super::tally::Tally;
use crate::history::{History, Kind, Operation, Text, Value};
use crate::verdict::Verdict;

/// A kind of error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unhandled {
    /// Its text, or its first word where it is a list.
    pub error: String,
    /// The function that met it.
    pub f: Text,
    /// How it ended: `fail` or `info`.
    pub kind: Kind,
    /// How often.
    pub count: usize,
    /// The invocation of the first such operation.
    pub first: u64,
}

/// Every kind of error that is not among those known, the most frequent first.
pub fn unhandled(history: &History, known: &[&str]) -> Vec<Unhandled> {
    let mut kinds: BTreeMap<(String, &str, Kind), Unhandled> = BTreeMap::new();
    for operation in history.operations() {
        let Some(error) = error(operation).filter(|error| !known.contains(&error.as_str())) else {
            continue;
        };
        let (f, kind, first) = (&operation.f, operation.kind(), operation.invoked.index);
        let fresh = || Unhandled { error: error.clone(), f: f.clone(), kind, count: 0, first };
        kinds.entry((error.clone(), f, kind)).or_insert_with(fresh).count += 1;
    }
    let mut kinds: Vec<Unhandled> = kinds.into_values().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
    kinds
}

/// What an operation says went wrong: a text, or the head of a list such as Jepsen's `[:timeout …]`.
fn error(operation: &Operation) -> Option<String> {
    match operation.completion.as_ref()?.error.as_ref()? {
        Value::Str(text) => Some(text.to_string()),
        Value::List(items) => items.first().map(|head| match head {
            Value::Str(text) => text.to_string(),
            other => brief(other),
        }),
        other => Some(brief(other)),
    }
}

/// Unknown if there is an error that is not among those known: its outcome may have been misjudged.
pub fn judge(history: &History, known: &[&str]) -> Verdict {
    let mut tally = Tally::new("unhandled-errors", &[]);
    let found = unhandled(history, known);
    if let Some(Unhandled { error, f, count, first, .. }) = found.first() {
        tally.doubt(|| {
            format!(
                "{count} {f} ended with {error:?}, which nobody expected, first at index {first}"
            )
        });
    }
    tally.stats.operations = history.operations().len();
    tally.measure("errors", found.iter().map(told).collect::<Vec<_>>());
    tally.verdict("no operation ended with an unexpected error")
}

fn told(kind: &Unhandled) -> Value {
    Value::map([
        ("error".to_owned(), Value::from(kind.error.as_str())),
        ("f".to_owned(), Value::from(kind.f.as_str())),
        ("count".to_owned(), Value::Int(kind.count as i64)),
        ("first".to_owned(), Value::Int(kind.first as i64)),
    ])
}
