//! Checks values that only grow: reads of a counter, or rows with timestamps of the database.
//!
//! A read that began after another completed must not return a lower value; reads of one client are
//! a special case. In order of invocation, each read is compared with the highest value of the
//! reads completed by then. If reads return rows `{val, sts}`, as in Jepsen's monotonic, the values
//! of the last read must grow with their timestamps, and every acknowledged row must be present
//! once.

use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

use super::op::{ObjectOps, Op, abbreviate, key_suffix, split_by_key};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "monotonic";

/// The pairs of reads between which the value must not decrease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MonotonicScope {
    /// Reads of one client.
    OwnReads,
    /// Any two reads in real-time order.
    AllReads,
}

/// Values that only grow.
pub(crate) struct Monotonic;

impl Check for Monotonic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "a `read` of a value that only grows is never lower than one that completed before it \
         began; rows of `add` grow with the timestamps of the database (Jepsen's monotonic)"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_monotonic(history, limits, MonotonicScope::AllReads)
    }
}

/// Compares reads of the same client, or all reads in real-time order.
pub fn check_monotonic(history: &History, limits: &Limits<'_>, scope: MonotonicScope) -> Verdict {
    try_check(history, limits, scope).unwrap_or_else(|why| unsupported_history(NAME, why))
}

const KINDS: &[&str] = &[
    "non-monotonic-session",
    "non-monotonic-realtime",
    "off-order",
    "lost",
    "duplicated",
    "unexpected",
];

fn try_check(
    history: &History,
    limits: &Limits<'_>,
    scope: MonotonicScope,
) -> Result<Verdict, String> {
    let mut builder = VerdictBuilder::new(NAME, KINDS);
    let mut reads = 0;
    for object in split_by_key(history, limits.keyed)? {
        let before = builder.case_count();
        let seen = collect_observations(&object)?;
        reads += seen.numbers.values().map(Vec::len).sum::<usize>();
        reads += usize::from(seen.last_rows.is_some());
        for (key, numbers) in seen.numbers {
            check_growth(key.as_ref().or(object.key), numbers, scope, &mut builder);
        }
        if let Some(read) = seen.last_rows {
            check_rows(&object, read, &mut builder)?;
        }
        builder.finish_object(object.ops.len(), before);
    }
    if reads == 0 {
        builder.add_unknown(|| "no read completed".to_owned());
    }
    Ok(builder.build(&format!("no value decreased in {reads} reads")))
}

/// The values that were read from one object.
#[derive(Default)]
struct Observations<'o, 'h> {
    /// The numbers of each key, in order of invocation; the key is `None` for single values.
    numbers: BTreeMap<Option<Value>, Vec<(i64, &'o Op<'h>)>>,
    /// The last read that returned rows.
    last_rows: Option<&'o Op<'h>>,
}

fn collect_observations<'o, 'h>(object: &'o ObjectOps<'h>) -> Result<Observations<'o, 'h>, String> {
    let mut seen = Observations::default();
    for op in &object.ops {
        match (op.f, op.output) {
            ("read", Some(Value::Nil)) => {}
            ("read", Some(Value::Int(number))) => {
                seen.numbers.entry(None).or_default().push((*number, op));
            }
            ("read" | "inc", Some(Value::Map(numbers))) => add_numbers(op, numbers, &mut seen)?,
            ("read", Some(Value::List(_))) => {
                let later = seen.last_rows.is_none_or(|last| last.end < op.end);
                seen.last_rows = if later { Some(op) } else { seen.last_rows };
            }
            ("read", Some(other)) => {
                return Err(
                    op.invalid_output(&format!("expected a number, got {}", abbreviate(other)))
                );
            }
            ("read" | "inc" | "add" | "write", _) => {}
            _ => return Err(op.unknown_function("add, inc, read, write")),
        }
    }
    Ok(seen)
}

fn add_numbers<'o, 'h>(
    op: &'o Op<'h>,
    numbers: &[(String, Value)],
    seen: &mut Observations<'o, 'h>,
) -> Result<(), String> {
    for (key, value) in numbers {
        match value {
            Value::Nil => {}
            Value::Int(number) => {
                let key = Some(Value::from(key.as_str()));
                seen.numbers.entry(key).or_default().push((*number, op));
            }
            other => {
                return Err(
                    op.invalid_output(&format!("expected a number, got {}", abbreviate(other)))
                );
            }
        }
    }
    Ok(())
}

