//! Tests systems that are not ours: a user's own server, etcd, Redis and ZooKeeper, each right and wrong.

use crate::ground::{Ground, acquitted, convicted, there, told};
use std::path::Path;

fn example(name: &str) -> String {
    format!("{}/examples/toykv/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_users_own_server_is_driven_from_one_file_and_its_bug_is_found() {
    if !there("python3") {
        return;
    }
    let line = |name| {
        format!("test --system {} --nodes 3 --nemesis partition:one,kill:one", example(name))
    };
    drop(acquitted(&line("toykv"), 10));
    drop(acquitted(&line("toykv-program"), 10));
    drop(convicted(&line("toykv-broken"), 10));
    let output = Ground::new().run(&format!("test --system {} --workload bank", example("toykv")));
    assert_eq!(output.status.code(), Some(254), "{}", told(&output));
}

#[test]
fn a_starter_file_is_written_once_and_is_a_system() {
    let ground = Ground::new();
    assert_eq!(ground.run("init my-store").status.code(), Some(0));
    let again = ground.run("init my-store");
    assert_eq!(again.status.code(), Some(254), "{}", told(&again));
    let output = ground.run("test --system my-store.toml --time-limit 1s");
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    assert!(told(&output).contains("cannot be started"), "{}", told(&output));
}

#[test]
fn etcd_is_acquitted_and_its_serializable_reads_are_not_linearizable() {
    if !there("etcd") {
        return;
    }
    let line = "test --system etcd --nodes 3 --nemesis partition";
    drop(acquitted(line, 12));
    let (_ground, stale) = convicted(&format!("{line} --read serializable"), 12);
    assert!(told(&stale).contains("The operations that prove it"), "{}", told(&stale));
}

#[test]
fn a_primary_that_is_cut_off_loses_what_redis_had_acknowledged() {
    if !there("redis-server") {
        return;
    }
    let line = "test --system redis-sentinel --nodes 3 --workload set --nemesis";
    drop(acquitted(&format!("{line} kill:followers"), 10));
    let (_ground, lost) = convicted(&format!("{line} partition:leader"), 25);
    assert!(told(&lost).contains("is lost"), "{}", told(&lost));
}

#[test]
fn zookeepers_local_reads_are_not_linearizable() {
    if !there("java") {
        return;
    }
    if !Path::new("/usr/share/java/zookeeper.jar").is_file() {
        println!("NOT RUN: there is no ZooKeeper (Debian: apt-get install zookeeper)");
        return;
    }
    let line = "test --system zookeeper --nodes 3 --nemesis partition --read local";
    let (_ground, local) = convicted(line, 12);
    assert!(told(&local).contains("The operations that prove it"), "{}", told(&local));
}
