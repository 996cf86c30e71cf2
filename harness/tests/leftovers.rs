//! Has the harness killed in the middle of faults, as `harness bench leftovers` does it, and of each kind when asked to.
//!
//! All of it takes minutes: `TRIALS=2 cargo test -p harness --test leftovers -- --ignored --nocapture`.

use std::process::Command;

/// Faults of the network, of processes, of clocks and of disks.
const FEW: &[&str] = &["clock", "crash-loop", "packet", "pause", "power-loss"];
/// The exit code where this machine cannot do it.
const UNABLE: i32 = 3;

fn nothing_is_left(trials: &str, kinds: &[&str]) {
    let directory = tempfile::tempdir().expect("a directory");
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["bench", "leftovers", "--trials", trials])
        .args(kinds)
        .current_dir(directory.path())
        .output()
        .expect("harness starts");
    let [told, wrong] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    println!("{told}{wrong}");
    if output.status.code() != Some(UNABLE) {
        assert_eq!(output.status.code(), Some(0), "{told}{wrong}");
    }
}

#[test]
fn a_run_that_is_killed_during_some_faults_leaves_nothing_behind() {
    nothing_is_left("1", FEW);
}

#[test]
#[ignore = "takes minutes"]
fn a_run_that_is_killed_during_any_fault_leaves_nothing_behind() {
    nothing_is_left(&std::env::var("TRIALS").unwrap_or_else(|_| "20".to_owned()), &[]);
}
