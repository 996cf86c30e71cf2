//! Translates calls into requests of Maelstrom's protocol, and its answers into replies. Pure.
//!
//! | call | request | answer |
//! |---|---|---|
//! | read | `read {key}` | `read_ok {value}` or error 20 |
//! | write | `write {key value}` | `write_ok` |
//! | cas | `cas {key from to}` | `cas_ok` or error 20, 22 |
//! | txn | `txn {txn: [["r" k null] ["append" k v] ["w" k v]]}` | `txn_ok {txn}` |
//! | add, sum | `add {delta}`, `read {}` | `read_ok {value}` |
//! | add to the set, elements | `add {element}`, `read {}` | `read_ok {value}` |
//! | broadcast, heard | `broadcast {message}`, `read {}` | `read_ok {messages}` |
//! | generate, echo | `generate {}`, `echo {echo}` | `generate_ok {id}`, `echo_ok {echo}` |
//! | send | `send {key msg}` | `send_ok {offset}` |
//! | poll | `poll {offsets}`, then `commit_offsets {offsets}` | `poll_ok {msgs}` |
//! | assign | `list_committed_offsets {keys}` | `list_committed_offsets_ok {offsets}` |

use checker::history::Value as HistoryValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use testbed::net::router::message::{Body, to_body};
use workloads::{Call, MicroOp, Outcome, Reply};

/// The errors of the protocol: number, name, and whether the request definitely had no effect. All
/// others are indefinite.
const ERRORS: &[(u64, &str, bool)] = &[
    (0, "timeout", false),
    (1, "node-not-found", true),
    (10, "not-supported", true),
    (11, "temporarily-unavailable", true),
    (12, "malformed-request", true),
    (13, "crash", false),
    (14, "abort", true),
    (KEY_DOES_NOT_EXIST, "key-does-not-exist", true),
    (21, "key-already-exists", true),
    (PRECONDITION_FAILED, "precondition-failed", true),
    (30, "txn-conflict", true),
];
const KEY_DOES_NOT_EXIST: u64 = 20;
const PRECONDITION_FAILED: u64 = 22;

/// The request that a call is.
pub(super) fn encode_request(call: &Call) -> Body {
    to_body(match call {
        Call::Read { key } => json!({ "type": "read", "key": key_number(key) }),
        Call::Write { key, value } => {
            json!({ "type": "write", "key": key_number(key), "value": value })
        }
        Call::Cas { key, old, new } => {
            json!({ "type": "cas", "key": key_number(key), "from": old, "to": new })
        }
        Call::Txn { ops, .. } => {
            json!({ "type": "txn", "txn": ops.iter().map(encode_micro_op).collect::<Vec<_>>() })
        }
        Call::Add { amount } => json!({ "type": "add", "delta": amount }),
        Call::Insert { element } => json!({ "type": "add", "element": element }),
        Call::Broadcast { message } => json!({ "type": "broadcast", "message": message }),
        Call::Generate => json!({ "type": "generate" }),
        Call::Echo { text } => json!({ "type": "echo", "echo": text }),
        Call::Send { key, value } => json!({ "type": "send", "key": key, "msg": value }),
        Call::Poll { offsets } => json!({ "type": "poll", "offsets": offsets }),
        Call::Assign { keys } => json!({ "type": "list_committed_offsets", "keys": keys }),
        // Of what the system keeps, only looks without an argument are left.
        _ => json!({ "type": "read" }),
    })
}

/// Keys are numbers in the protocol: those of `k7`, and 0 where a name has none.
fn key_number(key: &str) -> u64 {
    key.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
}

fn encode_micro_op(micro: &MicroOp) -> Value {
    match micro {
        MicroOp::Read(key) | MicroOp::ReadList(key) => json!(["r", key, null]),
        MicroOp::Write(key, value) => json!(["w", key, value]),
        MicroOp::Append(key, value) => json!(["append", key, value]),
    }
}

/// Whether a call changes nothing.
pub(super) fn is_read_only(call: &Call) -> bool {
    match call {
        Call::Txn { ops, .. } => {
            ops.iter().all(|op| matches!(op, MicroOp::Read(_) | MicroOp::ReadList(_)))
        }
        Call::Poll { .. } | Call::Assign { .. } | Call::Echo { .. } => true,
        call => call.function_name() == "read",
    }
}

