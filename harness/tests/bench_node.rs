//! Runs `harness bench node` and `harness bench faults` for a moment: what it prints adds up, and
//! nothing is left behind.

mod not_run;

use not_run::not_run;
use serde_json::Value;
use std::process::{Command, Output};

fn run_bench(directory: &std::path::Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(["bench", "node", "--format", "json", "--data"]).arg(directory);
    command.args(words).output().expect("the binary is built")
}

fn parse_table(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn a_load_is_measured_and_its_sample_judged() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let words = ["half reads", "--pairs", "2", "--seconds", "0.3", "--trials", "0"];
    let table = parse_table(&run_bench(directory.path(), &words));
    let row = &table["rows"][0]["raft"];
    assert_eq!(row["per_second"].as_array().map(Vec::len), Some(2), "{row}");
    assert!(row["done"].as_u64().is_some_and(|done| done > 20), "{row}");
    assert!(row["p50_ms"].as_f64() <= row["p99_ms"].as_f64(), "{row}");
    assert!(row["fsyncs_per_write"].as_f64().is_some_and(|syncs| syncs > 0.0), "{row}");
    assert_eq!(table["judged"][0]["validity"], "valid", "{table}");
    let left = directory.path().read_dir().expect("a directory").count();
    assert_eq!(left, 0, "the replicas' data is gone");
}

#[test]
fn a_killed_leader_is_replaced() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let table = parse_table(&run_bench(directory.path(), &["failover", "--trials", "2"]));
    let times = table["failover"][0]["ms"].as_array().expect("a list").clone();
    assert_eq!(times.len(), 2);
    assert!(times.iter().all(|ms| ms.as_f64().is_some_and(|ms| ms > 10.0)), "{times:?}");
}

#[test]
fn leadership_is_handed_on_and_keys_are_divided() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let words = ["transfer", "--trials", "0", "--transfers", "2", "--groups", "1,2"];
    let words = [&words[..], &["--pairs", "1", "--seconds", "0.3"]].concat();
    let table = parse_table(&run_bench(directory.path(), &words));
    assert_eq!(table["transfer"]["ms"].as_array().map(Vec::len), Some(2), "{table}");
    let rows = table["groups"].as_array().expect("a list");
    let groups: Vec<_> = rows.iter().filter_map(|row| row["groups"].as_u64()).collect();
    assert_eq!(groups, [1, 2]);
    assert!(rows.iter().all(|row| row["validity"] == "valid"), "{table}");
    assert!(rows[1]["ratio"]["throughput"][0].as_f64().is_some_and(|ratio| ratio > 0.0), "{table}");
}

#[test]
fn a_store_is_left_alone_and_then_written_to_for_long() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let words = ["none of them", "--trials", "0", "--idle", "1", "--endure", "300"];
    let table = parse_table(&run_bench(directory.path(), &words));
    assert!(table["idle"]["seconds"].as_f64().is_some_and(|seconds| seconds >= 1.0), "{table}");
    assert!(table["idle"]["elections"].is_u64() && table["idle"]["stalls"].is_u64(), "{table}");
    let looks = table["endurance"].as_array().expect("a list");
    let last = looks.last().expect("it was looked at");
    assert!(last["writes"].as_u64().is_some_and(|writes| writes >= 300), "{table}");
    assert!(last["largest_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20), "{table}");
}

#[test]
fn what_faults_are_made_of_is_measured_where_there_are_namespaces() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(["bench", "faults", "--format", "json", "--pairs", "1", "--seconds", "0.1"]);
    let output = command.arg("--data").arg(directory.path()).output().expect("the binary is built");
    if output.status.code() == Some(3) {
        not_run(String::from_utf8_lossy(&output.stderr));
        return;
    }
    let table = parse_table(&output);
    let rows = table["rows"].as_array().expect("a list");
    let of = |key: &str| rows.iter().filter(|row| !row[key].is_null()).collect::<Vec<_>>();
    // By how many means disks can be made to fail is the machine's business.
    let (timed, counted, compared) = (of("p50_ms"), of("per_second"), of("ratio"));
    assert!(timed.len() >= 6 && counted.len() == 2 && !compared.is_empty(), "{table}");
    assert_eq!(timed.len(), 4 + 2 * compared.len(), "{table}");
    assert!(timed.iter().all(|row| row["p50_ms"].as_f64() <= row["p99_ms"].as_f64()), "{table}");
    assert!(counted.iter().all(|row| row["per_second"].as_f64() > Some(100.0)), "{table}");
    let more = |row: &&Value| row["ratio"]["throughput"][0].as_f64() > Some(0.0);
    assert!(compared.iter().all(more), "{table}");
    let left = directory.path().read_dir().expect("a directory").count();
    assert_eq!(left, 0, "the replicas' data is gone");
}

#[test]
fn what_cannot_be_measured_is_said() {
    let directory = tempfile::TempDir::new().expect("a directory");
    for (words, code, said) in [
        (&["nothing", "--trials", "0"][..], 254, "no load's name contains"),
        (&["--seconds", "0"], 254, "--seconds lies between"),
        (&["--timing", "100,100"], 254, "at least five times"),
    ] {
        let output = run_bench(directory.path(), words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(said), "{error}");
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(["bench", "node", "--against", "etcd", "--data"]).arg(directory.path());
    let output = command.env("PATH", "/nonexistent").output().expect("the binary is built");
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{error}");
    assert!(error.contains("apt-get install etcd-server"), "{error}");
}
