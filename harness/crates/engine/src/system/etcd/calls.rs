//! Translates calls into requests to etcd's gateway and its answers into replies. Pure.
//!
//! Registers and lists are keys, an element of the set is a key of its own under `set/`. A
//! compare-and-set compares the value. A transaction that writes takes two steps: it reads its
//! keys, then writes on the condition that none of them has changed (`mod_revision`). If one has,
//! nothing was written, and that is a definite failure.

use crate::system::values::parse_int;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use checker::history::Value as HistoryValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use workloads::{Call, MicroOp, Reply};

/// One request.
pub(super) struct EtcdRequest {
    pub(super) path: &'static str,
    pub(super) body: Value,
    /// Whether it only reads.
    pub(super) read_only: bool,
    /// What the step before saw.
    states: KeyStates,
}

/// What follows from an answer.
pub(super) enum NextStep {
    Reply(Reply),
    Then(EtcdRequest),
}

/// Everything under `set/`: `0` follows `/`.
const SET: (&str, &str) = ("set/", "set0");

/// The first request of a call; reads are as fresh as asked for.
pub(super) fn first_request(call: &Call, serializable: bool) -> EtcdRequest {
    match call {
        Call::Read { key } => read_request("/kv/range", range_body(key, serializable)),
        Call::ReadSet => {
            let (from, to) = (encode_base64(SET.0), encode_base64(SET.1));
            read_request(
                "/kv/range",
                json!({ "key": from, "range_end": to, "serializable": serializable }),
            )
        }
        Call::Write { key, value } => write_request("/kv/put", put_body(key, &value.to_string())),
        Call::Insert { element } => {
            write_request("/kv/put", put_body(&format!("{}{element}", SET.0), ""))
        }
        Call::Cas { key, old, new } => {
            let (old_value, key_name) = (encode_base64(&old.to_string()), encode_base64(key));
            let same = json!({
                "target": "VALUE", "result": "EQUAL", "key": key_name, "value": old_value
            });
            let success = [json!({ "requestPut": put_body(key, &new.to_string()) })];
            write_request("/kv/txn", json!({ "compare": [same], "success": success }))
        }
        Call::Txn { ops, .. } => {
            let reads: Vec<_> = distinct_keys(ops)
                .map(|key| json!({ "requestRange": range_body(&txn_key(key), serializable) }))
                .collect();
            read_request("/kv/txn", json!({ "success": reads }))
        }
        // The system declares no object of theirs, so none is ever asked.
        other => read_request("/kv/range", range_body(other.function_name(), serializable)),
    }
}

fn read_request(path: &'static str, body: Value) -> EtcdRequest {
    EtcdRequest { path, body, read_only: true, states: KeyStates::new() }
}

fn write_request(path: &'static str, body: Value) -> EtcdRequest {
    EtcdRequest { path, body, read_only: false, states: KeyStates::new() }
}

/// Decodes the response to a step. Every response of etcd has a header; anything else is none.
pub(super) fn next_step(call: &Call, step: &EtcdRequest, answer: &Value) -> NextStep {
    let told = match call {
        _ if answer.get("header").is_none() => None,
        Call::Read { .. } => decode_entries(answer).map(|found| match found.first() {
            Some(entry) => Reply::returned(parse_int(&entry.value)),
            None => Reply::read(None),
        }),
        Call::ReadSet => decode_entries(answer).map(|found| {
            let elements = found.iter().filter_map(|entry| entry.key.strip_prefix(SET.0));
            Reply::returned(HistoryValue::List(elements.map(parse_int).collect()))
        }),
        Call::Write { .. } | Call::Insert { .. } => Some(Reply::ok()),
        Call::Cas { .. } => {
            Some(if has_succeeded(answer) { Reply::ok() } else { Reply::mismatch() })
        }
        Call::Txn { ops, .. } if step.read_only => return decode_read_step(ops, answer),
        Call::Txn { ops, .. } => Some(decode_commit(ops, step, answer)),
        _ => None,
    };
    NextStep::Reply(told.unwrap_or_else(|| Reply::info("the answer is not what was asked for")))
}

