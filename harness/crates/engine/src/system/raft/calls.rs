//! Translates calls into requests to the key-value store and its answers into replies. Pure.
//!
//! Registers are keys. Every other call is one transaction, which is one entry of the store's log.
//! So no call is half done or has to be retried:
//!
//! | call | conditions | micro-operations |
//! |---|---|---|
//! | add, inc | | `add` to the counter |
//! | add to the set, enqueue | | `append` to a list |
//! | dequeue | | `take` from the list; none there is a mismatch |
//! | acquire | the lock `is` absent | `write` the holder; the token is the entry's index |
//! | release | the lock `is` the holder's | `delete` it |
//! | generate | | `add` 1; the sum is the identifier |
//! | transfer | the account has `at-least` the amount | `add` it to one account and take it off the other |
//! | txn | | `read`, `write`, `append` |
//!
//! An account's key holds the difference from its initial balance. A read-only transaction does not
//! enter the log. Keys of one transaction share a tag (`{bank}`, `{counters}`, `{txn}`), which
//! keeps them in one group where the store has several (`--node-arg=--groups`).

use crate::system::values::int;
use checker::history::Value as Told;
use reqwest::StatusCode;
use serde_json::{Value, json};
use workloads::{Call, MicroOp, Reply};

/// A request.
pub(super) struct Asked {
    /// Where to.
    pub(super) path: String,
    /// What; nothing in a plain read.
    pub(super) body: Option<Value>,
    /// Whether it only reads.
    pub(super) looks: bool,
}

/// The key of the one counter, the set, the queue and the source of identifiers.
const SUM: &str = "counter";
const SET: &str = "set";
const QUEUE: &str = "queue";
const IDS: &str = "ids";

/// The request that a call is. Keys are the workload's own names and need no escaping.
pub(super) fn ask(call: &Call) -> Asked {
    let text = |value: &i64| value.to_string();
    match call {
        Call::Read { key } => Asked { path: format!("/kv/{key}"), body: None, looks: true },
        Call::Write { key, value } => change(format!("/kv/{key}"), json!({ "value": text(value) })),
        Call::Cas { key, old, new } => {
            change(format!("/kv/{key}/cas"), json!({ "old": text(old), "new": text(new) }))
        }
        Call::Txn { ops, .. } => txn(&[], ops.iter().map(micro).collect()),
        Call::Add { amount } => txn(&[], vec![json!({ "add": [SUM, amount] })]),
        Call::Increment { key } => txn(&[], vec![json!({ "add": [counter(key), 1] })]),
        Call::ReadCounter => reads([SUM.to_owned()]),
        Call::ReadCounters { keys } => reads(keys.iter().map(|key| counter(key))),
        Call::Insert { element } => txn(&[], vec![json!({ "append": [SET, text(element)] })]),
        Call::ReadSet => reads([SET.to_owned()]),
        Call::Enqueue { value } => txn(&[], vec![json!({ "append": [QUEUE, text(value)] })]),
        Call::Dequeue => txn(&[], vec![json!({ "take": QUEUE })]),
        Call::Acquire { lock, holder } => {
            txn(&[json!({ "is": [lock, null] })], vec![json!({ "write": [lock, holder] })])
        }
        Call::Release { lock, holder } => {
            txn(&[json!({ "is": [lock, holder] })], vec![json!({ "delete": lock })])
        }
        Call::Generate => txn(&[], vec![json!({ "add": [IDS, 1] })]),
        Call::Transfer { from, to, amount, opening } => {
            let (from, to) = (account(*from), account(*to));
            let ops = vec![json!({ "add": [from, -amount] }), json!({ "add": [to, amount] })];
            txn(&[json!({ "at-least": [from, amount - opening] })], ops)
        }
        Call::ReadAccounts { accounts, .. } => reads((0..*accounts).map(account)),
        // The system declares no object of theirs, so none is ever asked.
        Call::Echo { .. }
        | Call::Broadcast { .. }
        | Call::ReadMessages
        | Call::Send { .. }
        | Call::Poll { .. }
        | Call::Assign { .. } => reads([call.function().to_owned()]),
    }
}

fn account(number: u64) -> String {
    format!("{{bank}}account{number}")
}

fn counter(key: &str) -> String {
    format!("{{counters}}{key}")
}

fn micro(micro: &MicroOp) -> Value {
    let key = format!("{{txn}}{}", micro.key());
    match micro {
        MicroOp::Read(_) | MicroOp::ReadList(_) => json!({ "read": key }),
        MicroOp::Write(_, value) => json!({ "write": [key, value.to_string()] }),
        MicroOp::Append(_, value) => json!({ "append": [key, value.to_string()] }),
    }
}

fn change(path: String, body: Value) -> Asked {
    Asked { path, body: Some(body), looks: false }
}

