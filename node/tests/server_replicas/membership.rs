//! Tests membership changes and leadership transfers while clients write: no acknowledged write is
//! lost, and the members are the requested ones.

use super::cluster::ProcessCluster;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// Returns names and roles, as a replica sees them.
async fn member_roles(cluster: &ProcessCluster, number: usize) -> BTreeMap<String, String> {
    let (_, body) = cluster.get(number, "/cluster/members").await;
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let members = body["members"].as_array().expect("a list");
    members.iter().map(|it| (text(&it["name"]), text(&it["role"]))).collect()
}

/// Writes numbered keys until exactly these replicas vote; returns the acknowledged keys.
async fn write_until(
    cluster: &ProcessCluster,
    asked: &[usize],
    voters: &[&str],
    from: usize,
) -> Vec<usize> {
    let wanted: BTreeMap<_, _> =
        voters.iter().map(|name| ((*name).to_owned(), "voter".to_owned())).collect();
    let began = Instant::now();
    let mut done = Vec::new();
    for key in from.. {
        if cluster.put(asked[key % asked.len()], &format!("k{key}"), "v").await.0 == 200 {
            done.push(key);
        }
        let seen = member_roles(cluster, asked[0]).await;
        if seen == wanted && done.len() >= 20 {
            return done;
        }
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "{seen:?}: {}",
            cluster.read_log(asked[0])
        );
    }
    unreachable!("keys do not end")
}

async fn all_there(cluster: &ProcessCluster, number: usize, keys: &[usize]) {
    cluster.until_healthy(number).await;
    for key in keys {
        let (code, body) = cluster.get(number, &format!("/kv/k{key}")).await;
        assert_eq!((code, &body["value"]), (200, &json!("v")), "k{key} at n{number}");
    }
}

#[tokio::test]
async fn replicas_join_replace_and_leave_while_clients_write() {
    let mut cluster = ProcessCluster::start_ready(3, &["--snapshot-entries", "30"]).await;
    let mut keys = write_until(&cluster, &[1, 2, 3], &["n1", "n2", "n3"], 0).await;

    let follower = cluster.find_leader(1).await % 3 + 1;
    let fourth = cluster.join(follower, &[]);
    let next = keys.len() + 1000;
    keys.extend(write_until(&cluster, &[1, 2, 3], &["n1", "n2", "n3", "n4"], next).await);
    all_there(&cluster, fourth, &keys).await;

    // Replace a crashed replica.
    cluster.kill(3);
    let fifth = cluster.join(1, &["--replace", "n3"]);
    keys.extend(write_until(&cluster, &[1, 2], &["n1", "n2", "n4", "n5"], 3000).await);
    all_there(&cluster, fifth, &keys).await;

    // A joined replica restarts without asking the cluster again.
    cluster.kill(fifth);
    cluster.start_replica(fifth);
    all_there(&cluster, fifth, &keys).await;

    // Remove the leader.
    let leader = cluster.find_leader(1).await;
    let rest: Vec<usize> = [1, 2, fourth, fifth].into_iter().filter(|n| *n != leader).collect();
    let path = format!("/cluster/members/n{leader}");
    let (code, body) = cluster.call(rest[0], Method::DELETE, &path, "").await;
    assert_eq!(code, 200, "{body}");
    let names: Vec<String> = rest.iter().map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    keys.extend(write_until(&cluster, &rest, &names, 4000).await);
    let (_, status) = cluster.get(leader, "/status").await;
    assert_eq!(status["member"], json!(false), "{status}");
    cluster.kill(leader);
    for number in rest {
        all_there(&cluster, number, &keys).await;
    }
}

#[tokio::test]
async fn a_joined_replica_with_an_emptied_disk_is_rejected() {
    let mut cluster = ProcessCluster::start_ready(1, &[]).await;
    let second = cluster.join(1, &[]);
    write_until(&cluster, &[1], &["n1", "n2"], 0).await;
    cluster.kill(second);
    fs::remove_dir_all(cluster.data_path(second)).expect("ours");
    let output = cluster.run_to_end(second);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("n2 is a member already"), "{said}");
}

#[tokio::test]
async fn a_founder_with_an_emptied_disk_is_rejected() {
    let mut cluster = ProcessCluster::start_ready(3, &[]).await;
    cluster.put_until_done(1, "a", "x").await;
    cluster.kill(2);
    cluster.start_replica(2);
    cluster.until_healthy(2).await;
    cluster.kill(2);
    fs::remove_dir_all(cluster.data_path(2)).expect("ours");
    let output = cluster.run_to_end(2);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("refuses n2"), "{said}");
    assert!(said.contains("add a replica under a new name"), "{said}");
    // Its messages do not count: without the third replica, one of three is left.
    cluster.put_until_done(1, "b", "y").await;
    cluster.kill(3);
    drop(cluster.run_to_end(2));
    assert_ne!(cluster.try_put(1, "/kv/c?timeout_ms=1500", "z").await, Some(200));
}

#[tokio::test]
async fn a_learner_serves_reads_and_does_not_count() {
    let mut cluster = ProcessCluster::start_ready(1, &[]).await;
    let learner = cluster.join(1, &["--learner"]);
    cluster.until_healthy(learner).await;
    cluster.put_until_done(1, "a", "x").await;
    let (code, body) = cluster.get(learner, "/kv/a").await;
    assert_eq!((code, &body["value"]), (200, &json!("x")));
    assert_eq!(member_roles(&cluster, 1).await["n2"], "learner");
    cluster.kill(learner);
    assert_eq!(cluster.put(1, "b", "y").await.0, 200);
}

#[tokio::test]
async fn leadership_is_transferred_at_once_and_only_to_a_voter() {
    let cluster = ProcessCluster::start_ready(3, &[]).await;
    for _ in 0..6 {
        let leader = cluster.find_leader(1).await;
        let next = leader % 3 + 1;
        let asked = next % 3 + 1; // Neither of the two.
        cluster.until_healthy(asked).await;
        let body = json!({"name": format!("n{next}")}).to_string();
        let (code, body) = cluster.call(asked, Method::POST, "/cluster/leader", &body).await;
        assert_eq!(code, 200, "{body}");
        cluster.put_until_done(next, "k", "v").await;
        assert_eq!(cluster.find_leader(next).await, next);
    }
    let (code, body) = cluster.call(1, Method::POST, "/cluster/leader", r#"{"name":"n9"}"#).await;
    assert_eq!((code, &body["definite"]), (409, &json!(true)), "{body}");
}
