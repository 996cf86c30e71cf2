//! Tests that logs are compacted behind snapshots, and that replicas that need one catch up.

use super::cluster::ProcessCluster;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::time::{Duration, Instant};

const FREQUENT_SNAPSHOTS: &[&str] = &["--snapshot-entries", "20"];

async fn append_once(cluster: &ProcessCluster, number: usize, session: u64) -> Value {
    let body = json!({"ops": [{"append": ["list", "once"]}]}).to_string();
    let path = format!("/txn?session={session}&sequence=1");
    cluster.call(number, Method::POST, &path, &body).await.1
}

#[tokio::test]
async fn a_lagging_replica_gets_the_snapshot_and_a_restarted_one_starts_from_it() {
    let mut cluster = ProcessCluster::start_ready(3, FREQUENT_SNAPSHOTS).await;
    let (_, body) = cluster.call(1, Method::POST, "/session", "").await;
    let session = body["session"].as_u64().expect("a number");
    let first = append_once(&cluster, 1, session).await;
    cluster.kill(3);
    cluster.until_healthy(1).await;
    for number in 0..100 {
        cluster.put_until_done(1 + number % 2, &format!("k{number}"), &number.to_string()).await;
    }
    cluster.start_replica(3);
    cluster.until_healthy(3).await;
    let (code, body) = cluster.get(3, "/kv/k99").await;
    assert_eq!((code, &body["value"]), (200, &json!("99")));
    assert!(cluster.read_log(3).contains("took over a snapshot"), "{}", cluster.read_log(3));

    (1..=3).for_each(|number| cluster.kill(number));
    (1..=3).for_each(|number| cluster.start_replica(number));
    for number in 1..=3 {
        cluster.until_healthy(number).await;
        assert!(
            !cluster.read_log(number).contains("entries after 0, term 2"),
            "{}",
            cluster.read_log(number)
        );
        for key in [0, 50, 99] {
            let (code, body) = cluster.get(number, &format!("/kv/k{key}")).await;
            assert_eq!((code, &body["value"]), (200, &json!(key.to_string())), "n{number}");
        }
        assert_eq!(append_once(&cluster, number, session).await["index"], first["index"]);
        // During a snapshot, the old segment and the new one exist at the same time. A replica that
        // was killed between its snapshot and the cut of its log cuts it at the next snapshot.
        let deadline = Instant::now() + Duration::from_secs(10);
        while count_segments(&cluster, number) != 1 {
            assert!(Instant::now() < deadline, "n{number} keeps what it does not need");
            cluster.put_until_done(number, "next", "1").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let (_, body) = cluster.get(1, "/kv/list").await;
    assert_eq!(body["value"], json!("once"));
}

/// Returns the number of segments of a replica's log.
fn count_segments(cluster: &ProcessCluster, number: usize) -> usize {
    let files = fs::read_dir(cluster.data_path(number)).expect("its directory");
    let names = files.map(|file| file.expect("a file").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".wal")).count()
}
