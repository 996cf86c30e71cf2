//! Judges a lock by who certainly held it: never two at once, and fencing tokens that only grow.
//!
//! A client certainly holds the lock from the acknowledgement of its acquire to the invocation of its next release,
//! whatever becomes of that. The holder is the argument of the calls, or the process where that is nil. A token is
//! an integer, or `{token: n}`, that an acquire returns; an acquire that began after another was acknowledged must
//! have a higher one. What search is needed for (open acquires, refusals) the model `lock` judges.

use rustc_hash::FxHashMap;

use super::objects::{Object, Op, brief, objects, of_key};
use super::set_final::after;
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "fenced-lock";

/// One holder at a time, and growing tokens.
pub(crate) struct FencedLock;

impl Check for FencedLock {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "no two clients certainly held the lock at once between `acquire` and `release`, and fencing \
         tokens grow from one holder to the next"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(history, limits).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

const KINDS: &[&str] = &["two-holders", "token-reused", "token-order"];

fn judge(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut tally = Tally::new(NAME, KINDS);
    let mut acquired = 0;
    for object in objects(history, limits.keyed)? {
        let before = tally.wrongs();
        let holds = holds(&object)?;
        overlaps(object.key, &holds, &mut tally);
        tokens(object.key, &holds, &mut tally)?;
        acquired += holds.len();
        tally.add("acquired", holds.len());
        tally.count(object.ops.len(), before);
    }
    if acquired == 0 {
        tally.doubt(|| "nobody was ever granted the lock".to_owned());
    }
    let operations = tally.stats.operations;
    Ok(tally.verdict(&format!("in {operations} operations never two held the lock")))
}

/// A time in which a client certainly held the lock.
struct Hold<'o, 'h> {
    acquire: &'o Op<'h>,
    /// Where its release began, if it did.
    until: u64,
}

/// Who holds: the argument, or the process where that says nothing.
fn holder<'h>(op: &Op<'h>) -> (Option<&'h Value>, u64) {
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
fn holds<'o, 'h>(object: &'o Object<'h>) -> Result<Vec<Hold<'o, 'h>>, String> {
    let mut holds: Vec<Hold<'_, '_>> = Vec::new();
    let mut held = FxHashMap::default();
    for op in &object.ops {
        match (op.f, op.output) {
            ("acquire", Some(_)) => {
                held.insert(holder(op), holds.len());
                holds.push(Hold { acquire: op, until: u64::MAX });
            }
            ("release", _) => {
                if let Some(place) = held.remove(&holder(op)) {
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

fn overlaps(key: Option<&Value>, holds: &[Hold<'_, '_>], tally: &mut Tally) {
    let mut longest: Option<&Hold<'_, '_>> = None;
    for hold in holds.iter().filter(|hold| hold.acquire.end < hold.until) {
        if let Some(other) = longest.filter(|other| other.until > hold.acquire.end) {
            tally.found("two-holders", || two_holders(key, other, hold));
        }
        if longest.is_none_or(|longest| longest.until < hold.until) {
            longest = Some(hold);
        }
    }
}

fn two_holders(key: Option<&Value>, one: &Hold<'_, '_>, other: &Hold<'_, '_>) -> Case {
    let (first, second) = (one.acquire, other.acquire);
    let until = match one.until {
        u64::MAX => "nobody released it since".to_owned(),
        index => format!("its release began at index {index} only"),
    };
    Case {
        message: format!(
            "{} was granted{} at index {} while {} held it: {until}",
            second.named(),
            of_key(key),
            second.end,
            first.named()
        ),
        steps: vec![first.step(
            second,
            "overlap",
            format!("the first held it from index {}, {until}", first.end),
        )],
        operations: vec![first.begin, second.begin],
    }
}

/// The token of an acquire. An acquire that echoes its argument has none.
fn token(op: &Op<'_>) -> Result<Option<i64>, String> {
    match op.output {
        Some(output) if output == op.input => Ok(None),
        None | Some(Value::Nil | Value::Bool(_)) => Ok(None),
        Some(Value::Int(token)) => Ok(Some(*token)),
        Some(Value::Map(fields)) => match fields.iter().find(|(name, _)| name == "token") {
            Some((_, Value::Int(token))) => Ok(Some(*token)),
            Some((_, other)) => Err(op.bad_output(&format!("token {other} is no integer"))),
            None => Ok(None),
        },
        Some(other) => Err(op.bad_output(&format!("{} is no fencing token", brief(other)))),
    }
}

/// Compares each token with the highest one acknowledged before its acquire began.
fn tokens(key: Option<&Value>, holds: &[Hold<'_, '_>], tally: &mut Tally) -> Result<(), String> {
    let mut granted = Vec::new();
    for hold in holds {
        granted.extend(token(hold.acquire)?.map(|token| (token, hold.acquire)));
    }
    let mut known = FxHashMap::default();
    for (token, op) in &granted {
        if let Some(first) = known.insert(*token, *op) {
            tally.found("token-reused", || wrong_token(key, first, op, (*token, *token)));
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
            tally.found("token-order", || wrong_token(key, first, op, (high, token)));
        }
    }
    Ok(())
}

fn wrong_token(key: Option<&Value>, first: &Op<'_>, second: &Op<'_>, tokens: (i64, i64)) -> Case {
    Case {
        message: format!(
            "{} was granted{} with token {} and {} with token {}: whoever checks tokens lets the wrong one in",
            first.named(),
            of_key(key),
            tokens.0,
            second.named(),
            tokens.1
        ),
        steps: (first.end < second.begin)
            .then(|| first.step(second, "realtime", after(first, second)))
            .into_iter()
            .collect(),
        operations: vec![first.begin, second.begin],
    }
}
