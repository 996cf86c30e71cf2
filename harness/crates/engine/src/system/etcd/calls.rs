//! Translates calls into requests to etcd's gateway and its answers into replies. Pure.
//!
//! Registers and lists are keys, an element of the set is a key of its own under `set/`. A
//! compare-and-set compares the value. A transaction that writes takes two steps: it reads its
//! keys, then writes on the condition that none of them has changed (`mod_revision`). If one has,
//! nothing was written, and that is a definite failure.

use crate::system::values::int;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use checker::history::Value as Seen;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use workloads::{Call, MicroOp, Reply};

/// One request.
pub(super) struct EtcdRequest {
    pub(super) path: &'static str,
    pub(super) body: Value,
    /// Whether it only reads.
    pub(super) looks: bool,
    /// What the step before saw.
    found: Found,
}

/// What follows from an answer.
pub(super) enum Told {
    Reply(Reply),
    Then(EtcdRequest),
}

/// Everything under `set/`: `0` follows `/`.
const SET: (&str, &str) = ("set/", "set0");

/// The first request of a call; reads are as fresh as asked for.
pub(super) fn first(call: &Call, serializable: bool) -> EtcdRequest {
    match call {
        Call::Read { key } => look("/kv/range", range(key, serializable)),
        Call::ReadSet => {
            let (from, to) = (coded(SET.0), coded(SET.1));
            look("/kv/range", json!({ "key": from, "range_end": to, "serializable": serializable }))
        }
        Call::Write { key, value } => change("/kv/put", put(key, &value.to_string())),
        Call::Insert { element } => change("/kv/put", put(&format!("{}{element}", SET.0), "")),
        Call::Cas { key, old, new } => {
            let (old_value, key_name) = (coded(&old.to_string()), coded(key));
            let same = json!({
                "target": "VALUE", "result": "EQUAL", "key": key_name, "value": old_value
            });
            let success = [json!({ "requestPut": put(key, &new.to_string()) })];
            change("/kv/txn", json!({ "compare": [same], "success": success }))
        }
        Call::Txn { ops, .. } => {
            let reads: Vec<_> = keys(ops)
                .map(|key| json!({ "requestRange": range(&named(key), serializable) }))
                .collect();
            look("/kv/txn", json!({ "success": reads }))
        }
        // The system declares no object of theirs, so none is ever asked.
        other => look("/kv/range", range(other.function(), serializable)),
    }
}

fn look(path: &'static str, body: Value) -> EtcdRequest {
    EtcdRequest { path, body, looks: true, found: Found::new() }
}

fn change(path: &'static str, body: Value) -> EtcdRequest {
    EtcdRequest { path, body, looks: false, found: Found::new() }
}

/// Decodes the response to a step. Every response of etcd has a header; anything else is none.
pub(super) fn next(call: &Call, step: &EtcdRequest, answer: &Value) -> Told {
    let told = match call {
        _ if answer.get("header").is_none() => None,
        Call::Read { .. } => entries(answer).map(|found| match found.first() {
            Some(entry) => Reply::returned(int(&entry.value)),
            None => Reply::read(None),
        }),
        Call::ReadSet => entries(answer).map(|found| {
            let elements = found.iter().filter_map(|entry| entry.key.strip_prefix(SET.0));
            Reply::returned(Seen::List(elements.map(int).collect()))
        }),
        Call::Write { .. } | Call::Insert { .. } => Some(Reply::ok()),
        Call::Cas { .. } => Some(if succeeded(answer) { Reply::ok() } else { Reply::mismatch() }),
        Call::Txn { ops, .. } if step.looks => return looked_at(ops, answer),
        Call::Txn { ops, .. } => Some(finished(ops, step, answer)),
        _ => None,
    };
    Told::Reply(told.unwrap_or_else(|| Reply::info("the answer is not what was asked for")))
}

/// What the keys of a transaction hold, in the order of [`keys`].
fn looked_at(ops: &[MicroOp], answer: &Value) -> Told {
    let Some(found) = found(ops, answer) else {
        return Told::Reply(Reply::fail("the answer is not what was asked for"));
    };
    let (results, after) = play(ops, &found);
    if after.is_empty() {
        return Told::Reply(Reply::returned(Seen::from(results)));
    }
    let compare: Vec<_> = found
        .iter()
        .map(|(key, (revision, _))| {
            let key = coded(&named(*key));
            json!({ "target": "MOD", "result": "EQUAL", "key": key, "modRevision": revision })
        })
        .collect();
    let puts: Vec<_> = after
        .iter()
        .map(|(key, value)| json!({ "requestPut": put(&named(*key), value) }))
        .collect();
    let body = json!({ "compare": compare, "success": puts });
    Told::Then(EtcdRequest { found, ..change("/kv/txn", body) })
}

fn finished(ops: &[MicroOp], step: &EtcdRequest, answer: &Value) -> Reply {
    if !succeeded(answer) {
        return Reply::fail("another client changed a key");
    }
    Reply::returned(Seen::from(play(ops, &step.found).0))
}

/// The revision and the value of each key.
type Found = BTreeMap<u64, (String, Option<String>)>;

