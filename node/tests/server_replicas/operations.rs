//! Tests the features for operators: metrics, limits, JSON logs, traces and the stop on disk
//! errors.

use super::cluster::{ProcessCluster, run_to_exit};
use serde_json::{Value, json};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Sends an HTTP/1.0 request, for answers that are not JSON.
fn send_raw_request(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("text");
    text
}

fn metric_value(metrics: &str, name: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in\n{metrics}"))
}

#[tokio::test]
async fn counters_count_events() {
    let cluster = ProcessCluster::start_ready(1, &[]).await;
    let metrics = || send_raw_request(&cluster.address(8001), "/metrics");
    // A new leader's no-op is applied before this write.
    assert_eq!(cluster.put(1, "k", "first").await.0, 200);
    let before = metrics();
    assert!(before.contains("content-type: text/plain"), "{before}");
    for number in 0..5 {
        assert_eq!(cluster.put(1, "k", &number.to_string()).await.0, 200);
    }
    assert_eq!(cluster.get(1, "/kv/none").await.0, 404);
    let after = metrics();
    let grown = |name| metric_value(&after, name) - metric_value(&before, name);
    assert_eq!(grown("node_applied_index"), 5);
    assert!((1..=10).contains(&grown("node_wal_syncs_total")), "{after}");
    assert_eq!(grown(r#"node_requests_total{kind="write",code="200"}"#), 5);
    assert_eq!(metric_value(&after, r#"node_requests_total{kind="read",code="404"}"#), 1);
    assert_eq!(metric_value(&after, "node_leader"), 1);
}

#[tokio::test]
async fn a_client_above_the_limit_gets_an_error() {
    let cluster = ProcessCluster::start_ready(1, &["--max-connections", "2"]).await;
    // The cluster's own client keeps one connection; this is the second.
    let inside = TcpStream::connect(cluster.address(8001)).expect("it listens");
    assert_eq!(cluster.put(1, "k", "1").await.0, 200);
    let mut outside = TcpStream::connect(cluster.address(8001)).expect("it listens");
    let mut told = String::new();
    outside.read_to_string(&mut told).expect("text");
    assert!(told.starts_with("HTTP/1.1 503") && told.contains("\"overloaded\""), "{told}");
    drop(inside);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(
        send_raw_request(&cluster.address(8001), "/metrics")
            .contains("node_connections_refused_total 1")
    );
}

#[tokio::test]
async fn stale_reads_report_the_time_since_the_last_message_of_the_leader() {
    let mut cluster = ProcessCluster::start_ready(3, &[]).await;
    let leader = cluster.find_leader(1).await;
    let other = 1 + leader % 3;
    let age = |number: usize| {
        let text = send_raw_request(&cluster.address(8000 + number), "/kv/k?consistency=stale");
        let age = text.lines().find_map(|line| line.strip_prefix("age-ms: ")?.parse::<u64>().ok());
        age.unwrap_or_else(|| panic!("no age in\n{text}"))
    };
    assert_eq!(age(leader), 0_u64);
    assert!(age(other) < 1000);
    assert!(!send_raw_request(&cluster.address(8000 + other), "/kv/k").contains("age-ms"));
    (1..=3).filter(|number| *number != other).for_each(|number| cluster.kill(number));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let text = send_raw_request(&cluster.address(8000 + other), "/kv/k?consistency=stale");
    let age = text.lines().find_map(|line| line.strip_prefix("age-ms: ")?.parse::<u64>().ok());
    assert!(age.is_some_and(|age| age >= 500), "{text}");
}

#[tokio::test]
async fn the_log_is_json_on_request() {
    let cluster = ProcessCluster::start_ready(1, &["--log-format", "json"]).await;
    let log = cluster.read_log(1);
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["replica"], json!("n1"));
        assert!(line["time"].is_string() && line["message"].is_string(), "{line}");
    }
    assert!(log.contains("became leader"), "{log}");
}

#[tokio::test]
async fn the_fast_profile_fails_over_quickly() {
    let mut cluster = ProcessCluster::start_ready(3, &["--profile", "fast"]).await;
    let leader = cluster.find_leader(1).await;
    cluster.kill(leader);
    let took = cluster.put_until_done(1 + leader % 3, "k", "v").await;
    assert!(took < Duration::from_secs(1), "{took:?}");
    let profile = Command::new(env!("CARGO_BIN_EXE_node")).arg("--profile=faster").output();
    assert_eq!(profile.expect("it runs").status.code(), Some(254));
}

#[tokio::test]
async fn peers_without_the_secret_are_rejected() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let file = |name: &str, secret: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, secret).expect("ours");
        path.display().to_string()
    };
    let (right, wrong) = (file("right", "0123456789abcdef"), file("wrong", "0123456789abcdeX"));
    let mut cluster = ProcessCluster::start_ready(2, &["--peer-secret-file", &right]).await;
    assert_eq!(cluster.put(1, "k", "1").await.0, 200);
    cluster.kill(2);
    cluster.run_with(2, &["--peer-secret-file", &wrong]);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let (code, refused) = cluster.put(1, "k", "2").await;
    assert!(code >= 500, "{refused}");
    assert!(cluster.read_log(1).contains("does not know the secret"), "{}", cluster.read_log(1));
    cluster.kill(2);
    cluster.start_replica(2);
    cluster.put_until_done(1, "k", "3").await;
}

