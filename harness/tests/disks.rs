//! Lets disks of real replicas lose power and fail: promises that need a sync are broken without one, and only then.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

static TURN: Mutex<()> = Mutex::new(());

/// A directory to run in, alone.
struct Ground {
    directory: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Ground {
    /// None where disks cannot be made to fail; that says why.
    fn new() -> Option<Self> {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let ground = Self { directory: tempfile::tempdir().expect("a directory"), _turn: turn };
        let doctor = String::from_utf8_lossy(&ground.run("doctor").stdout).into_owned();
        let line = doctor.lines().find(|line| line.contains(" disks ")).expect("it looks at disks");
        let able = line.starts_with("ok");
        if !able {
            println!("NOT RUN: {line}");
            let refused = ground.run("test --nemesis power-loss --time-limit 2s");
            assert_eq!(refused.status.code(), Some(3), "{}", told(&refused));
        }
        able.then_some(ground)
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        command.args(line.split_whitespace()).current_dir(self.directory.path());
        command
    }

    fn run(&self, line: &str) -> Output {
        self.command(line).output().expect("harness runs")
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.directory.path().to_owned()];
        let mut next = 0;
        while let Some(path) = files.get(next) {
            let inside: Vec<_> =
                fs::read_dir(path).into_iter().flatten().flatten().map(|it| it.path()).collect();
            files.extend(inside);
            next += 1;
        }
        files
    }

    fn someone_is_here(&self) -> bool {
        let name = self.directory.path().to_string_lossy().into_owned();
        let mut processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        processes.any(|process| {
            fs::read_link(process.path().join("cwd"))
                .is_ok_and(|cwd| cwd.to_string_lossy().starts_with(&name))
        })
    }
}

fn told(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}", text(&output.stdout), text(&output.stderr))
}

/// The verdict of a run that must end with this exit code, and the evidence of its faults.
fn verdict(ground: &Ground, line: &str, code: i32) -> (Value, Vec<String>) {
    let output = ground.run(&format!("{line} --format json"));
    assert_eq!(output.status.code(), Some(code), "{}", told(&output));
    let verdict: Value = serde_json::from_slice(&output.stdout).expect("standard output is JSON");
    let faults = verdict["faults"].as_array().expect("faults are listed");
    let evidence = faults
        .iter()
        .filter(|fault| fault["state"] == "witnessed")
        .filter_map(|fault| fault["evidence"].as_str().map(str::to_owned));
    let evidence = evidence.collect();
    (verdict, evidence)
}

#[test]
fn a_power_loss_takes_nothing_from_whoever_syncs_and_everything_from_whoever_does_not() {
    let Some(ground) = Ground::new() else { return };
    let run = "test --nemesis power-loss:majority --time-limit 20s --seed 4 --fail-fast";
    let (safe, evidence) = verdict(&ground, run, 0);
    assert_eq!(safe["validity"], "valid");
    assert!(evidence.iter().any(|text| text.contains("unsynced")), "{evidence:?}");
    let left = ground.files();
    assert!(!left.iter().any(|path| path.ends_with("data")), "{left:?}");
    let (buggy, _) = verdict(&ground, &format!("{run} --unsafe no-fsync"), 1);
    assert_eq!(buggy["validity"], "invalid");
}

#[test]
fn a_replica_that_stops_because_its_disk_fails_has_not_died_unasked() {
    let Some(ground) = Ground::new() else { return };
    let run =
        "test --nemesis disk-error:minority,disk-full:one,slow-disk --time-limit 20s --seed 1";
    let (verdict, evidence) = verdict(&ground, run, 0);
    assert_eq!(verdict["deaths"].as_array().map(Vec::len), Some(0), "{verdict}");
    let seen = |word: &str| evidence.iter().any(|text| text.contains(word));
    assert!(seen("it stopped (exit status") && seen("ms longer"), "{evidence:?}");
}

#[test]
fn a_replica_that_takes_a_failed_or_damaged_disk_for_a_good_one_is_convicted() {
    let Some(ground) = Ground::new() else { return };
    for (bug, run) in [
        ("ignore-io-error", "--nemesis disk-error,kill --fail-fast"),
        ("ignore-full-disk", "--nemesis disk-full,kill --fail-fast"),
        ("trust-disk", "--nemesis bit-rot --workload append"),
    ] {
        let run = format!("test {run} --time-limit 20s --seed 1 --unsafe {bug}");
        let (buggy, _) = verdict(&ground, &run, 1);
        assert_eq!(buggy["validity"], "invalid", "{bug}");
    }
}

#[test]
fn a_killed_run_leaves_no_mount_and_its_data_where_it_was() {
    let Some(ground) = Ground::new() else { return };
    let mut child = ground
        .command("test --nemesis power-loss:all --time-limit 60s")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("harness starts");
    std::thread::sleep(Duration::from_secs(5));
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGKILL).expect("it runs");
    child.wait().expect("it ends");
    let deadline = Instant::now() + Duration::from_secs(5);
    while ground.someone_is_here() {
        assert!(Instant::now() < deadline, "someone is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("there are mounts");
    assert!(!mounts.contains(&*ground.directory.path().to_string_lossy()), "{mounts}");
    let is_log = |path: &PathBuf| path.extension() == Some(Path::new("wal").as_os_str());
    assert!(ground.files().iter().any(is_log), "what replicas wrote is seen without the mount");
}