/// What the keys of a transaction hold, in the order of [`distinct_keys`].
fn decode_read_step(ops: &[MicroOp], answer: &Value) -> NextStep {
    let Some(found) = decode_reads(ops, answer) else {
        return NextStep::Reply(Reply::fail("the answer is not what was asked for"));
    };
    let (results, after) = apply_ops(ops, &found);
    if after.is_empty() {
        return NextStep::Reply(Reply::returned(HistoryValue::from(results)));
    }
    let compare: Vec<_> = found
        .iter()
        .map(|(key, (revision, _))| {
            let key = encode_base64(&txn_key(*key));
            json!({ "target": "MOD", "result": "EQUAL", "key": key, "modRevision": revision })
        })
        .collect();
    let puts: Vec<_> = after
        .iter()
        .map(|(key, value)| json!({ "requestPut": put_body(&txn_key(*key), value) }))
        .collect();
    let body = json!({ "compare": compare, "success": puts });
    NextStep::Then(EtcdRequest { states: found, ..write_request("/kv/txn", body) })
}

fn decode_commit(ops: &[MicroOp], step: &EtcdRequest, answer: &Value) -> Reply {
    if !has_succeeded(answer) {
        return Reply::fail("another client changed a key");
    }
    Reply::returned(HistoryValue::from(apply_ops(ops, &step.states).0))
}

/// The revision and the value of each key.
type KeyStates = BTreeMap<u64, (String, Option<String>)>;

fn decode_reads(ops: &[MicroOp], answer: &Value) -> Option<KeyStates> {
    let responses = answer.get("responses")?.as_array()?;
    let all: Vec<u64> = distinct_keys(ops).collect();
    if responses.len() != all.len() {
        return None;
    }
    let pairs = all.into_iter().zip(responses).map(|(key, response)| {
        let range = response.get("response_range").or_else(|| response.get("responseRange"))?;
        let entry = decode_entries(range)?.into_iter().next();
        let (revision, value) = match entry {
            Some(entry) => (entry.revision, Some(entry.value)),
            None => ("0".to_owned(), None),
        };
        Some((key, (revision, value)))
    });
    pairs.collect()
}

/// What each micro-operation returns, and what keys hold in the end that were written.
fn apply_ops(ops: &[MicroOp], found: &KeyStates) -> (Vec<HistoryValue>, BTreeMap<u64, String>) {
    let mut after: BTreeMap<u64, String> = BTreeMap::new();
    let mut results = Vec::new();
    for op in ops {
        let held = || {
            let before = || found.get(&op.key()).and_then(|(_, value)| value.clone());
            after.get(&op.key()).cloned().or_else(before)
        };
        let read = match op {
            MicroOp::Read(_) => held().map_or(HistoryValue::Nil, |text| parse_int(&text)),
            MicroOp::ReadList(_) => held().map_or(HistoryValue::Nil, |text| {
                HistoryValue::List(text.split_whitespace().map(parse_int).collect())
            }),
            MicroOp::Write(key, value) => {
                after.insert(*key, value.to_string());
                HistoryValue::Nil
            }
            MicroOp::Append(key, value) => {
                let text =
                    held().map_or_else(|| value.to_string(), |text| format!("{text} {value}"));
                after.insert(*key, text);
                HistoryValue::Nil
            }
        };
        results.push(op.to_value(read));
    }
    (results, after)
}

/// Each key once, in order.
fn distinct_keys(ops: &[MicroOp]) -> impl Iterator<Item = u64> + use<> {
    let all: std::collections::BTreeSet<u64> = ops.iter().map(MicroOp::key).collect();
    all.into_iter()
}

fn txn_key(key: u64) -> String {
    format!("t{key}")
}

fn encode_base64(text: &str) -> String {
    BASE64.encode(text)
}

fn range_body(key: &str, serializable: bool) -> Value {
    json!({ "key": encode_base64(key), "serializable": serializable })
}

fn put_body(key: &str, value: &str) -> Value {
    json!({ "key": encode_base64(key), "value": encode_base64(value) })
}

fn has_succeeded(answer: &Value) -> bool {
    answer.get("succeeded") == Some(&Value::Bool(true))
}

struct KeyRevision {
    key: String,
    value: String,
    revision: String,
}

