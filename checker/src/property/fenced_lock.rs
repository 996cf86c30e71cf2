//! Checks that a lock never has two certain holders, and that fencing tokens grow.
//!
//! A client certainly holds the lock from the acknowledgement of its acquire to the invocation of
//! its next release, whatever the outcome of that. The holder is the argument of the calls, or the
//! process if that is nil. A token is an integer, or `{token: n}`, that an acquire returns; an
//! acquire that began after another was acknowledged must have a higher one. The model `lock` also
//! covers open acquires and rejections, which need a search.

use rustc_hash::FxHashMap;

use super::op::{ObjectOps, Op, abbreviate, key_suffix, split_by_key};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "fenced-lock";

/// Mutual exclusion and growing fencing tokens.
pub(crate) struct FencedLock;

impl Check for FencedLock {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "no two clients certainly hold the lock at once between `acquire` and `release`, and \
         fencing tokens grow from one holder to the next"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_history(history, limits).unwrap_or_else(|why| unsupported_history(NAME, why))
    }
}

const KINDS: &[&str] = &["two-holders", "token-reused", "token-order"];

fn check_history(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut builder = VerdictBuilder::new(NAME, KINDS);
    let mut acquired = 0;
    for object in split_by_key(history, limits.keyed)? {
        let before = builder.case_count();
        let holds = certain_holds(&object)?;
        check_overlaps(object.key, &holds, &mut builder);
        check_tokens(object.key, &holds, &mut builder)?;
        acquired += holds.len();
        builder.add_to_measure("acquired", holds.len());
        builder.finish_object(object.ops.len(), before);
    }
    if acquired == 0 {
        builder.add_unknown(|| "no acquire succeeded".to_owned());
    }
    let operations = builder.stats.operations;
    Ok(builder.build(&format!("the lock never had two holders in {operations} operations")))
}

/// An interval in which a client certainly held the lock.
pub(super) struct Hold<'o, 'h> {
    acquire: &'o Op<'h>,
    /// The index of the invocation of its release; `u64::MAX` if there is none.
    until: u64,
}

/// The holder: the argument, or the process if that is nil.
pub(super) fn holder_of<'h>(op: &Op<'h>) -> (Option<&'h Value>, u64) {
    match op.input {
        Value::Nil => {
            let process = &op.operation.process;
            (
                None,
                match process {
                    crate::history::Process::Client(number) => *number,
                    crate::history::Process::Nemesis => u64::MAX,
                },
            )
        }
        name => (Some(name), 0),
    }
}

/// The certain holds, in order of acknowledgement.
pub(super) fn certain_holds<'o, 'h>(
    object: &'o ObjectOps<'h>,
) -> Result<Vec<Hold<'o, 'h>>, String> {
    let mut holds: Vec<Hold<'_, '_>> = Vec::new();
    let mut held = FxHashMap::default();
    for op in &object.ops {
        match (op.f, op.output) {
            ("acquire", Some(_)) => {
                held.insert(holder_of(op), holds.len());
                holds.push(Hold { acquire: op, until: u64::MAX });
            }
            ("release", _) => {
                if let Some(place) = held.remove(&holder_of(op)) {
                    holds[place].until = op.begin;
                }
            }
            ("acquire", None) => {}
            _ => return Err(op.unknown_function("acquire, release")),
        }
    }
    holds.sort_by_key(|hold| hold.acquire.end);
    Ok(holds)
}

/// The pairs of holds that overlap, the later one second.
fn overlapping_holds<'s, 'o, 'h>(
    holds: &'s [Hold<'o, 'h>],
) -> impl Iterator<Item = (&'s Hold<'o, 'h>, &'s Hold<'o, 'h>)> {
    let mut longest: Option<&Hold<'_, '_>> = None;
    holds.iter().filter(|hold| hold.acquire.end < hold.until).filter_map(move |hold| {
        let other = longest.filter(|other| other.until > hold.acquire.end);
        if longest.is_none_or(|longest| longest.until < hold.until) {
            longest = Some(hold);
        }
        other.map(|other| (other, hold))
    })
}