fn txn(conditions: &[Value], ops: Vec<Value>) -> Asked {
    let looks = ops.iter().all(|op| op.get("read").is_some());
    Asked { looks, ..change("/txn".to_owned(), json!({ "conditions": conditions, "ops": ops })) }
}

fn reads(keys: impl IntoIterator<Item = String>) -> Asked {
    txn(&[], keys.into_iter().map(|key| json!({ "read": key })).collect())
}

/// Decodes a response. Without the store's own status the outcome is unknown.
pub(super) fn understand(call: &Call, status: StatusCode, body: &Value) -> Reply {
    if status == StatusCode::OK {
        let done = done(call, body);
        return done.unwrap_or_else(|| Reply::info("the answer carries no results for this call"));
    }
    let error = body.get("error").and_then(Value::as_str).unwrap_or("error");
    let definite = body.get("definite") == Some(&Value::Bool(true));
    match (call, error) {
        (Call::Read { .. }, "not-found") => Reply::read(None),
        (Call::Cas { .. } | Call::Acquire { .. } | Call::Release { .. }, "mismatch") => {
            Reply::mismatch()
        }
        (Call::Transfer { .. }, "mismatch") => Reply::fail("insufficient funds"),
        // The call compares nothing, so this response belongs to another call.
        (_, "mismatch" | "not-found") => {
            Reply::info(format!("a {} was answered {error}", call.function()))
        }
        _ if definite => Reply::fail(error),
        _ => Reply::info(error),
    }
}

/// What a call returned that happened, or nothing if the answer is to some other call.
fn done(call: &Call, body: &Value) -> Option<Reply> {
    let results = || results(body);
    let only = || results().filter(|results| results.len() == 1).map(|results| results[0]);
    Some(match call {
        Call::Read { .. } => Reply::returned(int(body.get("value")?.as_str()?)),
        Call::Write { .. } | Call::Cas { .. } => Reply::ok(),
        Call::Txn { ops, .. } => {
            let results = results().filter(|results| results.len() == ops.len())?;
            let told = ops.iter().zip(results).map(|(op, result)| op.to_value(read(op, result)));
            Reply::returned(Told::List(told.collect()))
        }
        Call::ReadCounter => Reply::returned(only()?.map_or(Told::Int(0), int)),
        Call::ReadCounters { keys } => {
            let results = results().filter(|results| results.len() == keys.len())?;
            let sum = |result: Option<&str>| result.map_or(Told::Int(0), int);
            let sums = keys.iter().zip(results).map(|(key, result)| (key.clone(), sum(result)));
            Reply::returned(Told::map(sums))
        }
        Call::ReadSet => Reply::returned(only()?.map_or(Told::List([].into()), words)),
        Call::Dequeue => only()?.map_or_else(Reply::mismatch, |taken| Reply::returned(int(taken))),
        Call::Generate => Reply::returned(int(only()??)),
        Call::Acquire { .. } => {
            let token = i64::try_from(body.get("index")?.as_u64()?).ok()?;
            Reply::returned(Told::map([("token".to_owned(), Told::Int(token))]))
        }
        Call::ReadAccounts { accounts, opening } => {
            let results = results().filter(|results| results.len() as u64 == *accounts)?;
            let rows = (0..*accounts).zip(results);
            let balance = |result| balance(result, *opening);
            Reply::returned(Told::map(
                rows.map(|(number, result)| (number.to_string(), balance(result))),
            ))
        }
        Call::Add { .. }
        | Call::Increment { .. }
        | Call::Insert { .. }
        | Call::Enqueue { .. }
        | Call::Release { .. }
        | Call::Transfer { .. } => results().map(|_| Reply::ok())?,
        Call::Echo { .. }
        | Call::Broadcast { .. }
        | Call::ReadMessages
        | Call::Send { .. }
        | Call::Poll { .. }
        | Call::Assign { .. } => return None,
    })
}

/// What each micro-operation returned.
fn results(body: &Value) -> Option<Vec<Option<&str>>> {
    let results = body.get("results")?.as_array()?;
    let known = results.iter().all(|result| result.is_null() || result.is_string());
    known.then(|| results.iter().map(Value::as_str).collect())
}

fn read(micro: &MicroOp, result: Option<&str>) -> Told {
    match (micro, result) {
        (_, None) => Told::Nil,
        (MicroOp::ReadList(_), Some(text)) => words(text),
        (_, Some(text)) => int(text),
    }
}

fn words(text: &str) -> Told {
    Told::List(text.split_whitespace().map(int).collect())
}

/// The balance of an account with that change; the raw number if it overflows.
fn balance(result: Option<&str>, opening: i64) -> Told {
    let moved = result.map_or(Told::Int(0), int);
    match &moved {
        Told::Int(number) => opening.checked_add(*number).map_or(moved, Told::Int),
        _ => moved,
    }
}

#[cfg(test)]
mod tests;