/// What an answer says.
pub(super) fn decode_response(call: &Call, answer: &Body) -> Reply {
    let kind = answer.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind == "error" {
        return decode_error(call, answer);
    }
    let asked = encode_request(call);
    let expected = asked.get("type").and_then(Value::as_str).unwrap_or_default();
    if kind.strip_suffix("_ok") != Some(expected) {
        return Reply::info(format!("a {expected} was answered {kind:?}"));
    }
    let Some(field) = result_field(call) else { return Reply::ok() };
    match answer.get(field).map(decode_value) {
        Some(Some(value)) => Reply::returned(value),
        Some(None) => {
            Reply::info(format!("{field:?} holds a number that cannot be told from others"))
        }
        None => Reply::info(format!("{kind} came without {field:?}")),
    }
}

fn decode_error(call: &Call, answer: &Body) -> Reply {
    let code = answer.get("code").and_then(Value::as_u64);
    let known = ERRORS.iter().find(|(number, ..)| Some(*number) == code);
    let text = answer.get("text").and_then(Value::as_str).unwrap_or_default();
    let (name, definite) = known.map_or(("error", false), |(_, name, definite)| (*name, *definite));
    match (call, code) {
        (Call::Read { .. }, Some(KEY_DOES_NOT_EXIST)) => Reply::read(None),
        (Call::Cas { .. }, Some(KEY_DOES_NOT_EXIST | PRECONDITION_FAILED)) => Reply::mismatch(),
        _ if definite || is_read_only(call) => Reply::fail(format!("{name}: {text}")),
        _ => Reply::info(format!("{name}: {text}")),
    }
}

/// The field in which the answer has what the call returns.
fn result_field(call: &Call) -> Option<&'static str> {
    match call {
        Call::Txn { .. } => Some("txn"),
        Call::ReadMessages => Some("messages"),
        Call::Generate => Some("id"),
        Call::Echo { .. } => Some("echo"),
        Call::Send { .. } => Some("offset"),
        Call::Poll { .. } => Some("msgs"),
        Call::Assign { .. } => Some("offsets"),
        Call::Read { .. } | Call::ReadCounter | Call::ReadSet => Some("value"),
        _ => None,
    }
}

/// A value of the history; none, if reading it has made different numbers equal.
fn decode_value(value: &Value) -> Option<HistoryValue> {
    let is_exact = |number: &serde_json::Number| {
        number.is_i64() || number.as_f64().is_some_and(|it| it.abs() < EXACT_FLOAT_LIMIT)
    };
    match value {
        Value::Number(number) if number.is_u64() && !number.is_i64() => {
            Some(HistoryValue::from(number.to_string().as_str()))
        }
        Value::Number(number) if !is_exact(number) => None,
        Value::Array(items) => {
            Some(HistoryValue::List(items.iter().map(decode_value).collect::<Option<_>>()?))
        }
        Value::Object(fields) => {
            let entry =
                |(name, value): (&String, &Value)| Some((name.clone(), decode_value(value)?));
            Some(HistoryValue::map(fields.iter().map(entry).collect::<Option<Vec<_>>>()?))
        }
        plain => serde_json::from_value(plain.clone()).ok(),
    }
}

/// Below this every integer has a float of its own.
const EXACT_FLOAT_LIMIT: f64 = 9_007_199_254_740_992.0;

/// What a consumer says after a poll: how far it has come.
pub(super) fn encode_commit(call: &Call, reply: &Reply) -> Option<Body> {
    let (Call::Poll { .. }, Outcome::Ok, Some(HistoryValue::Map(logs))) =
        (call, reply.outcome, &reply.returned)
    else {
        return None;
    };
    let last = |messages: &HistoryValue| match messages {
        HistoryValue::List(messages) => messages.iter().filter_map(message_offset).max(),
        _ => None,
    };
    let offsets: BTreeMap<&String, i64> =
        logs.iter().filter_map(|(key, messages)| Some((key, last(messages)?))).collect();
    (!offsets.is_empty()).then(|| to_body(json!({ "type": "commit_offsets", "offsets": offsets })))
}

