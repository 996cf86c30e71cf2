//! Summarizes numbers by their percentiles.

use crate::history::Value;

/// `{count, min, p50, p99, max}`, or nil if there are no numbers.
pub(crate) fn summarize(mut numbers: Vec<i64>) -> Value {
    numbers.sort_unstable();
    let Some(last) = numbers.len().checked_sub(1) else { return Value::Nil };
    let at = |percent: usize| Value::Int(numbers[last * percent / 100]);
    Value::map([
        ("count".to_owned(), Value::Int(numbers.len() as i64)),
        ("min".to_owned(), at(0)),
        ("p50".to_owned(), at(50)),
        ("p99".to_owned(), at(99)),
        ("max".to_owned(), at(100)),
    ])
}

/// Nanoseconds as milliseconds with a fraction.
pub(crate) fn to_milliseconds(nanoseconds: i64) -> Value {
    Value::Real(crate::history::Real(nanoseconds as f64 / 1e6))
}

/// The same for nanoseconds, in milliseconds.
pub(crate) fn summarize_ms(nanoseconds: Vec<i64>) -> Value {
    match summarize(nanoseconds) {
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(name, value)| match value {
                    Value::Int(number) if name != "count" => (name, to_milliseconds(number)),
                    value => (name, value),
                })
                .collect(),
        ),
        nothing => nothing,
    }
}
