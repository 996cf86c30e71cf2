//! Holds requests and answers to the words of the store.

use super::*;
use workloads::Outcome;

fn decode_text(call: &Call, status: u16, body: &str) -> Reply {
    let body = serde_json::from_str(body).expect("JSON");
    decode_response(call, StatusCode::from_u16(status).expect("a status"), &body)
}

fn read_call() -> Call {
    Call::Read { key: "x".to_owned() }
}

fn write_call() -> Call {
    Call::Write { key: "x".to_owned(), value: 1 }
}

fn acquire_call() -> Call {
    Call::Acquire { lock: "l".to_owned(), holder: "h".to_owned() }
}

#[test]
fn answers_mean_what_they_say() {
    let cas = Call::Cas { key: "x".to_owned(), old: 1, new: 2 };
    assert_eq!(decode_text(&read_call(), 200, r#"{"value":"7"}"#), Reply::read(Some(7)));
    assert_eq!(
        decode_text(&read_call(), 200, r#"{"value":"junk"}"#),
        Reply::returned(HistoryValue::from("junk"))
    );
    assert_eq!(
        decode_text(&read_call(), 404, r#"{"error":"not-found","definite":true}"#),
        Reply::read(None)
    );
    assert_eq!(decode_text(&write_call(), 200, r#"{"index":4}"#), Reply::ok());
    assert_eq!(
        decode_text(&cas, 409, r#"{"error":"mismatch","definite":true}"#),
        Reply::mismatch()
    );
    assert_eq!(
        decode_text(&write_call(), 503, r#"{"error":"no-leader","definite":true}"#),
        Reply::fail("no-leader")
    );
    assert_eq!(
        decode_text(&write_call(), 504, r#"{"error":"timeout","definite":false}"#),
        Reply::info("timeout")
    );
}

#[test]
fn an_answer_to_another_call_says_nothing() {
    assert_eq!(decode_text(&write_call(), 404, "{}"), Reply::info("error"));
    let mismatch = r#"{"error":"mismatch","definite":true}"#;
    assert_eq!(
        decode_text(&write_call(), 409, mismatch),
        Reply::info("a write was answered mismatch")
    );
    assert_eq!(decode_text(&Call::Dequeue, 409, mismatch).outcome, Outcome::Info);
    for (call, body) in [
        (read_call(), r#"{"value":null}"#),
        (Call::Dequeue, r#"{"results":["1","2"]}"#),
        (Call::Dequeue, r#"{"results":[7]}"#),
        (Call::Generate, r#"{"results":[null]}"#),
        (Call::ReadCounter, "{}"),
        (Call::Add { amount: 1 }, "{}"),
        (acquire_call(), r#"{"results":[null]}"#),
    ] {
        assert_eq!(decode_text(&call, 200, body).outcome, Outcome::Info, "{call:?} {body}");
    }
    assert_eq!(decode_text(&read_call(), 404, "{}").outcome, Outcome::Info);
}

#[test]
fn results_become_what_the_call_returns() {
    let ops = vec![MicroOp::ReadList(1), MicroOp::Append(1, 5), MicroOp::Read(2)];
    let txn = Call::Txn { function: "txn", ops };
    let balances = Call::ReadAccounts { accounts: 2, opening: 10 };
    let sums = Call::ReadCounters { keys: vec!["a".to_owned(), "b".to_owned()] };
    for (call, body, shown) in [
        (&txn, r#"{"results":["3 4",null,null]}"#, r#"[["r" 1 [3 4]] ["append" 1 5] ["r" 2 nil]]"#),
        (&Call::Dequeue, r#"{"results":["3"]}"#, "3"),
        (&Call::ReadCounter, r#"{"results":[null]}"#, "0"),
        (&sums, r#"{"results":[null,"2"]}"#, r#"{"a" 0, "b" 2}"#),
        (&Call::ReadSet, r#"{"results":["1 x"]}"#, r#"[1 "x"]"#),
        (&balances, r#"{"results":["-3",null]}"#, r#"{"0" 7, "1" 10}"#),
        (&acquire_call(), r#"{"results":[null],"index":9}"#, r#"{"token" 9}"#),
    ] {
        let reply = decode_text(call, 200, body);
        assert_eq!(reply.outcome, Outcome::Ok);
        assert_eq!(reply.returned.map(|value| value.to_string()).as_deref(), Some(shown));
    }
    assert_eq!(decode_text(&Call::Dequeue, 200, r#"{"results":[null]}"#), Reply::mismatch());
}

#[test]
fn a_call_is_one_request() {
    let transfer = encode_request(&Call::Transfer { from: 1, to: 2, amount: 4, opening: 10 });
    let body = json!({
        "conditions": [{ "at-least": ["{bank}account1", -6] }],
        "ops": [{ "add": ["{bank}account1", -4] }, { "add": ["{bank}account2", 4] }],
    });
    assert_eq!(
        (transfer.path.as_str(), transfer.body, transfer.read_only),
        ("/txn", Some(body), false)
    );
    assert!(
        encode_request(&Call::ReadCounter).read_only
            && encode_request(&read_call()).read_only
            && !encode_request(&Call::Dequeue).read_only
    );
    let only_reads = Call::Txn { function: "txn", ops: vec![MicroOp::Read(1)] };
    assert!(encode_request(&only_reads).read_only);
}
