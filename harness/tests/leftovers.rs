//! Kills the harness in the middle of each kind of fault, and looks for whatever it may have left behind: a process, a
//! mount, a network interface.
//!
//! It takes minutes as it stands: `TRIALS=2 cargo test -p harness --test leftovers -- --ignored --nocapture` is short.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const KINDS: &[&str] = &[
    "bit-rot one",
    "clock strobe",
    "crash-loop one",
    "disk-error one",
    "disk-full one",
    "kill majority",
    "lost-write one",
    "membership one",
    "misdirected-write one",
    "packet flaky",
    "partition one",
    "pause majority",
    "power-loss majority",
    "replace one",
    "slow-disk one",
    "starve majority",
    "transfer any",
    "truncate one",
];
/// How long a run may take until a fault is on, and the kernel until all is gone.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);

/// What a run in this directory may leave behind, as far as everybody can see it.
fn leftovers(directory: &Path) -> Vec<String> {
    let name = directory.to_string_lossy().into_owned();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let here = processes.map(|process| process.path()).filter(|process| {
        fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory))
    });
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("there are mounts");
    let mounts = mounts.lines().filter(|line| line.contains(&name)).map(str::to_owned);
    here.map(|process| process.display().to_string()).chain(mounts).collect()
}

/// The names of this machine's network interfaces.
fn interfaces() -> Vec<PathBuf> {
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.path()).collect();
    names.sort();
    names
}

/// Whether a history in this directory tells of a fault.
fn has_begun(directory: &Path) -> bool {
    let inside = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten();
    let families = inside(directory.join("results"));
    families.flat_map(|family| inside(family.path())).any(|run| {
        let history = fs::read_to_string(run.path().join("history.jsonl"));
        history.is_ok_and(|text| text.contains("\"process\":\"nemesis\""))
    })
}

fn wait(what: impl Fn() -> bool) -> Option<Duration> {
    let began = Instant::now();
    while !what() {
        if began.elapsed() > PATIENCE {
            return None;
        }
        std::thread::sleep(POLL);
    }
    Some(began.elapsed())
}

fn start(directory: &Path, fault: &str) -> Child {
    fs::write(directory.join("schedule"), format!("at 300ms {fault} for 30s\n")).expect("a file");
    Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["test", "--schedule", "schedule", "--time-limit", "40s"])
        .current_dir(directory)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("harness starts")
}

/// How long it took until nothing was left; `None` where this machine cannot do that to replicas.
fn trial(fault: &str) -> Option<Duration> {
    let directory = tempfile::tempdir().expect("a directory");
    let before = interfaces();
    let mut child = start(directory.path(), fault);
    let begun = wait(|| has_begun(directory.path()));
    if let Some(status) = child.try_wait().expect("it is ours") {
        assert_eq!(status.code(), Some(3), "{fault}: the run ended by itself");
        return None;
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    kill(pid, Signal::SIGKILL).expect("it runs");
    child.wait().expect("it ends");
    assert!(begun.is_some(), "{fault} never began");
    let gone = wait(|| leftovers(directory.path()).is_empty());
    assert!(gone.is_some(), "{fault}: {:?}", leftovers(directory.path()));
    let strange: Vec<_> = interfaces().into_iter().filter(|one| !before.contains(one)).collect();
    assert!(strange.is_empty(), "{fault}: {strange:?}");
    gone
}

#[test]
#[ignore = "takes minutes"]
fn a_run_that_is_killed_during_a_fault_leaves_nothing_behind() {
    let trials = std::env::var("TRIALS").map_or(20, |text| text.parse().expect("a number"));
    for fault in KINDS {
        let gone: Option<Vec<Duration>> = (0..trials).map(|_| trial(fault)).collect();
        match gone.as_deref() {
            None => println!("NOT RUN: {fault}: this machine cannot do it"),
            Some(all) => println!(
                "{fault}: nothing was left in {trials} trials, after {:?} at most",
                all.iter().max().unwrap_or(&Duration::ZERO)
            ),
        }
    }
}
