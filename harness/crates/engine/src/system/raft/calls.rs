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
//! | transfer | one has `at-least` the amount | `add` it to one, subtract it from the other |
//! | txn | | `read`, `write`, `append` |
//!
//! An account's key holds the difference from its initial balance. A read-only transaction does not
//! enter the log. Keys of one transaction share a tag (`{bank}`, `{counters}`, `{txn}`), which
//! keeps them in one group where the store has several (`--node-arg=--groups`).

use crate::system::values::parse_int;
use checker::history::Value as HistoryValue;
use reqwest::StatusCode;
use serde_json::{Value, json};
use workloads::{Call, MicroOp, Reply};

/// A request.
pub(super) struct KvRequest {
    /// Where to.
    pub(super) path: String,
    /// What; nothing in a plain read.
    pub(super) body: Option<Value>,
    /// Whether it only reads.
    pub(super) read_only: bool,
}

/// The key of the one counter, the set, the queue and the source of identifiers.
const SUM: &str = "counter";
const SET: &str = "set";
const QUEUE: &str = "queue";
const IDS: &str = "ids";

/// The request that a call is. Keys are the workload's own names and need no escaping.
pub(super) fn encode_request(call: &Call) -> KvRequest {
    let text = |value: &i64| value.to_string();
    match call {
        Call::Read { key } => KvRequest { path: format!("/kv/{key}"), body: None, read_only: true },
        Call::Write { key, value } => {
            write_request(format!("/kv/{key}"), json!({ "value": text(value) }))
        }
        Call::Cas { key, old, new } => {
            write_request(format!("/kv/{key}/cas"), json!({ "old": text(old), "new": text(new) }))
        }
        Call::Txn { ops, .. } => txn_request(&[], ops.iter().map(encode_micro_op).collect()),
        Call::Add { amount } => txn_request(&[], vec![json!({ "add": [SUM, amount] })]),
        Call::Increment { key } => txn_request(&[], vec![json!({ "add": [counter_key(key), 1] })]),
        Call::ReadCounter => read_request([SUM.to_owned()]),
        Call::ReadCounters { keys } => read_request(keys.iter().map(|key| counter_key(key))),
        Call::Insert { element } => {
            txn_request(&[], vec![json!({ "append": [SET, text(element)] })])
        }
        Call::ReadSet => read_request([SET.to_owned()]),
        Call::Enqueue { value } => {
            txn_request(&[], vec![json!({ "append": [QUEUE, text(value)] })])
        }
        Call::Dequeue => txn_request(&[], vec![json!({ "take": QUEUE })]),
        Call::Acquire { lock, holder } => {
            txn_request(&[json!({ "is": [lock, null] })], vec![json!({ "write": [lock, holder] })])
        }
        Call::Release { lock, holder } => {
            txn_request(&[json!({ "is": [lock, holder] })], vec![json!({ "delete": lock })])
        }
        Call::Generate => txn_request(&[], vec![json!({ "add": [IDS, 1] })]),
        Call::Transfer { from, to, amount, opening } => {
            let (from, to) = (account_key(*from), account_key(*to));
            let ops = vec![json!({ "add": [from, -amount] }), json!({ "add": [to, amount] })];
            txn_request(&[json!({ "at-least": [from, amount - opening] })], ops)
        }
        Call::ReadAccounts { accounts, .. } => read_request((0..*accounts).map(account_key)),
        // The system declares no object of theirs, so none is ever asked.
        Call::Echo { .. }
        | Call::Broadcast { .. }
        | Call::ReadMessages
        | Call::Send { .. }
        | Call::Poll { .. }
        | Call::Assign { .. } => read_request([call.function_name().to_owned()]),
    }
}

fn account_key(number: u64) -> String {
    format!("{{bank}}account{number}")
}

fn counter_key(key: &str) -> String {
    format!("{{counters}}{key}")
}

fn encode_micro_op(micro: &MicroOp) -> Value {
    let key = format!("{{txn}}{}", micro.key());
    match micro {
        MicroOp::Read(_) | MicroOp::ReadList(_) => json!({ "read": key }),
        MicroOp::Write(_, value) => json!({ "write": [key, value.to_string()] }),
        MicroOp::Append(_, value) => json!({ "append": [key, value.to_string()] }),
    }
}

