//! Runs the Maelstrom programs that come with this tool as a user would: right ones pass, broken
//! ones are convicted.
//!
//! A few runs are under way at once: each mostly waits, and many would starve each other on a small
//! machine.

mod not_run;

use not_run::not_run;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Runs that may be under way at once.
static LANES: [Mutex<()>; 4] = [const { Mutex::new(()) }; 4];
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// A node: its file, its workload with what it needs besides, and by which word of the verdict its
/// broken self is known.
type Program = (&'static str, &'static str, &'static str);

const PYTHON: &[Program] = &[
    ("echo.py", "echo", "altered"),
    ("unique_ids.py", "unique-ids", "duplicate-id"),
    ("broadcast.py", "broadcast", "undelivered"),
    ("lin_kv.py", "lin-kv", "No order explains it"),
    ("g_set.py", "g-set", "undelivered"),
    ("counter.py", "g-counter", "out-of-bounds"),
    ("counter.py", "pn-counter", "wrong-sum"),
    ("txn.py", "txn-list-append --latency 5 --rate 50", "not strict-serializable"),
    ("txn.py", "txn-rw-register --latency 5 --rate 50", "not strict-serializable"),
    ("kafka.py", "kafka", "lost-write"),
];

const JAVASCRIPT: &[Program] = &[
    ("echo.js", "echo", "altered"),
    ("unique_ids.js", "unique-ids", "duplicate-id"),
    ("broadcast.js", "broadcast --latency 10 --latency-dist exponential", "undelivered"),
    ("lin_kv.js", "lin-kv", "No order explains it"),
];

/// Whether a program can be started here; if not, says that nothing is tested.
fn is_installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|it| it.status.success());
    if !found {
        not_run(format!("there is no {program} here"));
    }
    found
}

fn run_harness(line: &str, broken: bool) -> Output {
    let lane = &LANES[NEXT.fetch_add(1, Ordering::Relaxed) % LANES.len()];
    let _turn = lane.lock().unwrap_or_else(PoisonError::into_inner);
    let results = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(["test", "--system", "maelstrom", "--nodes", "3"]);
    command.args(line.split_whitespace()).current_dir(results.path());
    if broken {
        command.arg("--node-arg=--broken");
    }
    command.output().expect("harness runs")
}

fn output_text(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn example_path(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/maelstrom").join(file);
    path.display().to_string()
}

fn try_all(programs: &[Program]) {
    std::thread::scope(|scope| {
        for program in programs {
            scope.spawn(|| try_one(program));
        }
    });
}

fn try_one((file, workload, wrong): &Program) {
    let bin = example_path(file);
    let line = format!("--bin {bin} --workload {workload} --nemesis partition");
    // On a busy machine so few operations succeed that nothing is proven: then more time is given.
    let right = first_matching_run(
        &[(4, 7), (5, 40)],
        |output| output.status.code() != Some(2),
        &line,
        false,
    );
    assert_eq!(right.status.code(), Some(0), "{file}: {}", output_text(&right));
    let tries = [(4, 6), (5, 6), (6, 20), (7, 40)];
    let broken =
        first_matching_run(&tries, |output| output_text(output).contains(wrong), &line, true);
    assert_eq!(broken.status.code(), Some(1), "{file} --broken: {}", output_text(&broken));
    assert!(output_text(&broken).contains(wrong), "{file} --broken: {}", output_text(&broken));
}

/// The first run of these seeds and seconds that shows this, or the last.
fn first_matching_run(
    tries: &[(u64, u64)],
    shows: impl Fn(&Output) -> bool,
    line: &str,
    broken: bool,
) -> Output {
    let again = |(seed, seconds): &(u64, u64)| {
        run_harness(&format!("{line} --seed {seed} --time-limit {seconds}s"), broken)
    };
    let (last, earlier) = tries.split_last().expect("there are tries");
    earlier.iter().map(again).find(shows).unwrap_or_else(|| again(last))
}

#[test]
fn programs_in_python_pass_and_broken_ones_are_convicted() {
    if is_installed("python3") {
        try_all(PYTHON);
    }
}

#[test]
fn programs_in_javascript_pass_and_broken_ones_are_convicted() {
    if is_installed("node") {
        try_all(JAVASCRIPT);
    }
}

#[test]
fn messages_that_are_lost_are_said_again_or_missed() {
    if !is_installed("python3") {
        return;
    }
    let line = "--workload broadcast --topology tree3 --loss 0.2 --nemesis none";
    let line = format!("--bin {} {line}", example_path("broadcast.py"));
    let right =
        first_matching_run(&[(4, 5), (5, 20)], |it| it.status.code() == Some(0), &line, false);
    assert_eq!(right.status.code(), Some(0), "{}", output_text(&right));
    assert!(output_text(&right).contains("--loss 0.2 --topology tree3"), "{}", output_text(&right));
    let broken =
        first_matching_run(&[(4, 5), (5, 20)], |it| it.status.code() == Some(1), &line, true);
    assert!(output_text(&broken).contains("undelivered"), "{}", output_text(&broken));
}

#[test]
fn a_program_that_talks_on_standard_output_proves_nothing() {
    if !is_installed("python3") {
        return;
    }
    let folder = tempfile::tempdir().expect("a directory");
    let program = folder.path().join("chatty.sh");
    let text = format!("#!/bin/sh\necho starting up\nexec {}\n", example_path("echo.py"));
    std::fs::write(&program, text).expect("it is written");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&program, mode).expect("it may be executed");
    let chatty = format!("--bin {} --workload echo --nemesis none", program.display());
    let output = run_harness(&format!("{chatty} --seed 4 --time-limit 3s"), false);
    assert_eq!(output.status.code(), Some(2), "{}", output_text(&output));
    assert!(output_text(&output).contains("\"starting up\""), "{}", output_text(&output));
}

#[test]
fn what_only_maelstrom_has_is_a_mistake_elsewhere() {
    for flag in ["--loss 0.1", "--topology line", "--latency 5"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        let output = command.arg("test").args(flag.split(' ')).output().expect("harness runs");
        assert_eq!(output.status.code(), Some(254), "{flag}: {}", output_text(&output));
    }
    let lost = run_harness("--workload echo --bin /bin/cat --loss 1", false);
    assert_eq!(lost.status.code(), Some(254), "{}", output_text(&lost));
    assert!(
        output_text(&lost).contains("expected a probability from 0 to below 1"),
        "{}",
        output_text(&lost)
    );
}

#[test]
fn a_program_that_says_nothing_cannot_be_tested() {
    if !is_installed("sleep") {
        return;
    }
    let silent =
        run_harness("--bin /bin/sleep --node-arg=60 --workload echo --nemesis none", false);
    assert_eq!(silent.status.code(), Some(3), "{}", output_text(&silent));
    assert!(output_text(&silent).contains("has not answered init"), "{}", output_text(&silent));
    let none = run_harness("--workload echo --nemesis none", false);
    assert_eq!(none.status.code(), Some(254), "{}", output_text(&none));
    assert!(output_text(&none).contains("name it with --bin"), "{}", output_text(&none));
}
