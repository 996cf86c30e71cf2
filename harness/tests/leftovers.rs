//! Has the harness killed in the middle of some faults, as `harness bench leftovers` does it for
//! each kind, 20 times.

mod not_run;

use not_run::not_run;
use std::process::Command;

/// Faults of the network, of processes, of clocks and of disks.
const FEW: &[&str] = &["clock", "crash-loop", "packet", "pause", "power-loss"];
/// The exit code where this machine cannot do it.
const UNABLE: i32 = 3;

#[test]
fn a_run_that_is_killed_during_some_faults_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .args(["bench", "leftovers", "--trials", "1"])
        .args(FEW)
        .current_dir(directory.path())
        .output()
        .expect("harness starts");
    let [told, wrong] =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    println!("{told}{wrong}");
    match output.status.code() {
        Some(UNABLE) => not_run(format!("this machine cannot do all of that: {wrong}")),
        code => assert_eq!(code, Some(0), "{told}{wrong}"),
    }
}