/// Whether two clients certainly held the lock at once.
pub(super) fn has_two_holders(holds: &[Hold<'_, '_>]) -> bool {
    overlapping_holds(holds).next().is_some()
}

fn check_overlaps(key: Option<&Value>, holds: &[Hold<'_, '_>], builder: &mut VerdictBuilder) {
    for (other, hold) in overlapping_holds(holds) {
        builder.add_case("two-holders", || two_holders_case(key, other, hold));
    }
}

fn two_holders_case(key: Option<&Value>, one: &Hold<'_, '_>, other: &Hold<'_, '_>) -> AnomalyCase {
    let (first, second) = (one.acquire, other.acquire);
    let until = match one.until {
        u64::MAX => "it was never released".to_owned(),
        index => format!("its release only began at index {index}"),
    };
    AnomalyCase {
        message: format!(
            "{} was granted{} at index {} while {} held it: {until}",
            second.describe(),
            key_suffix(key),
            second.end,
            first.describe()
        ),
        steps: vec![first.step(
            second,
            "overlap",
            format!("the first client held it from index {}, and {until}", first.end),
        )],
        operations: vec![first.begin, second.begin],
    }
}

/// The token of an acquire. An acquire that echoes its argument has none.
pub(super) fn token_of(op: &Op<'_>) -> Result<Option<i64>, String> {
    match op.output {
        Some(output) if output == op.input => Ok(None),
        None | Some(Value::Nil | Value::Bool(_)) => Ok(None),
        Some(Value::Int(token)) => Ok(Some(*token)),
        Some(Value::Map(fields)) => match fields.iter().find(|(name, _)| name == "token") {
            Some((_, Value::Int(token))) => Ok(Some(*token)),
            Some((_, other)) => {
                Err(op.invalid_output(&format!("the token {other} is not an integer")))
            }
            None => Ok(None),
        },
        Some(other) => {
            Err(op.invalid_output(&format!("{} is not a fencing token", abbreviate(other))))
        }
    }
}

/// Compares each token with the highest one acknowledged before its acquire began.
fn check_tokens(
    key: Option<&Value>,
    holds: &[Hold<'_, '_>],
    builder: &mut VerdictBuilder,
) -> Result<(), String> {
    let mut granted = Vec::new();
    for hold in holds {
        granted.extend(token_of(hold.acquire)?.map(|token| (token, hold.acquire)));
    }
    let mut known = FxHashMap::default();
    for (token, op) in &granted {
        if let Some(first) = known.insert(*token, *op) {
            builder.add_case("token-reused", || wrong_token_case(key, first, op, (*token, *token)));
        }
    }
    let mut later = granted.clone();
    later.sort_by_key(|(_, op)| op.begin);
    let (mut earlier, mut highest) = (granted.iter().peekable(), None::<(i64, &Op<'_>)>);
    for (token, op) in later {
        while let Some(done) = earlier.next_if(|(_, done)| done.end < op.begin) {
            highest = highest.filter(|held| held.0 >= done.0).or(Some(*done));
        }
        if let Some((high, first)) = highest.filter(|(high, _)| *high > token) {
            builder.add_case("token-order", || wrong_token_case(key, first, op, (high, token)));
        }
    }
    Ok(())
}

fn wrong_token_case(
    key: Option<&Value>,
    first: &Op<'_>,
    second: &Op<'_>,
    tokens: (i64, i64),
) -> AnomalyCase {
    AnomalyCase {
        message: format!(
            "{} was granted{} with token {} and later {} with token {}: the token cannot fence off \
             the earlier holder",
            first.describe(),
            key_suffix(key),
            tokens.0,
            second.describe(),
            tokens.1
        ),
        steps: (first.end < second.begin)
            .then(|| first.step(second, "realtime", first.acknowledged_before(second)))
            .into_iter()
            .collect(),
        operations: vec![first.begin, second.begin],
    }
}
