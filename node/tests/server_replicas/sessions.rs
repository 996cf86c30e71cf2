//! Tests that a retry in a session runs once, even after a change of leader.

use super::cluster::ProcessCluster;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn open_session(cluster: &ProcessCluster, number: usize) -> u64 {
    let began = Instant::now();
    loop {
        let (code, body) = cluster.call(number, Method::POST, "/session", "").await;
        if code == 200 {
            return body["session"].as_u64().expect("a number");
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{body}");
    }
}

/// Appends a word to a list; retries until the outcome is known.
async fn append_word(
    cluster: &ProcessCluster,
    replicas: &[usize],
    session: u64,
    sequence: u64,
) -> Value {
    let path = format!("/txn?timeout_ms=300&session={session}&sequence={sequence}");
    let body = json!({"ops": [{"append": ["list", format!("w{sequence}")]}]}).to_string();
    let began = Instant::now();
    for number in replicas.iter().cycle() {
        let (code, body) = cluster.call(*number, Method::POST, &path, &body).await;
        if code == 200 {
            return body;
        }
        assert!(matches!(code, 503 | 504), "{code} {body}");
        assert!(began.elapsed() < Duration::from_secs(20), "{body}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    unreachable!("there are replicas to ask")
}

#[tokio::test]
async fn a_retry_after_a_change_of_leader_is_applied_once() {
    let mut cluster = ProcessCluster::start_ready(3, &[]).await;
    let session = open_session(&cluster, 1).await;
    let mut words = Vec::new();
    for sequence in 1..=12 {
        let all = [1, 2, 3];
        if sequence % 4 == 0 {
            // The leader has the write but no quorum, so its outcome is unknown.
            let leader =
                cluster.find_leader(1 + usize::try_from(sequence).expect("small") % 3).await;
            let others: Vec<_> = all.into_iter().filter(|number| *number != leader).collect();
            let path = format!("/txn?timeout_ms=300&session={session}&sequence={sequence}");
            let body = json!({"ops": [{"append": ["list", format!("w{sequence}")]}]}).to_string();
            let lost = cluster.call(leader, Method::POST, &path, &body);
            drop(tokio::time::timeout(Duration::from_millis(1), lost).await);
            cluster.signal(leader, Signal::SIGKILL);
            cluster.wait_for_exit(leader);
            append_word(&cluster, &others, session, sequence).await;
            cluster.start_replica(leader);
            cluster.until_healthy(leader).await;
        }
        let first = append_word(&cluster, &all, session, sequence).await;
        let again = append_word(&cluster, &all, session, sequence).await;
        assert_eq!(first["index"], again["index"], "a retry is told the first answer");
        words.push(format!("w{sequence}"));
    }
    for number in 1..=3 {
        let (_, found) = cluster.get(number, "/kv/list").await;
        assert_eq!(found["value"], json!(words.join(" ")), "replica {number}");
    }
}

#[tokio::test]
async fn sessions_survive_a_restart_of_all_replicas() {
    let mut cluster = ProcessCluster::start_ready(3, &[]).await;
    let session = open_session(&cluster, 2).await;
    let first = append_word(&cluster, &[1], session, 1).await;
    (1..=3).for_each(|number| cluster.kill(number));
    (1..=3).for_each(|number| cluster.start_replica(number));
    for number in 1..=3 {
        cluster.until_healthy(number).await;
        assert_eq!(append_word(&cluster, &[number], session, 1).await["index"], first["index"]);
    }
    let (code, gone) = cluster
        .call(1, Method::POST, "/txn?session=1&sequence=1", r#"{"ops":[{"take":"list"}]}"#)
        .await;
    assert_eq!((code, &gone["error"]), (410, &json!("unknown-session")));
}