/// A limit on file sizes, in blocks of 512 bytes: it looks like a full disk to a process.
const ROOM: u32 = 16;

#[tokio::test]
async fn a_full_disk_stops_the_replica_and_loses_nothing_acknowledged() {
    let mut cluster = ProcessCluster::start_ready(1, &[]).await;
    assert_eq!(cluster.put(1, "k0", "v0").await.0, 200);
    cluster.kill(1);
    let plain = cluster.replica_command(1);
    let mut full = Command::new("sh");
    full.arg("-c").arg(format!("trap '' XFSZ; ulimit -f {ROOM}; exec \"$0\" \"$@\""));
    full.arg(plain.get_program()).args(plain.get_args());
    full.stdout(Stdio::null()).stderr(Stdio::piped());
    let child = full.spawn().expect("a shell");
    cluster.until_healthy(1).await;
    let value = "x".repeat(1000);
    let mut kept = 0;
    let path = |number| format!("/kv/big{number}");
    while kept < 100 {
        let asked = cluster.try_put(1, &path(kept), &value).await;
        if asked.is_none_or(|code| code != 200) {
            break;
        }
        kept += 1;
    }
    assert!((1..10).contains(&kept), "{kept} writes of 1000 bytes fit into {ROOM} blocks");
    let ended = child.wait_with_output().expect("ours");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("fatal: cannot write") && said.contains(".wal at byte"), "{said}");
    cluster.start_replica(1);
    cluster.until_healthy(1).await;
    assert_eq!(cluster.get(1, "/kv/k0").await.1["value"], json!("v0"));
    for number in 0..kept {
        assert_eq!(cluster.get(1, &path(number)).await.1["value"], json!(value), "{number}");
    }
}

#[test]
fn help_names_the_profiles() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
    command.arg("--help");
    let help = String::from_utf8(run_to_exit(command).stdout).expect("text");
    assert!(help.contains("--profile") && help.contains("80 ms"), "{help}");
}

#[tokio::test]
async fn a_trace_has_a_line_for_every_event() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let path = directory.path().join("trace.jsonl");
    let flag = path.to_str().expect("a plain path");
    let mut cluster =
        ProcessCluster::start_ready(1, &["--snapshot-entries", "5", "--trace", flag]).await;
    for number in 0..10 {
        cluster.put_until_done(1, "k", &number.to_string()).await;
    }
    cluster.kill(1);
    cluster.start_replica(1);
    cluster.until_healthy(1).await;
    let text = std::fs::read_to_string(&path).expect("a trace");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for event in ["append", "commit", "durable", "rewrite", "role", "snapshot", "start", "vote"] {
        assert!(lines.iter().any(|line| line["event"] == event), "{event}: {text}");
    }
    assert!(lines.iter().all(|line| line["replica"] == "n1" && line["term"].is_u64()), "{text}");
    let with_digests = |event: &str| {
        let mut events = lines.iter().filter(|line| line["event"] == event);
        events.all(|line| {
            line["entries"].as_array().is_some_and(|entries| {
                let from = line["from"].as_u64().unwrap_or_default();
                entries.len() as u64 == line["to"].as_u64().unwrap_or_default() + 1 - from
            })
        })
    };
    assert!(with_digests("append") && with_digests("commit"), "{text}");
    let role = |role: &str| lines.iter().filter(|line| line["role"] == role).count();
    assert_eq!((role("leader"), role("candidate")), (2, 2), "{text}");
}
