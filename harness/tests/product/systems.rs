//! Tests systems that are not ours: a user's own server, etcd, Redis and ZooKeeper, each right and
//! wrong.

use crate::not_run::not_run;
use crate::workdir::{Workdir, is_installed, output_text, run_until_invalid, run_until_valid};
use std::path::Path;

fn example_path(name: &str) -> String {
    format!("{}/examples/toykv/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn a_users_own_server_is_driven_from_one_file_and_its_bug_is_found() {
    if !is_installed("python3") {
        return;
    }
    let line = |name| {
        format!("test --system {} --nodes 3 --nemesis partition:one,kill:one", example_path(name))
    };
    let (workdir, _) = run_until_valid(&line("toykv"), 10);
    let kept = workdir.all_files().into_iter().find(|file| file.ends_with("logs/n2-server.log"));
    let own = std::fs::read_to_string(kept.expect("its own log is kept")).expect("a text");
    let whole = own.starts_with("n2 starts") && own.ends_with("n2 was asked to end\n");
    assert!(whole, "{own}");
    drop(workdir);
    drop(run_until_valid(&line("toykv-program"), 10));
    drop(run_until_invalid(&line("toykv-broken"), 10));
    let output =
        Workdir::new().run(&format!("test --system {} --workload bank", example_path("toykv")));
    assert_eq!(output.status.code(), Some(254), "{}", output_text(&output));
}

#[test]
fn a_starter_file_is_written_once_and_is_a_system() {
    let workdir = Workdir::new();
    assert_eq!(workdir.run("init my-store").status.code(), Some(0));
    let again = workdir.run("init my-store");
    assert_eq!(again.status.code(), Some(254), "{}", output_text(&again));
    let output = workdir.run("test --system my-store.toml --time-limit 1s");
    assert_eq!(output.status.code(), Some(3), "{}", output_text(&output));
    assert!(
        output_text(&output).contains("no executable program ./my-store"),
        "{}",
        output_text(&output)
    );
}

/// A server that answers, but not what its file expects: that is told before anything is judged.
#[test]
fn a_file_with_a_wrong_request_convicts_no_system() {
    if !is_installed("python3") {
        return;
    }
    let workdir = Workdir::new();
    let text = std::fs::read_to_string(example_path("toykv")).expect("the example");
    let folder = format!("{}/examples/toykv", env!("CARGO_MANIFEST_DIR"));
    let mend = |from: &str, to: &str| {
        let text = text.replace("{dir}", &folder).replace(from, to);
        std::fs::write(workdir.directory.path().join("my.toml"), text).expect("it is written");
        let output = workdir.run("test --system my.toml --nodes 2 --nemesis kill --time-limit 2s");
        (output.status.code(), output_text(&output))
    };
    let (code, said) = mend("\"/value\"", "\"/valeu\"");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("no value where the file says: \"{\\\"value\\\": 1}\""), "{said}");
    let (code, said) = mend(
        "get = \"/status\"\nok = [200]\nwithin = \"20s\"",
        "get = \"/status\"\nok = [204]\nwithin = \"5s\"",
    );
    assert_eq!(code, Some(3), "{said}");
    assert!(
        said.contains("within 5 s") && said.contains("which [ready] does not accept"),
        "{said}"
    );
    let (code, said) = mend("{value}", "{vlaue}");
    assert_eq!(code, Some(254), "{said}");
    assert!(said.contains("my.toml:"), "{said}");
    let (code, said) = mend("[cas]", "[client]\ncommand = [\"none\"]\nobjects = [\"set\"]\n[cas]");
    assert_eq!(code, Some(254), "a set has no registers: {said}");
}

/// One who keeps everything for ever stands still without being convicted, if its file says so.
#[test]
fn a_primary_for_ever_may_be_cut_off_for_long() {
    if !is_installed("python3") {
        return;
    }
    let workdir = Workdir::new();
    std::fs::write(workdir.directory.path().join("cut.txt"), "at 1s partition n1|n2 n3 for 11s\n")
        .expect("it is written");
    let line = "--nodes 3 --seed 1 --schedule cut.txt --time-limit 13s";
    let output = workdir.run(&format!("test --system {} {line}", example_path("toykv")));
    assert_eq!(output.status.code(), Some(0), "{}", output_text(&output));
    let what = "not checked: whether a majority makes progress without its leader";
    assert!(output_text(&output).contains(what), "{}", output_text(&output));
}

#[test]
fn etcd_is_acquitted_and_its_serializable_reads_are_not_linearizable() {
    if !is_installed("etcd") {
        return;
    }
    let line = "test --system etcd --nodes 3 --nemesis partition";
    drop(run_until_valid(line, 12));
    let (_workdir, stale) = run_until_invalid(&format!("{line} --read serializable"), 12);
    assert!(
        output_text(&stale).contains("The operations that prove it"),
        "{}",
        output_text(&stale)
    );
}

#[test]
fn a_primary_that_is_cut_off_loses_what_redis_had_acknowledged() {
    if !is_installed("redis-server") {
        return;
    }
    let line = "test --system redis-sentinel --nodes 3 --workload set";
    drop(run_until_valid(&format!("{line} --nemesis kill:followers"), 10));
    let story = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/redis-sentinel/cut-off.txt");
    let (_workdir, lost) = run_until_invalid(&format!("{line} --schedule {story}"), 25);
    assert!(output_text(&lost).contains("is lost"), "{}", output_text(&lost));
}

#[test]
fn redis_without_failover_keeps_what_it_acknowledged_and_its_replicas_are_late() {
    if !is_installed("redis-server") {
        return;
    }
    let line = "test --system redis --nodes 3 --nemesis";
    let (workdir, right) = run_until_valid(&format!("{line} partition,kill,pause"), 12);
    assert!(
        output_text(&right).contains("not checked: whether a majority makes progress"),
        "{}",
        output_text(&right)
    );
    drop(workdir);
    let (_workdir, stale) = run_until_invalid(&format!("{line} partition --read stale"), 10);
    assert!(
        output_text(&stale).contains("The operations that prove it"),
        "{}",
        output_text(&stale)
    );
}

#[test]
fn zookeepers_local_reads_are_not_linearizable() {
    if !is_installed("java") {
        return;
    }
    if !Path::new("/usr/share/java/zookeeper.jar").is_file() {
        not_run("there is no ZooKeeper (Debian: apt-get install zookeeper)");
        return;
    }
    let line = "test --system zookeeper --nodes 3 --nemesis partition --read local";
    let (_workdir, local) = run_until_invalid(line, 12);
    assert!(
        output_text(&local).contains("The operations that prove it"),
        "{}",
        output_text(&local)
    );
}
