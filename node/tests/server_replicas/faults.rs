//! Kills, pauses and corrupts replicas: no acknowledged write is lost, and every answer is in time.

use super::cluster::ProcessCluster;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The only segment of a replica's log.
fn segment_path(cluster: &ProcessCluster, number: usize) -> PathBuf {
    cluster.data_path(number).join(format!("{:020}.wal", 0))
}

#[tokio::test]
async fn without_a_majority_every_request_is_answered_in_time() {
    let cluster = ProcessCluster::start_ready(3, &[]).await;
    assert_eq!(cluster.put(1, "a", "1").await.0, 200);
    let leader = cluster.find_leader(1).await;
    let others: Vec<_> = (1..=3).filter(|number| *number != leader).collect();
    others.iter().for_each(|other| cluster.signal(*other, Signal::SIGSTOP));

    let began = Instant::now();
    let put = r#"{"value":"2"}"#;
    let write = cluster.call(leader, Method::PUT, "/kv/a?timeout_ms=200", put);
    let (code, body) = write.await;
    assert_eq!((code, &body["error"], &body["definite"]), (504, &json!("timeout"), &json!(false)));
    let (code, body) = cluster.get(leader, "/kv/a?timeout_ms=200").await;
    assert!([503, 504].contains(&code) && body["definite"] == true, "{code} {body}");
    let (code, body) = cluster.get(leader, "/kv/a?consistency=stale").await;
    assert_eq!((code, &body["value"]), (200, &json!("1")));
    let late = cluster.get(leader, "/kv/a?consistency=stale&after=999&timeout_ms=100").await;
    assert_eq!((late.0, &late.1["definite"]), (504, &json!(true)));
    assert!(began.elapsed() < Duration::from_millis(1500), "{:?}", began.elapsed());

    tokio::time::sleep(Duration::from_millis(800)).await;
    let (code, body) = cluster.put(leader, "a", "3").await;
    assert_eq!(
        (code, &body["definite"]),
        (503, &json!(true)),
        "a leader without followers resigns"
    );
    others.iter().for_each(|other| cluster.signal(*other, Signal::SIGCONT));
    let recovery = cluster.put_until_done(leader, "a", "4").await;
    assert!(recovery < Duration::from_secs(3), "usable again after {recovery:?}");
}

#[tokio::test]
async fn a_write_forwarded_to_a_leader_that_crashes_is_unknown() {
    let mut cluster = ProcessCluster::start_ready(3, &[]).await;
    let leader = cluster.find_leader(1).await;
    let follower = leader % 3 + 1;
    cluster.signal(leader, Signal::SIGSTOP);
    let answer = async {
        let put = r#"{"value":"2"}"#;
        cluster.call(follower, Method::PUT, "/kv/a?timeout_ms=200", put).await
    };
    let (code, body) = answer.await;
    assert_eq!((code, &body["definite"]), (504, &json!(false)));
    cluster.kill(leader);
    cluster.put_until_done(follower, "a", "3").await;
}

#[tokio::test]
async fn acknowledged_writes_survive_a_crash_of_all_replicas() {
    let mut cluster = ProcessCluster::start_ready(3, &[]).await;
    for number in 0..30 {
        assert_eq!(cluster.put(number % 3 + 1, &format!("k{number}"), "v").await.0, 200);
    }
    (1..=3).for_each(|number| cluster.kill(number));
    (1..=3).for_each(|number| cluster.start_replica(number));
    for number in 0..30 {
        let replica = number % 3 + 1;
        cluster.until_healthy(replica).await;
        assert_eq!(cluster.get(replica, &format!("/kv/k{number}")).await.0, 200, "k{number}");
    }
}

#[tokio::test]
async fn a_crashed_leader_is_replaced_and_rejoins() {
    let mut cluster =
        ProcessCluster::start_ready(3, &["--heartbeat-ms", "20", "--election-ms", "150"]).await;
    let leader = cluster.find_leader(1).await;
    cluster.kill(leader);
    let gap = cluster.put_until_done(leader % 3 + 1, "a", "1").await;
    assert!(gap < Duration::from_secs(3), "no leader for {gap:?}");
    cluster.start_replica(leader);
    cluster.until_healthy(leader).await;
    assert_eq!(cluster.get(leader, "/kv/a").await.0, 200);
}

