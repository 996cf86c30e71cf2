//! Tests how a replica starts and stops: quickly, or with an error message.

use super::cluster::{ProcessCluster, run_to_exit};
use nix::sys::signal::Signal;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

fn run_node(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_node"));
    command.args(args);
    run_to_exit(command)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn sigterm_stops_a_replica_at_once() {
    let mut cluster = ProcessCluster::start_ready(1, &[]).await;
    assert_eq!(cluster.put(1, "a", "1").await.0, 200);
    let began = Instant::now();
    cluster.signal(1, Signal::SIGTERM);
    assert_eq!(cluster.wait_for_exit(1).code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(cluster.read_log(1).ends_with("n1 stopped\n"), "{}", cluster.read_log(1));
}

#[tokio::test]
async fn a_data_directory_belongs_to_one_process_and_one_member() {
    let mut cluster = ProcessCluster::start_ready(1, &[]).await;
    let mut second = cluster.replica_command(1);
    let (client, peer) = (cluster.address(8009), cluster.address(7009));
    second.args(["--listen-peer", &peer]);
    let port_in_use = run_to_exit(second);
    assert!(text(&port_in_use.stderr).contains("cannot listen at"), "{port_in_use:?}");
    assert_eq!(port_in_use.status.code(), Some(1));

    let data = cluster.data_path(1).display().to_string();
    let start = |id: &str, data: &str| {
        let peers = format!("{id}={peer}");
        run_node(&["--id", id, "--peers", &peers, "--data", data, "--listen-client", &client])
    };
    let locked = start("n1", &data);
    assert!(text(&locked.stderr).contains("is in use by another replica"), "{locked:?}");
    assert_eq!(locked.status.code(), Some(1));

    cluster.kill(1);
    let stranger = start("n2", &data);
    assert!(
        text(&stranger.stderr).contains("belongs to n1 of n1, not to n2 of n2"),
        "{stranger:?}"
    );
    let nowhere = start("n1", "/proc/nowhere");
    assert!(text(&nowhere.stderr).contains("cannot create /proc/nowhere"), "{nowhere:?}");
}

#[test]
fn invalid_arguments_exit_with_254_and_a_message() {
    let base = ["--data", "/nonexistent", "--listen-client", "127.0.0.1:1", "--id"];
    let with = |more: &[&str]| run_node(&[&base[..], more].concat());
    for (more, said) in [
        (&["n1"][..], "--peers"),
        (&["n1", "--peers", "n2=h:1"], "no peer could reach this replica"),
        (&["n1", "--peers", "n1=h:1,n1=h:2"], "names n1 twice"),
        (&["n1", "--peers", "n1"], "a peer is written NAME=HOST:PORT"),
        (&["n1", "--peers", "n1=h:x"], "an address is written HOST:PORT"),
        (&["n 1", "--peers", "n1=h:1"], "`n 1` is not a name"),
        (&["n1", "--peers", "n1=h:1", "--unsafe", "all"], "unknown bug"),
        (&["n1", "--peers", "n1=h:1", "--heartbeat-ms", "200"], "less than twice --heartbeat-ms"),
        (&["n1", "--peers", "n1=h:1", "--fast"], "unexpected argument '--fast'"),
    ] {
        let end = with(more);
        let stderr = text(&end.stderr);
        assert!(end.status.code() == Some(254) && stderr.contains(said), "{more:?}: {stderr}");
    }
}

#[test]
fn the_bugs_can_be_listed() {
    let end = run_node(&["--list-unsafe"]);
    let listed = text(&end.stdout);
    let bugs = node::bug::all_bugs().count();
    assert_eq!((end.status.code(), listed.lines().count()), (Some(0), bugs));
    assert!(listed.lines().all(|line| line.split('\t').count() == 9), "{listed}");
    assert_eq!(run_node(&["--help"]).status.code(), Some(0));
}
