//! Judges values that may only grow: reads of a growing counter, or rows stamped by the database.
//!
//! A read that began after another completed must not be lower; a client's own reads are a special case of it.
//! Sorted by invocation, each read is compared with the highest that was complete by then. Where reads return rows
//! `{val, sts}`, as in Jepsen's monotonic, values must grow with the timestamps of the last read, and every
//! acknowledged row must be there once.

use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

use super::objects::{Object, Op, brief, objects, of_key};
use super::set_final::after;
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "monotonic";

/// Between which reads the value may not shrink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Reads of one client.
    OwnReads,
    /// Any read and those that begin after it completed.
    AllReads,
}

/// What grows never shrinks.
pub(crate) struct Monotonic;

impl Check for Monotonic {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "a `read` of a value that only grows is never lower than one that completed before it began; \
         rows of `add` stamped by the database grow with their timestamps (Jepsen's monotonic)"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(history, limits, Between::AllReads)
    }
}

/// Judges reads against those of the same client, or against all.
pub fn judge(history: &History, limits: &Limits<'_>, between: Between) -> Verdict {
    judged(history, limits, between).unwrap_or_else(|why| meaningless(NAME, why))
}

const KINDS: &[&str] = &[
    "non-monotonic-session",
    "non-monotonic-realtime",
    "off-order",
    "lost",
    "duplicated",
    "unexpected",
];

fn judged(history: &History, limits: &Limits<'_>, between: Between) -> Result<Verdict, String> {
    let mut tally = Tally::new(NAME, KINDS);
    let mut reads = 0;
    for object in objects(history, limits.keyed)? {
        let before = tally.wrongs();
        let seen = observations(&object)?;
        reads += seen.numbers.values().map(Vec::len).sum::<usize>();
        reads += usize::from(seen.last_rows.is_some());
        for (key, numbers) in seen.numbers {
            grows(key.as_ref().or(object.key), numbers, between, &mut tally);
        }
        if let Some(read) = seen.last_rows {
            stamped(&object, read, &mut tally)?;
        }
        tally.count(object.ops.len(), before);
    }
    if reads == 0 {
        tally.doubt(|| "nothing was ever read".to_owned());
    }
    Ok(tally.verdict(&format!("none of {reads} reads went back")))
}

/// What was seen of one object.
#[derive(Default)]
struct Seen<'o, 'h> {
    /// Numbers by key within a read of several, in order of invocation.
    numbers: BTreeMap<Option<Value>, Vec<(i64, &'o Op<'h>)>>,
    /// The last read that returned rows.
    last_rows: Option<&'o Op<'h>>,
}

fn observations<'o, 'h>(object: &'o Object<'h>) -> Result<Seen<'o, 'h>, String> {
    let mut seen = Seen::default();
    for op in &object.ops {
        match (op.f, op.output) {
            ("read", Some(Value::Nil)) => {}
            ("read", Some(Value::Int(number))) => {
                seen.numbers.entry(None).or_default().push((*number, op));
            }
            ("read" | "inc", Some(Value::Map(numbers))) => several(op, numbers, &mut seen)?,
            ("read", Some(Value::List(_))) => {
                let later = seen.last_rows.is_none_or(|last| last.end < op.end);
                seen.last_rows = if later { Some(op) } else { seen.last_rows };
            }
            ("read", Some(other)) => {
                return Err(op.bad_output(&format!("it read {}, no number", brief(other))));
            }
            ("read" | "inc" | "add" | "write", _) => {}
            _ => return Err(op.unknown_function("add, inc, read, write")),
        }
    }
    Ok(seen)
}

fn several<'o, 'h>(
    op: &'o Op<'h>,
    numbers: &[(String, Value)],
    seen: &mut Seen<'o, 'h>,
) -> Result<(), String> {
    for (key, value) in numbers {
        match value {
            Value::Nil => {}
            Value::Int(number) => {
                let key = Some(Value::from(key.as_str()));
                seen.numbers.entry(key).or_default().push((*number, op));
            }
            other => {
                return Err(op.bad_output(&format!("it read {}, no number", brief(other))));
            }
        }
    }
    Ok(())
}