/// Compares each number with the highest one read before its own read began.
fn check_growth(
    key: Option<&Value>,
    numbers: Vec<(i64, &Op<'_>)>,
    scope: MonotonicScope,
    builder: &mut VerdictBuilder,
) {
    let mut done = numbers.clone();
    done.sort_by_key(|(_, op)| op.end);
    let mut done = done.into_iter().peekable();
    let mut highest: Option<(i64, &Op<'_>)> = None;
    let mut own: BTreeMap<_, (i64, &Op<'_>)> = BTreeMap::new();
    for (number, op) in numbers {
        while let Some(earlier) = done.next_if(|(_, earlier)| earlier.end < op.begin) {
            highest = highest.filter(|held| held.0 >= earlier.0).or(Some(earlier));
        }
        let above = |held: &(i64, &Op<'_>)| held.0 > number;
        let mine = own.get(&op.process()).copied();
        if let Some(first) = mine.filter(above) {
            builder.add_case("non-monotonic-session", || decrease_case(key, first, (number, op)));
        } else if let Some(first) = highest.filter(above)
            && scope == MonotonicScope::AllReads
        {
            builder.add_case("non-monotonic-realtime", || decrease_case(key, first, (number, op)));
        }
        if mine.is_none_or(|mine| mine.0 < number) {
            own.insert(op.process(), (number, op));
        }
    }
}

fn decrease_case(
    key: Option<&Value>,
    first: (i64, &Op<'_>),
    second: (i64, &Op<'_>),
) -> AnomalyCase {
    AnomalyCase {
        message: format!(
            "{} returned {}{} after {} returned {}: the value decreased",
            second.1.describe(),
            second.0,
            key_suffix(key),
            first.1.describe(),
            first.0
        ),
        steps: vec![first.1.step(second.1, "realtime", first.1.acknowledged_before(second.1))],
        operations: vec![first.1.begin, second.1.begin],
    }
}

/// A value and its timestamp: `{val, sts}` or `[val, sts]`.
fn parse_row(row: &Value) -> Option<(i64, &Value)> {
    match row {
        Value::List(parts) => match &**parts {
            [Value::Int(val), sts] => Some((*val, sts)),
            _ => None,
        },
        Value::Map(fields) => {
            let field = |name: &str| fields.iter().find(|(field, _)| field == name);
            match (field("val"), field("sts").or_else(|| field("ts"))) {
                (Some((_, Value::Int(val))), Some((_, sts))) => Some((*val, sts)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Checks the rows of the last read.
fn check_rows(
    object: &ObjectOps<'_>,
    read: &Op<'_>,
    builder: &mut VerdictBuilder,
) -> Result<(), String> {
    let Some(Value::List(items)) = read.output else { return Ok(()) };
    let mut rows = Vec::with_capacity(items.len());
    for item in items.iter() {
        let why =
            || read.invalid_output(&format!("{} is not a row {{val, sts}}", abbreviate(item)));
        rows.push(parse_row(item).ok_or_else(why)?);
    }
    // Rows with equal timestamps are unordered.
    rows.sort_by_key(|(val, stamp)| (*stamp, *val));
    for pair in rows.windows(2).filter(|pair| pair[0].0 > pair[1].0) {
        builder.add_case("off-order", || {
            let [(first, at), (second, then)] = [pair[0], pair[1]];
            build_case(
                format!(
                    "{} returned {first} with timestamp {at} and {second} with the later \
                     timestamp {then}",
                    read.describe()
                ),
                &[read],
            )
        });
    }
    let mut counts: FxHashMap<i64, usize> = FxHashMap::default();
    for (val, _) in &rows {
        *counts.entry(*val).or_default() += 1;
    }
    check_duplicates(&rows, &mut counts.clone(), read, builder);
    check_added(object, &counts, read, builder)
}

fn build_case(message: String, ops: &[&Op<'_>]) -> AnomalyCase {
    AnomalyCase {
        message,
        operations: ops.iter().map(|op| op.begin).collect(),
        ..AnomalyCase::default()
    }
}

fn check_duplicates(
    rows: &[(i64, &Value)],
    counts: &mut FxHashMap<i64, usize>,
    read: &Op<'_>,
    builder: &mut VerdictBuilder,
) {
    for (val, _) in rows {
        if counts.remove(val).is_some_and(|count| count > 1) {
            builder.add_case("duplicated", || {
                build_case(format!("{} returned {val} more than once", read.describe()), &[read])
            });
        }
    }
}

/// Compares the rows with the additions.
fn check_added(
    object: &ObjectOps<'_>,
    shown: &FxHashMap<i64, usize>,
    read: &Op<'_>,
    builder: &mut VerdictBuilder,
) -> Result<(), String> {
    let (mut refused, mut possible) = (FxHashMap::default(), FxHashSet::default());
    for op in object.ops.iter().filter(|op| op.f == "add") {
        let value = op.output.unwrap_or(op.input);
        let val = match (parse_row(value), value) {
            (Some((val, _)), _) => val,
            (None, Value::Int(val)) => *val,
            _ if op.output.is_none() => continue,
            _ => {
                return Err(
                    op.invalid_output(&format!("{} is not a row {{val, sts}}", abbreviate(value)))
                );
            }
        };
        let there = shown.contains_key(&val);
        if op.end < read.begin && !there {
            builder.add_case("lost", || AnomalyCase {
                steps: vec![op.step(read, "realtime", op.acknowledged_before(read))],
                ..build_case(
                    format!("{} lacks {val}, which {} added", read.describe(), op.describe()),
                    &[op, read],
                )
            });
        } else if op.may_have_happened() {
            possible.insert(val);
        } else if there {
            refused.insert(val, op);
        }
    }
    let mut refused: Vec<_> = refused.into_iter().collect();
    refused.retain(|(val, _)| !possible.contains(val));
    refused.sort_unstable_by_key(|(_, op)| op.begin);
    for (val, op) in refused {
        builder.add_case("unexpected", || {
            build_case(
                format!("{} returned {val} of {}, which failed", read.describe(), op.describe()),
                &[op, read],
            )
        });
    }
    Ok(())
}
