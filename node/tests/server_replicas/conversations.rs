//! Sends the requests in `tests/conversations` to a new cluster of one replica, and compares its
//! answers with the files, byte by byte. `REWRITE=1 cargo test` updates them; review every
//! difference.
//!
//! A line `> METHOD PATH [BODY]` is a request, `#` begins a comment, all other lines are the
//! answer: status, `age-ms` if present, and body.

use super::cluster::ProcessCluster;
use reqwest::Method;
use std::path::{Path, PathBuf};

async fn send_line(cluster: &ProcessCluster, request: &str) -> String {
    let mut words = request.splitn(3, ' ');
    let method = words.next().and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    let path = words.next().expect("a path");
    let body = match words.next().unwrap_or_default() {
        "LARGE" => format!(r#"{{"value":"{}"}}"#, "x".repeat(1 << 20)),
        body => body.to_owned(),
    };
    let url = format!("http://{}{path}", cluster.address(8001));
    let client = reqwest::Client::new();
    let response = client.request(method.expect("a method"), url).body(body).send().await;
    let response = response.expect("the replica answers");
    let status = response.status().as_u16();
    let age = response.headers().get("age-ms").map(|age| format!(" age-ms: {age:?}"));
    format!("{status}{}\n{}\n", age.unwrap_or_default(), response.text().await.expect("text"))
}

async fn play_conversation(script: &str) -> String {
    let cluster = ProcessCluster::start_ready(1, &[]).await;
    let mut played = String::new();
    for line in script.lines() {
        if let Some(request) = line.strip_prefix("> ") {
            played += &format!("{line}\n{}", send_line(&cluster, request).await);
        } else if line.starts_with('#') || line.is_empty() {
            played += &format!("{line}\n");
        }
    }
    played
}

fn list_scripts() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let entries = directory.read_dir().expect("the conversations");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn answers_match_the_conversations() {
    let scripts = list_scripts();
    assert!(scripts.len() >= 4, "{scripts:?}");
    for path in scripts {
        let written = std::fs::read_to_string(&path).expect("text");
        let played = play_conversation(&written).await;
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(&path, played).expect("writable");
        } else {
            assert_eq!(played, written, "{}", path.display());
        }
    }
}