fn found(ops: &[MicroOp], answer: &Value) -> Option<Found> {
    let responses = answer.get("responses")?.as_array()?;
    let all: Vec<u64> = keys(ops).collect();
    if responses.len() != all.len() {
        return None;
    }
    let pairs = all.into_iter().zip(responses).map(|(key, response)| {
        let range = response.get("response_range").or_else(|| response.get("responseRange"))?;
        let entry = entries(range)?.into_iter().next();
        let (revision, value) = match entry {
            Some(entry) => (entry.revision, Some(entry.value)),
            None => ("0".to_owned(), None),
        };
        Some((key, (revision, value)))
    });
    pairs.collect()
}

/// What each micro-operation returns, and what keys hold in the end that were written.
fn play(ops: &[MicroOp], found: &Found) -> (Vec<Seen>, BTreeMap<u64, String>) {
    let mut after: BTreeMap<u64, String> = BTreeMap::new();
    let mut results = Vec::new();
    for op in ops {
        let held = || {
            let before = || found.get(&op.key()).and_then(|(_, value)| value.clone());
            after.get(&op.key()).cloned().or_else(before)
        };
        let read = match op {
            MicroOp::Read(_) => held().map_or(Seen::Nil, |text| int(&text)),
            MicroOp::ReadList(_) => held()
                .map_or(Seen::Nil, |text| Seen::List(text.split_whitespace().map(int).collect())),
            MicroOp::Write(key, value) => {
                after.insert(*key, value.to_string());
                Seen::Nil
            }
            MicroOp::Append(key, value) => {
                let text =
                    held().map_or_else(|| value.to_string(), |text| format!("{text} {value}"));
                after.insert(*key, text);
                Seen::Nil
            }
        };
        results.push(op.to_value(read));
    }
    (results, after)
}

/// Each key once, in order.
fn keys(ops: &[MicroOp]) -> impl Iterator<Item = u64> + use<> {
    let all: std::collections::BTreeSet<u64> = ops.iter().map(MicroOp::key).collect();
    all.into_iter()
}

fn named(key: u64) -> String {
    format!("t{key}")
}

fn coded(text: &str) -> String {
    BASE64.encode(text)
}

fn range(key: &str, serializable: bool) -> Value {
    json!({ "key": coded(key), "serializable": serializable })
}

fn put(key: &str, value: &str) -> Value {
    json!({ "key": coded(key), "value": coded(value) })
}

fn succeeded(answer: &Value) -> bool {
    answer.get("succeeded") == Some(&Value::Bool(true))
}

struct KeyRevision {
    key: String,
    value: String,
    revision: String,
}

/// What a range holds; nothing, if this is no answer to one.
fn entries(answer: &Value) -> Option<Vec<KeyRevision>> {
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

    fn reply(call: &Call, answer: Value) -> Reply {
        match next(call, &first(call, false), &answer) {
            Told::Reply(reply) => reply,
            Told::Then(_) => panic!("one step is enough"),
        }
    }

    #[test]
    fn reads_and_writes_are_understood() {
        let read = Call::Read { key: "k1".to_owned() };
        let kvs = json!([{ "key": coded("k1"), "value": coded("7"), "mod_revision": "3" }]);
        assert_eq!(reply(&read, json!({ "header": {}, "kvs": kvs })), Reply::read(Some(7)));
        assert_eq!(reply(&read, json!({ "header": {} })), Reply::read(None));
        for call in [&read, &Call::ReadSet] {
            assert_eq!(reply(call, json!({})).outcome, Outcome::Info, "etcd did not say that");
        }
        let damaged = json!({ "header": {}, "kvs": [{ "key": "%", "mod_revision": "3" }] });
        assert_eq!(reply(&read, damaged).outcome, Outcome::Info);
        let cas = Call::Cas { key: "k1".to_owned(), old: 1, new: 2 };
        assert_eq!(reply(&cas, json!({ "header": {}, "succeeded": true })), Reply::ok());
        assert_eq!(reply(&cas, json!({ "header": {} })), Reply::mismatch());
        assert_eq!(reply(&cas, json!({})).outcome, Outcome::Info);
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
        let kvs = json!([{ "key": coded("t1"), "value": coded("4 5"), "mod_revision": "8" }]);
        let looked = json!({ "header": {}, "succeeded": true, "responses": [
            { "response_range": { "kvs": kvs } }, { "response_range": {} } ] });
        let Told::Then(step) = next(&call, &first(&call, false), &looked) else {
            panic!("it writes")
        };
        assert!(!step.looks);
        assert_eq!(step.body["compare"][0]["modRevision"], "8");
        assert_eq!(step.body["compare"][1]["modRevision"], "0");
        assert_eq!(step.body["success"][0]["requestPut"]["value"], coded("4 5 9"));
        let done = next(&call, &step, &json!({ "header": {}, "succeeded": true }));
        let Told::Reply(done) = done else { panic!("it is over") };
        let returned = done.returned.expect("what was read").to_string();
        assert_eq!(returned, r#"[["r" 1 [4 5]] ["append" 1 9] ["r" 1 [4 5 9]] ["r" 2 nil]]"#);
        let Told::Reply(lost) = next(&call, &step, &json!({ "header": {} })) else {
            panic!("over")
        };
        assert_eq!(lost.outcome, Outcome::Fail);
    }

    #[test]
    fn a_transaction_that_only_reads_takes_one_step() {
        let call = Call::Txn { function: "txn", ops: vec![MicroOp::Read(3)] };
        let looked =
            json!({ "header": {}, "succeeded": true, "responses": [{ "response_range": {} }] });
        assert_eq!(reply(&call, looked).outcome, Outcome::Ok);
        assert_eq!(reply(&call, json!({ "header": {} })).outcome, Outcome::Fail);
    }
}
