//! Tests replicas with several groups: every key is served, leaders are balanced and rebalanced,
//! requests on several groups are rejected, and a restart loses nothing.

use super::cluster::{HttpReply, ProcessCluster, run_to_exit};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const FOUR_GROUPS: &[&str] = &["--groups", "4"];

/// Keys of four groups: `a` is in group 0, `b` in 1, `c` in 2, `d` in 3.
const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// Returns the leader of each group, as one replica sees it.
async fn group_leaders(cluster: &ProcessCluster, number: usize) -> Vec<Option<String>> {
    let (_, status) = cluster.get(number, "/status").await;
    let groups = status["groups"].as_array().expect("there are several");
    groups.iter().map(|group| group["leader"].as_str().map(str::to_owned)).collect()
}

/// The balanced leaders of the groups, with all replicas and without `n1`.
const BALANCED_LEADERS: [&str; 4] = ["n1", "n2", "n3", "n1"];
const LEADERS_WITHOUT_N1: [&str; 4] = ["n2", "n2", "n3", "n3"];

/// Waits until each group has its balanced leader.
async fn until_balanced(cluster: &ProcessCluster, asked: usize, spread: [&str; 4]) {
    let began = Instant::now();
    loop {
        let leaders = group_leaders(cluster, asked).await;
        if leaders.iter().map(Option::as_deref).eq(spread.map(Some)) {
            return;
        }
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{leaders:?}\n{}",
            cluster.read_log(asked)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn post_txn(cluster: &ProcessCluster, path: &str, ops: Value) -> HttpReply {
    cluster.call(1, Method::POST, path, &json!({ "ops": ops }).to_string()).await
}

#[tokio::test]
async fn leaders_are_balanced_and_rebalanced_after_a_crash() {
    let mut cluster = ProcessCluster::start_ready(3, FOUR_GROUPS).await;
    until_balanced(&cluster, 1, BALANCED_LEADERS).await;
    for (number, key) in (0..).zip(KEYS) {
        cluster.put_until_done(1 + number % 3, key, key).await;
    }
    let (_, found) = cluster.get(2, "/kv/c").await;
    assert_eq!((&found["value"], &found["group"]), (&json!("c"), &json!(2)));
    cluster.kill(1);
    until_balanced(&cluster, 2, LEADERS_WITHOUT_N1).await;
    for key in KEYS {
        cluster.put_until_done(2, key, "later").await;
    }
    cluster.start_replica(1);
    cluster.until_healthy(1).await;
    until_balanced(&cluster, 1, BALANCED_LEADERS).await;
    for key in KEYS {
        assert_eq!(cluster.get(1, &format!("/kv/{key}")).await.1["value"], json!("later"));
    }
}

#[tokio::test]
async fn every_group_survives_a_restart_and_compaction() {
    let mut cluster =
        ProcessCluster::start_ready(3, &["--groups", "4", "--snapshot-entries", "20"]).await;
    // Group 3 has few entries: it must neither keep the shared log long nor lose its part of it.
    cluster.put_until_done(1, "d", "once").await;
    for number in 0..60 {
        for key in &KEYS[..3] {
            cluster.put_until_done(1, key, &number.to_string()).await;
        }
    }
    for _ in 0..2 {
        (1..=3).for_each(|number| cluster.kill(number));
        (1..=3).for_each(|number| cluster.start_replica(number));
        for number in 1..=3 {
            cluster.until_healthy(number).await;
            for (key, value) in KEYS.iter().zip(["59", "59", "59", "once"]) {
                let (_, found) = cluster.get(number, &format!("/kv/{key}")).await;
                assert_eq!(found["value"], json!(value), "{key}:\n{}", cluster.read_log(number));
            }
        }
    }
}

#[tokio::test]
async fn a_transaction_stays_in_one_group() {
    let cluster = ProcessCluster::start_ready(1, FOUR_GROUPS).await;
    let (code, refused) =
        post_txn(&cluster, "/txn", json!([{"write": ["a", "1"]}, {"read": "b"}])).await;
    assert_eq!((code, &refused["error"]), (400, &json!("spans-groups")));
    assert_eq!(refused["definite"], json!(true));
    let said = refused["message"].as_str().expect("a sentence");
    assert!(said.contains("a is in group 0, b in group 1"), "{said}");
    assert_eq!(cluster.get(1, "/kv/a").await.0, 404);
    let ops = json!([{"write": ["{x}a", "1"]}, {"read": "{x}b"}]);
    let (code, done) = post_txn(&cluster, "/txn", ops).await;
    assert_eq!((code, &done["results"]), (200, &json!([null, null])), "{done}");
}

#[tokio::test]
async fn a_session_belongs_to_one_group_and_its_id_is_unique() {
    let cluster = ProcessCluster::start_ready(1, FOUR_GROUPS).await;
    let mut sessions = Vec::new();
    for key in KEYS {
        let path = format!("/session?key={key}");
        let (code, opened) = cluster.call(1, Method::POST, &path, "").await;
        assert_eq!(code, 200, "{opened}");
        sessions.push(opened["session"].as_u64().expect("a number"));
    }
    assert_eq!(sessions.iter().collect::<BTreeSet<_>>().len(), 4);
    let append = |session: u64| {
        let path = format!("/txn?session={session}&sequence=1");
        let cluster = &cluster;
        async move { post_txn(cluster, &path, json!([{"append": ["b", "once"]}])).await }
    };
    for _ in 0..2 {
        assert_eq!(append(sessions[1]).await.0, 200);
    }
    assert_eq!(cluster.get(1, "/kv/b").await.1["value"], json!("once"));
    let (code, refused) = append(sessions[0]).await;
    let said = refused["message"].as_str().expect("a sentence");
    assert!(code == 400 && said.contains("open a session in each group"), "{said}");
    assert_eq!(cluster.call(1, Method::POST, "/session", "").await.0, 400);
}

#[tokio::test]
async fn requests_on_several_groups_are_rejected() {
    let cluster = ProcessCluster::start_ready(1, FOUR_GROUPS).await;
    cluster.put_until_done(1, "a", "1").await;
    cluster.put_until_done(1, "b", "2").await;
    assert_eq!(cluster.get(1, "/kv").await.0, 400);
    let (_, found) = cluster.get(1, "/kv?group=1").await;
    assert_eq!(found["entries"], json!([["b", "2"]]));
    let (code, refused) = cluster.get(1, "/kv?group=4").await;
    assert!(code == 400 && refused["message"] == "unknown group; groups are numbered 0 to 3");
    let (code, refused) = cluster.call(1, Method::DELETE, "/cluster/members/n1", "").await;
    assert_eq!((code, &refused["error"]), (409, &json!("declined")));
    let (_, written) = cluster.put(1, "a", "3").await;
    let index = written["index"].as_u64().expect("a number");
    let path = format!("/kv/a?consistency=stale&timeout_ms=300&after=1:999999,0:{index}");
    assert_eq!(cluster.get(1, &path).await.0, 200, "only its own group is waited for");
    let path = format!("/kv/a?consistency=stale&timeout_ms=100&after=0:{}", index + 999);
    assert_eq!(cluster.get(1, &path).await.0, 504);
}

#[tokio::test]
async fn leadership_of_a_group_can_be_transferred() {
    let cluster = ProcessCluster::start_ready(3, FOUR_GROUPS).await;
    until_balanced(&cluster, 1, BALANCED_LEADERS).await;
    let before = group_leaders(&cluster, 1).await;
    let other = ["n1", "n2", "n3"].into_iter().find(|name| before[2].as_deref() != Some(name));
    let body = json!({"name": other, "group": 2}).to_string();
    let (code, said) = cluster.call(1, Method::POST, "/cluster/leader", &body).await;
    assert_eq!(code, 200, "{said}");
    let (_, status) = cluster.get(1, "/status").await;
    let led: Vec<_> = [0, 1, 3].map(|at: usize| status["groups"][at]["leader"].clone()).into();
    assert_eq!(led, [0, 1, 3].map(|at: usize| json!(before[at])));
}

#[tokio::test]
async fn the_number_of_groups_cannot_change() {
    let mut cluster = ProcessCluster::start_ready(1, FOUR_GROUPS).await;
    cluster.kill(1);
    let mut command = cluster.replica_command(1);
    command.args(["--groups", "5"]);
    let refused = run_to_exit(command);
    assert_eq!(refused.status.code(), Some(254), "a flag that is given twice");
    cluster.run_with(1, &["--groups", "5"]);
    assert_eq!(cluster.wait_for_exit(1).code(), Some(1));
    assert!(cluster.read_log(1).contains("belongs to n1 of n1 in 4 groups, not to n1 of n1 in 5"));
}