fn message_offset(message: &HistoryValue) -> Option<i64> {
    match message.as_pair() {
        Some((HistoryValue::Int(offset), _)) => Some(*offset),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_key() -> String {
        "k7".to_owned()
    }

    fn decode_json(call: &Call, answer: Value) -> Reply {
        decode_response(call, &to_body(answer))
    }

    #[test]
    fn calls_are_requests_of_the_protocol() {
        let shown = |call: Call| Value::Object(encode_request(&call)).to_string();
        let txn = vec![MicroOp::ReadList(3), MicroOp::Append(3, 1), MicroOp::Write(4, 2)];
        assert_eq!(shown(Call::Read { key: sample_key() }), r#"{"key":7,"type":"read"}"#);
        assert_eq!(
            shown(Call::Cas { key: "recovery".to_owned(), old: 1, new: 2 }),
            r#"{"from":1,"key":0,"to":2,"type":"cas"}"#
        );
        assert_eq!(
            shown(Call::Txn { function: "txn", ops: txn }),
            r#"{"txn":[["r",3,null],["append",3,1],["w",4,2]],"type":"txn"}"#
        );
        assert_eq!(shown(Call::ReadCounter), r#"{"type":"read"}"#);
        let offsets = BTreeMap::from([("1".to_owned(), 5)]);
        assert_eq!(shown(Call::Poll { offsets }), r#"{"offsets":{"1":5},"type":"poll"}"#);
    }

    #[test]
    fn only_errors_of_the_table_are_definite_and_what_only_looks_never_happened() {
        let write = Call::Write { key: sample_key(), value: 1 };
        let outcome = |call: &Call, code: u64| {
            decode_json(call, json!({ "type": "error", "code": code })).outcome
        };
        for (code, _, definite) in ERRORS {
            let expected = if *definite { Outcome::Fail } else { Outcome::Info };
            assert_eq!(outcome(&write, *code), expected, "{code}");
        }
        assert_eq!(outcome(&write, 1_001), Outcome::Info);
        assert_eq!(decode_json(&write, json!({ "type": "error" })).outcome, Outcome::Info);
        assert_eq!(outcome(&Call::ReadCounter, 13), Outcome::Fail);
    }

    #[test]
    fn what_is_not_there_and_what_is_different_are_observations() {
        let error = |code: u64| json!({ "type": "error", "code": code, "text": "…" });
        assert_eq!(decode_json(&Call::Read { key: sample_key() }, error(20)), Reply::read(None));
        let cas = Call::Cas { key: sample_key(), old: 1, new: 2 };
        assert!(
            decode_json(&cas, error(20)).is_mismatch()
                && decode_json(&cas, error(22)).is_mismatch()
        );
        assert!(!decode_json(&cas, error(30)).is_mismatch());
        assert!(
            !decode_json(&Call::Write { key: sample_key(), value: 1 }, error(22)).is_mismatch()
        );
    }

    #[test]
    fn an_answer_to_something_else_says_nothing() {
        let read = Call::Read { key: sample_key() };
        assert_eq!(
            decode_json(&read, json!({ "type": "read_ok", "value": 3 })),
            Reply::read(Some(3))
        );
        assert_eq!(decode_json(&read, json!({ "type": "read_ok" })).outcome, Outcome::Info);
        assert_eq!(decode_json(&read, json!({ "type": "write_ok" })).outcome, Outcome::Info);
        assert_eq!(decode_json(&read, json!({})).outcome, Outcome::Info);
    }

    #[test]
    fn identifiers_that_were_different_stay_so() {
        let id = |id: &str| {
            let answer = format!(r#"{{"type":"generate_ok","id":{id}}}"#);
            decode_json(&Call::Generate, serde_json::from_str(&answer).expect("JSON"))
        };
        assert_ne!(id("18446744073709551614"), id("18446744073709551615"));
        assert_eq!(id("340282366920938463463374607431768211455").outcome, Outcome::Info);
        assert_eq!(id(r#"["n1", 4]"#).outcome, Outcome::Ok);
        assert_ne!(id("1.5"), id("1.25"));
    }

    #[test]
    fn a_consumer_commits_the_last_of_what_it_polled() {
        let poll = Call::Poll { offsets: BTreeMap::new() };
        let reply = decode_json(
            &poll,
            json!({ "type": "poll_ok", "msgs": { "1": [[4, 9], [7, 8]], "2": [] } }),
        );
        let request = encode_commit(&poll, &reply).expect("something was polled");
        assert_eq!(
            Value::Object(request),
            json!({ "type": "commit_offsets", "offsets": { "1": 7 } })
        );
        assert_eq!(
            encode_commit(&poll, &decode_json(&poll, json!({ "type": "poll_ok", "msgs": {} }))),
            None
        );
        assert_eq!(encode_commit(&Call::ReadCounter, &reply), None);
    }
}