#[tokio::test]
async fn a_corrupted_log_is_rejected_and_a_torn_tail_is_truncated() {
    let mut cluster = ProcessCluster::start_ready(3, &[]).await;
    let (_, written) = cluster.put(3, "a", "1").await;
    cluster.get(3, &format!("/kv/a?after={}", written["index"])).await;
    cluster.kill(3);

    let path = segment_path(&cluster, 3);
    let whole = fs::read(&path).expect("a log");
    let mut damaged = whole.clone();
    damaged[60] ^= 1;
    fs::write(&path, &damaged).expect("the log is ours");
    let end = cluster.run_to_end(3);
    let said = String::from_utf8_lossy(&end.stderr).into_owned();
    assert_eq!(end.status.code(), Some(1), "{said}");
    let file = path.display().to_string();
    assert!(said.contains(&file) && said.contains("is damaged at byte "), "{said}");
    assert_eq!(fs::read(&path).expect("a log"), damaged, "a refused log is evidence");

    fs::write(&path, &whole[..whole.len() - 3]).expect("the log is ours");
    cluster.start_replica(3);
    cluster.until_healthy(3).await;
    assert!(
        cluster.read_log(3).contains("recovery cut a torn tail of "),
        "{}",
        cluster.read_log(3)
    );
    let (code, body) = cluster.get(3, "/kv/a").await;
    assert_eq!((code, &body["value"]), (200, &json!("1")));
}

#[tokio::test]
async fn a_missing_log_is_rejected() {
    let mut cluster = ProcessCluster::start_ready(1, &[]).await;
    cluster.kill(1);
    fs::remove_file(segment_path(&cluster, 1)).expect("the log is ours");
    let end = cluster.run_to_end(1);
    let said = String::from_utf8_lossy(&end.stderr).into_owned();
    assert!(end.status.code() == Some(1) && said.contains("is gone"), "{said}");
}

#[tokio::test]
async fn strangers_at_the_peer_port_are_harmless() {
    let cluster = ProcessCluster::start_ready(1, &[]).await;
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 64], &[4, 0, 0, 0, 9, 9, 9, 9], &[1]] {
        let mut stranger = TcpStream::connect(cluster.address(7001)).expect("it listens");
        stranger.write_all(garbage).expect("it reads");
    }
    assert_eq!(cluster.put(1, "a", "1").await.0, 200);
    let log = cluster.read_log(1);
    assert!(log.contains("closed the connection from"), "{log}");
}

#[tokio::test]
async fn a_stranger_that_announces_a_large_frame_is_disconnected() {
    let cluster = ProcessCluster::start_ready(1, &[]).await;
    let mut stranger = TcpStream::connect(cluster.address(7001)).expect("it listens");
    stranger.write_all(&(1_u32 << 20).to_le_bytes()).expect("it reads");
    stranger.set_read_timeout(Some(Duration::from_secs(4))).expect("a socket has timeouts");
    // A server that waited for the rest would not answer for 5 s.
    let said = stranger.read(&mut [0; 1]);
    assert!(
        matches!(&said, Ok(0)) || said.is_err_and(|why| why.kind() == ErrorKind::ConnectionReset)
    );
    let deadline = Instant::now() + Duration::from_secs(5);
    while !cluster.read_log(1).contains("is above the limit of 16384") {
        assert!(Instant::now() < deadline, "{}", cluster.read_log(1));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_seeded_bug_takes_effect() {
    let cluster = ProcessCluster::start_ready(3, &["--unsafe", "early-ack"]).await;
    let leader = cluster.find_leader(1).await;
    let others = (1..=3).filter(|number| *number != leader);
    others.for_each(|other| cluster.signal(other, Signal::SIGSTOP));
    assert_eq!(cluster.put(leader, "a", "1").await.0, 200, "no other replica has it");
}