fn write_request(path: String, body: Value) -> KvRequest {
    KvRequest { path, body: Some(body), read_only: false }
}

fn txn_request(conditions: &[Value], ops: Vec<Value>) -> KvRequest {
    let looks = ops.iter().all(|op| op.get("read").is_some());
    KvRequest {
        read_only: looks,
        ..write_request("/txn".to_owned(), json!({ "conditions": conditions, "ops": ops }))
    }
}

fn read_request(keys: impl IntoIterator<Item = String>) -> KvRequest {
    txn_request(&[], keys.into_iter().map(|key| json!({ "read": key })).collect())
}

/// Decodes a response. Without the store's own status the outcome is unknown.
pub(super) fn decode_response(call: &Call, status: StatusCode, body: &Value) -> Reply {
    if status == StatusCode::OK {
        let done = decode_success(call, body);
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
            Reply::info(format!("a {} was answered {error}", call.function_name()))
        }
        _ if definite => Reply::fail(error),
        _ => Reply::info(error),
    }
}

/// What a call returned that happened, or nothing if the answer is to some other call.
fn decode_success(call: &Call, body: &Value) -> Option<Reply> {
    let results = || decode_results(body);
    let only = || results().filter(|results| results.len() == 1).map(|results| results[0]);
    Some(match call {
        Call::Read { .. } => Reply::returned(parse_int(body.get("value")?.as_str()?)),
        Call::Write { .. } | Call::Cas { .. } => Reply::ok(),
        Call::Txn { ops, .. } => {
            let results = results().filter(|results| results.len() == ops.len())?;
            let told =
                ops.iter().zip(results).map(|(op, result)| op.to_value(decode_read(op, result)));
            Reply::returned(HistoryValue::List(told.collect()))
        }
        Call::ReadCounter => Reply::returned(only()?.map_or(HistoryValue::Int(0), parse_int)),
        Call::ReadCounters { keys } => {
            let results = results().filter(|results| results.len() == keys.len())?;
            let sum = |result: Option<&str>| result.map_or(HistoryValue::Int(0), parse_int);
            let sums = keys.iter().zip(results).map(|(key, result)| (key.clone(), sum(result)));
            Reply::returned(HistoryValue::map(sums))
        }
        Call::ReadSet => {
            Reply::returned(only()?.map_or(HistoryValue::List([].into()), decode_list))
        }
        Call::Dequeue => {
            only()?.map_or_else(Reply::mismatch, |taken| Reply::returned(parse_int(taken)))
        }
        Call::Generate => Reply::returned(parse_int(only()??)),
        Call::Acquire { .. } => {
            let token = i64::try_from(body.get("index")?.as_u64()?).ok()?;
            Reply::returned(HistoryValue::map([("token".to_owned(), HistoryValue::Int(token))]))
        }
        Call::ReadAccounts { accounts, opening } => {
            let results = results().filter(|results| results.len() as u64 == *accounts)?;
            let rows = (0..*accounts).zip(results);
            let balance = |result| decode_balance(result, *opening);
            Reply::returned(HistoryValue::map(
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
fn decode_results(body: &Value) -> Option<Vec<Option<&str>>> {
    let results = body.get("results")?.as_array()?;
    let known = results.iter().all(|result| result.is_null() || result.is_string());
    known.then(|| results.iter().map(Value::as_str).collect())
}

fn decode_read(micro: &MicroOp, result: Option<&str>) -> HistoryValue {
    match (micro, result) {
        (_, None) => HistoryValue::Nil,
        (MicroOp::ReadList(_), Some(text)) => decode_list(text),
        (_, Some(text)) => parse_int(text),
    }
}

fn decode_list(text: &str) -> HistoryValue {
    HistoryValue::List(text.split_whitespace().map(parse_int).collect())
}

/// The balance of an account with that change; the raw number if it overflows.
fn decode_balance(result: Option<&str>, opening: i64) -> HistoryValue {
    let moved = result.map_or(HistoryValue::Int(0), parse_int);
    match &moved {
        HistoryValue::Int(number) => opening.checked_add(*number).map_or(moved, HistoryValue::Int),
        _ => moved,
    }
}

#[cfg(test)]
mod tests;