/// Compares each number with the highest known when its read began.
fn grows(key: Option<&Value>, numbers: Vec<(i64, &Op<'_>)>, between: Between, tally: &mut Tally) {
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
            tally.found("non-monotonic-session", || back(key, first, (number, op)));
        } else if let Some(first) = highest.filter(above)
            && between == Between::AllReads
        {
            tally.found("non-monotonic-realtime", || back(key, first, (number, op)));
        }
        if mine.is_none_or(|mine| mine.0 < number) {
            own.insert(op.process(), (number, op));
        }
    }
}

fn back(key: Option<&Value>, first: (i64, &Op<'_>), second: (i64, &Op<'_>)) -> Case {
    Case {
        message: format!(
            "{} returned {}{} after {} had returned {}: the value went back",
            second.1.named(),
            second.0,
            of_key(key),
            first.1.named(),
            first.0
        ),
        steps: vec![first.1.step(second.1, "realtime", after(first.1, second.1))],
        operations: vec![first.1.begin, second.1.begin],
    }
}

/// A value and its timestamp: `{val, sts}` or `[val, sts]`.
fn row(row: &Value) -> Option<(i64, &Value)> {
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

/// Judges the rows of the last read.
fn stamped(object: &Object<'_>, read: &Op<'_>, tally: &mut Tally) -> Result<(), String> {
    let Some(Value::List(items)) = read.output else { return Ok(()) };
    let mut rows = Vec::with_capacity(items.len());
    for item in items.iter() {
        let why = || read.bad_output(&format!("{} is no row {{val, sts}}", brief(item)));
        rows.push(row(item).ok_or_else(why)?);
    }
    // Rows of one stamp say nothing of which came first.
    rows.sort_by_key(|(val, stamp)| (*stamp, *val));
    for pair in rows.windows(2).filter(|pair| pair[0].0 > pair[1].0) {
        tally.found("off-order", || {
            let [(first, at), (second, then)] = [pair[0], pair[1]];
            about(
                format!("{} shows {first} stamped {at} and {second} stamped {then}", read.named()),
                &[read],
            )
        });
    }
    let mut counts: FxHashMap<i64, usize> = FxHashMap::default();
    for (val, _) in &rows {
        *counts.entry(*val).or_default() += 1;
    }
    repeated(&rows, &mut counts.clone(), read, tally);
    added(object, &counts, read, tally)
}

fn about(message: String, ops: &[&Op<'_>]) -> Case {
    Case { message, operations: ops.iter().map(|op| op.begin).collect(), ..Case::default() }
}

fn repeated(
    rows: &[(i64, &Value)],
    counts: &mut FxHashMap<i64, usize>,
    read: &Op<'_>,
    tally: &mut Tally,
) {
    for (val, _) in rows {
        if counts.remove(val).is_some_and(|count| count > 1) {
            tally.found("duplicated", || {
                about(format!("{} shows {val} more than once", read.named()), &[read])
            });
        }
    }
}

/// Compares the rows with what was added.
fn added(
    object: &Object<'_>,
    shown: &FxHashMap<i64, usize>,
    read: &Op<'_>,
    tally: &mut Tally,
) -> Result<(), String> {
    let (mut refused, mut possible) = (FxHashMap::default(), FxHashSet::default());
    for op in object.ops.iter().filter(|op| op.f == "add") {
        let told = op.output.unwrap_or(op.input);
        let val = match (row(told), told) {
            (Some((val, _)), _) => val,
            (None, Value::Int(val)) => *val,
            _ if op.output.is_none() => continue,
            _ => return Err(op.bad_output(&format!("{} is no row {{val, sts}}", brief(told)))),
        };
        let there = shown.contains_key(&val);
        if op.end < read.begin && !there {
            tally.found("lost", || Case {
                steps: vec![op.step(read, "realtime", after(op, read))],
                ..about(
                    format!("{} does not show {val} of {}", read.named(), op.named()),
                    &[op, read],
                )
            });
        } else if op.possible() {
            possible.insert(val);
        } else if there {
            refused.insert(val, op);
        }
    }
    let mut refused: Vec<_> = refused.into_iter().collect();
    refused.retain(|(val, _)| !possible.contains(val));
    refused.sort_unstable_by_key(|(_, op)| op.begin);
    for (val, op) in refused {
        tally.found("unexpected", || {
            about(
                format!("{} shows {val} of {}, which had failed", read.named(), op.named()),
                &[op, read],
            )
        });
    }
    Ok(())
}
