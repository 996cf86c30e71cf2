//! Sums up many numbers by the few that people compare.

use crate::history::Value;

/// `{count, min, p50, p99, max}`, or nothing of nothing.
pub(crate) fn distribution(mut numbers: Vec<i64>) -> Value {
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
pub(crate) fn milliseconds(nanoseconds: i64) -> Value {
    Value::Real(crate::history::Real(nanoseconds as f64 / 1e6))
}

/// The same of nanoseconds, told in milliseconds.
pub(crate) fn distribution_ms(nanoseconds: Vec<i64>) -> Value {
    match distribution(nanoseconds) {
        Value::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(name, value)| match value {
                    Value::Int(number) if name != "count" => (name, milliseconds(number)),
                    value => (name, value),
                })
                .collect(),
        ),
        nothing => nothing,
    }
}