/// What a range holds; nothing, if this is no answer to one.
fn decode_entries(answer: &Value) -> Option<Vec<KeyRevision>> {
    let Some(found) = answer.get("kvs") else { return Some(Vec::new()) };
    let text = |entry: &Value, name: &str| {
        let coded = entry.get(name).and_then(Value::as_str).unwrap_or_default();
        String::from_utf8(BASE64.decode(coded).ok()?).ok()
    };
    let entry = |entry: &Value| {
        let revision = entry.get("mod_revision").or_else(|| entry.get("modRevision"))?.as_str()?;
        Some(KeyRevision {
            key: text(entry, "key")?,
            value: text(entry, "value")?,
            revision: revision.to_owned(),
        })
    };
    found.as_array()?.iter().map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use workloads::Outcome;

    fn reply_to(call: &Call, answer: Value) -> Reply {
        match next_step(call, &first_request(call, false), &answer) {
            NextStep::Reply(reply) => reply,
            NextStep::Then(_) => panic!("one step is enough"),
        }
    }

    #[test]
    fn reads_and_writes_are_understood() {
        let read = Call::Read { key: "k1".to_owned() };
        let (key, value) = (encode_base64("k1"), encode_base64("7"));
        let kvs = json!([{ "key": key, "value": value, "mod_revision": "3" }]);
        assert_eq!(reply_to(&read, json!({ "header": {}, "kvs": kvs })), Reply::read(Some(7)));
        assert_eq!(reply_to(&read, json!({ "header": {} })), Reply::read(None));
        for call in [&read, &Call::ReadSet] {
            assert_eq!(reply_to(call, json!({})).outcome, Outcome::Info, "etcd did not say that");
        }
        let damaged = json!({ "header": {}, "kvs": [{ "key": "%", "mod_revision": "3" }] });
        assert_eq!(reply_to(&read, damaged).outcome, Outcome::Info);
        let cas = Call::Cas { key: "k1".to_owned(), old: 1, new: 2 };
        assert_eq!(reply_to(&cas, json!({ "header": {}, "succeeded": true })), Reply::ok());
        assert_eq!(reply_to(&cas, json!({ "header": {} })), Reply::mismatch());
        assert_eq!(reply_to(&cas, json!({})).outcome, Outcome::Info);
    }

    #[test]
    fn a_transaction_reads_then_writes_if_nothing_changed() {
        let ops = vec![
            MicroOp::ReadList(1),
            MicroOp::Append(1, 9),
            MicroOp::ReadList(1),
            MicroOp::ReadList(2),
        ];
        let call = Call::Txn { function: "txn", ops };
        let (key, value) = (encode_base64("t1"), encode_base64("4 5"));
        let kvs = json!([{ "key": key, "value": value, "mod_revision": "8" }]);
        let looked = json!({ "header": {}, "succeeded": true, "responses": [
            { "response_range": { "kvs": kvs } }, { "response_range": {} } ] });
        let NextStep::Then(step) = next_step(&call, &first_request(&call, false), &looked) else {
            panic!("it writes")
        };
        assert!(!step.read_only);
        assert_eq!(step.body["compare"][0]["modRevision"], "8");
        assert_eq!(step.body["compare"][1]["modRevision"], "0");
        assert_eq!(step.body["success"][0]["requestPut"]["value"], encode_base64("4 5 9"));
        let done = next_step(&call, &step, &json!({ "header": {}, "succeeded": true }));
        let NextStep::Reply(done) = done else { panic!("it is over") };
        let returned = done.returned.expect("what was read").to_string();
        assert_eq!(returned, r#"[["r" 1 [4 5]] ["append" 1 9] ["r" 1 [4 5 9]] ["r" 2 nil]]"#);
        let NextStep::Reply(lost) = next_step(&call, &step, &json!({ "header": {} })) else {
            panic!("over")
        };
        assert_eq!(lost.outcome, Outcome::Fail);
    }

    #[test]
    fn a_transaction_that_only_reads_takes_one_step() {
        let call = Call::Txn { function: "txn", ops: vec![MicroOp::Read(3)] };
        let looked =
            json!({ "header": {}, "succeeded": true, "responses": [{ "response_range": {} }] });
        assert_eq!(reply_to(&call, looked).outcome, Outcome::Ok);
        assert_eq!(reply_to(&call, json!({ "header": {} })).outcome, Outcome::Fail);
    }
}
