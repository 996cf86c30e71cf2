//! Tests the HTTP API: every replica answers every request, with its name, term and applied index.

use super::cluster::{HttpReply, ProcessCluster};
use reqwest::Method;
use serde_json::{Value, json};

/// Returns a reply without the fields that differ from run to run.
fn stable_part((code, body): &HttpReply) -> (u16, Value) {
    let mut body = body.clone();
    let fields = body.as_object_mut().expect("an object");
    for field in ["term", "applied", "message", "index"] {
        fields.remove(field);
    }
    (*code, body)
}

fn failure_reply(code: u16, error: &str, replica: &str) -> (u16, Value) {
    (code, json!({"error": error, "definite": true, "replica": replica}))
}

#[tokio::test]
async fn every_replica_reads_and_writes() {
    let cluster = ProcessCluster::start_ready(3, &[]).await;
    for number in 1..=3 {
        let (name, value) = (format!("n{number}"), format!("v{number}"));
        let path = format!("/kv/{name}");
        let cas = |body| cluster.call(number, Method::POST, "/kv/shared/cas", body);
        assert_eq!(
            stable_part(&cluster.get(number, &path).await),
            failure_reply(404, "not-found", &name)
        );
        let written = cluster.put(number, &name, &value).await;
        assert_eq!(stable_part(&written), (200, json!({"replica": name})));
        for reader in 1..=3 {
            let found = (200, json!({"value": value, "replica": format!("n{reader}")}));
            assert_eq!(stable_part(&cluster.get(reader, &path).await), found);
            let stale = format!("{path}?consistency=stale&after={}", written.1["index"]);
            assert_eq!(stable_part(&cluster.get(reader, &stale).await), found);
        }
        assert_eq!(cas(r#"{"old":null,"new":"a"}"#).await.0, 200);
        let mismatch = cas(r#"{"old":"x","new":"b"}"#).await;
        let mut expected = failure_reply(409, "mismatch", &name);
        expected.1["current"] = json!("a");
        assert_eq!(stable_part(&mismatch), expected);
        assert_eq!(cas(r#"{"old":"a","new":"c"}"#).await.0, 200);
        let deleted = cluster.call(number, Method::DELETE, "/kv/shared", "").await;
        assert_eq!(stable_part(&deleted), (200, json!({"replica": name})));
        let absent = cas(r#"{"old":"c","new":"d"}"#).await;
        assert_eq!((absent.0, &absent.1["current"]), (409, &Value::Null));
    }
}

#[tokio::test]
async fn a_transaction_does_all_or_nothing_on_any_replica() {
    let cluster = ProcessCluster::start_ready(3, &[]).await;
    let txn = |number, query: &str, body: Value| {
        let path = format!("/txn{query}");
        let body = body.to_string();
        let cluster = &cluster;
        async move { cluster.call(number, Method::POST, &path, &body).await }
    };
    let pay = json!({
        "conditions": [{"at-least": ["a", 3]}, {"is": ["closed", null]}],
        "ops": [{"add": ["a", -3]}, {"add": ["b", 3]}, {"append": ["log", "a-b"]}, {"read": "log"}]
    });
    let refused = txn(1, "", pay.clone()).await;
    assert_eq!((refused.0, &refused.1["error"]), (409, &json!("mismatch")));
    assert_eq!(txn(2, "", json!({"ops": [{"write": ["a", "5"]}]})).await.0, 200);
    let paid = txn(3, "", pay).await;
    let results = json!(["2", "3", null, "a-b"]);
    assert_eq!(stable_part(&paid), (200, json!({"replica": "n3", "results": results})));
    let all = json!({"ops": [{"read": "a"}, {"read": "b"}, {"read": "c"}]});
    for number in 1..=3 {
        let name = format!("n{number}");
        let found = (200, json!({"replica": name, "results": ["2", "3", null]}));
        assert_eq!(stable_part(&txn(number, "", all.clone()).await), found);
        let stale = format!("?consistency=stale&after={}", paid.1["index"]);
        assert_eq!(stable_part(&txn(number, &stale, all.clone()).await), found);
    }
}

#[tokio::test]
async fn an_invalid_transaction_is_rejected() {
    let cluster = ProcessCluster::start_ready(1, &[]).await;
    let bad = failure_reply(400, "bad-request", "n1");
    for (query, body) in [
        ("", r#"{"ops":[{"reed":"a"}]}"#),
        ("", r#"{"ops":[{"read":"a","write":["a","b"]}]}"#),
        ("", r#"{"ops":[{"append":["a","two words"]}]}"#),
        ("", r#"{"ops":[{"add":["a","1"]}]}"#),
        ("", r#"{"ops":[],"if":[]}"#),
        ("", r#"{"conditions":[{"is":["a"]}],"ops":[]}"#),
        ("", r#"{}"#),
        ("?consistency=stale", r#"{"ops":[{"write":["a","b"]}]}"#),
        ("?after=1", r#"{"ops":[{"take":"a"}]}"#),
    ] {
        let reply = cluster.call(1, Method::POST, &format!("/txn{query}"), body).await;
        assert_eq!(stable_part(&reply), bad, "{query} {body}");
    }
}

#[tokio::test]
async fn an_invalid_request_is_rejected_in_json() {
    let cluster = ProcessCluster::start_ready(1, &[]).await;
    let bad = failure_reply(400, "bad-request", "n1");
    for path in [
        "/kv/a?consistency=eventual",
        "/kv/a?after=-1",
        "/kv/a?timeout_ms=soon",
        "/kv/a?unknown=1",
        "/kv/%ff",
    ] {
        assert_eq!(stable_part(&cluster.get(1, path).await), bad, "{path}");
    }
    for body in ["", "5", r#"{"value":5}"#, r#"{"value":"5","more":1}"#] {
        let reply = cluster.call(1, Method::PUT, "/kv/a", body).await;
        assert_eq!(stable_part(&reply), bad, "{body}");
    }
    let reply = cluster.call(1, Method::POST, "/kv/a/cas", r#"{"new":"5"}"#).await;
    assert_eq!(stable_part(&reply), bad);
    assert_eq!(stable_part(&cluster.get(1, "/vk").await), failure_reply(404, "unknown-path", "n1"));
    let reply = cluster.call(1, Method::POST, "/kv/a", "").await;
    assert_eq!(stable_part(&reply), failure_reply(405, "method-not-allowed", "n1"));
    let large = format!(r#"{{"value":"{}"}}"#, "x".repeat(2 << 20));
    assert_eq!(stable_part(&cluster.call(1, Method::PUT, "/kv/a", &large).await), bad);
}

#[tokio::test]
async fn keys_and_values_may_be_any_text() {
    let cluster = ProcessCluster::start_ready(1, &[]).await;
    cluster.put(1, "%2Fä%20%00", r"\u0000 ü \n").await;
    let (_, found) = cluster.get(1, "/kv/%2F%C3%A4%20%00").await;
    assert_eq!(found["value"], "\0 ü \n");
}

#[tokio::test]
async fn status_contains_role_leader_and_bugs() {
    let cluster = ProcessCluster::start_ready(3, &["--unsafe", "no-fsync,early-ack"]).await;
    let leader = cluster.find_leader(1).await;
    let (code, status) = cluster.get(leader, "/status").await;
    assert_eq!((code, &status["role"]), (200, &json!("leader")));
    assert_eq!(status["leader"], format!("n{leader}"));
    assert_eq!(status["unsafe"], json!(["early-ack", "no-fsync"]));
    assert_eq!(status["peers"].as_object().expect("an object").len(), 2);
    for field in ["term", "last_index", "commit_index", "applied"] {
        assert!(status[field].is_u64(), "{field} in {status}");
    }
}
