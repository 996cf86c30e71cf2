//! Tests disk faults on real replicas: power loss exposes a store that does not sync, and no other.

use crate::not_run::not_run;
use crate::workdir::{
    VALID, Workdir, output_text, parse_stdout, read_json, run_until_invalid,
    run_until_valid_showing, send_signal,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

/// The line of `harness doctor` about disks, for the user of this directory.
fn doctor_disk_line(workdir: &Workdir) -> String {
    let doctor = String::from_utf8_lossy(&workdir.run("doctor").stdout).into_owned();
    let line = doctor.lines().find(|line| line.contains(" disks ")).expect("it looks at disks");
    line.to_owned()
}

/// Whether disks can be made to fail here; where not, says why.
fn disks_can_fail() -> bool {
    let line = doctor_disk_line(&Workdir::new());
    let able = line.starts_with("ok");
    if !able {
        not_run(line);
    }
    able
}

/// Whether disks can lose power here; where not, says why, and sees that it is refused.
fn disks_can_lose_power() -> bool {
    let workdir = Workdir::new();
    let line = doctor_disk_line(&workdir);
    let able = line.starts_with("ok") && line.contains("FUSE overlay");
    if !able {
        not_run(line);
        let refused = workdir.run("test --nemesis power-loss --time-limit 2s");
        assert_eq!(refused.status.code(), Some(3), "{}", output_text(&refused));
    }
    able
}

/// A directory for a user without access to `/dev/fuse`; `None` if there is no such user here.
fn without_fuse() -> Option<Workdir> {
    let workdir = Workdir::for_unprivileged_user()?;
    let line = doctor_disk_line(&workdir);
    if line.starts_with("ok") && line.contains("trapped by seccomp") {
        return Some(workdir);
    }
    not_run(format!("to an ordinary user the doctor says {line}"));
    None
}

/// Whether the evidence of a run's witnessed faults has all these words.
fn has_evidence(output: &Output, words: &[&str]) -> bool {
    let verdict = parse_stdout(output);
    let faults = verdict["faults"].as_array().expect("faults are listed");
    let witnessed = faults.iter().filter(|fault| fault["state"] == "witnessed");
    let evidence: Vec<&str> =
        witnessed.filter_map(|fault: &Value| fault["evidence"].as_str()).collect();
    words.iter().all(|word| evidence.iter().any(|text| text.contains(word)))
}

#[test]
fn a_power_loss_convicts_a_store_that_does_not_sync_and_no_other() {
    if !disks_can_lose_power() {
        return;
    }
    let run = "test --nemesis power-loss:majority --fail-fast";
    let unsynced = |output: &Output| has_evidence(output, &["unsynced"]);
    let (workdir, safe) = run_until_valid_showing(&format!("{run} --format json"), 20, unsynced);
    assert_eq!(parse_stdout(&safe)["validity"], "valid");
    let left = workdir.all_files();
    assert!(!left.iter().any(|path| path.ends_with("data")), "{left:?}");
    drop(workdir);
    drop(run_until_invalid(&format!("{run} --unsafe no-fsync"), 20));
}

#[test]
fn a_replica_that_stops_because_its_disk_fails_has_not_died_unasked() {
    if !disks_can_fail() {
        return;
    }
    let run = "test --nemesis disk-error:minority,disk-full:one,slow-disk --format json";
    let stopped = |output: &Output| has_evidence(output, &["it stopped (exit status", "ms longer"]);
    let (_workdir, output) = run_until_valid_showing(run, 20, stopped);
    let verdict = parse_stdout(&output);
    assert_eq!(verdict["deaths"].as_array().map(Vec::len), Some(0), "{verdict}");
}

#[test]
fn a_replica_that_takes_a_failed_or_damaged_disk_for_a_good_one_is_convicted() {
    if !disks_can_fail() {
        return;
    }
    for (bug, faults) in [
        ("ignore-io-error", "disk-error,kill --fail-fast"),
        ("ignore-full-disk", "disk-full,kill --fail-fast"),
        ("trust-disk", "bit-rot --workload append"),
    ] {
        drop(run_until_invalid(&format!("test --unsafe {bug} --nemesis {faults}"), 20));
    }
}

#[test]
fn a_killed_run_leaves_no_mount_and_its_data_where_it_was() {
    if !disks_can_lose_power() {
        return;
    }
    let workdir = Workdir::new();
    let mut child = workdir.start("test --nemesis power-loss:all --time-limit 60s");
    std::thread::sleep(Duration::from_secs(5));
    send_signal(&child, Signal::SIGKILL);
    child.wait().expect("it ends");
    workdir.assert_nothing_left();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("there are mounts");
    assert!(!mounts.contains(&*workdir.directory.path().to_string_lossy()), "{mounts}");
    let is_log = |path: &PathBuf| path.extension() == Some(Path::new("wal").as_os_str());
    assert!(
        workdir.all_files().iter().any(is_log),
        "what replicas wrote is seen without the mount"
    );
}

#[test]
fn where_fuse_is_closed_other_disk_faults_still_bite_and_power_loss_is_refused_with_what_is_left() {
    let Some(workdir) = without_fuse() else { return };
    let refused = workdir.run("test --nemesis kill,disk --time-limit 2s");
    assert_eq!(refused.status.code(), Some(3), "{}", output_text(&refused));
    let left = "--nemesis kill,bit-rot,disk-error,disk-full,lost-write,misdirected-write,\
                slow-disk,truncate";
    assert!(output_text(&refused).contains(left), "{}", output_text(&refused));
    let faults =
        ["disk-error", "disk-full", "slow-disk", "truncate"].into_iter().zip((2..).step_by(3));
    let schedule: String =
        faults.map(|(fault, second)| format!("at {second}s {fault} leader for 1s\n")).collect();
    fs::write(workdir.directory.path().join("schedule"), schedule).expect("there is room");
    let run = "test --schedule schedule --time-limit 14s --seed 1 --format json";
    let output = workdir.run(run);
    assert_eq!(output.status.code(), Some(VALID), "{}", output_text(&output));
    let words = ["it stopped (exit status", "ms longer", "bytes of"];
    assert!(has_evidence(&output, &words), "{}", output_text(&output));
    let is_record = |path: &PathBuf| path.ends_with("run.json");
    let record = workdir.all_files().into_iter().find(is_record).expect("the run left its record");
    assert_eq!(read_json(&record)["disks"]["means"], "seccomp");
}
