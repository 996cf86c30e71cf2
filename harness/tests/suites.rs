//! Runs suites, lists runs and shrinks as a user would.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn run_harness(directory: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
    command.args(line.split_whitespace()).current_dir(directory);
    command.output().expect("harness runs")
}

fn output_text(output: &Output) -> String {
    let text = [output.stdout.as_slice(), &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// A suite of one cell, which was not run within a budget of a second, and was then.
fn run_tiny_suite(limit: &str) -> (tempfile::TempDir, Output) {
    let ground = tempfile::tempdir().expect("a directory");
    let suite = format!("time-limit = \"{limit}\"\nnodes = 3\nnemesis = \"partition\"\n");
    std::fs::write(ground.path().join("tiny.toml"), suite).expect("a file");
    let budget = run_harness(ground.path(), "suite tiny.toml --budget 1s --format json");
    assert_eq!(
        budget.status.code(),
        Some(2),
        "what did not run is not green: {}",
        output_text(&budget)
    );
    let line = "suite tiny.toml --output junit=j.xml --format json --quiet";
    let output = run_harness(ground.path(), line);
    (ground, output)
}

#[test]
fn a_suite_runs_is_listed_and_is_not_run_twice() {
    // On a busy machine so few operations overlap a fault that nothing is proven: then more time is
    // given.
    let (ground, output) = match run_tiny_suite("5s") {
        (_, short) if short.status.code() == Some(2) => run_tiny_suite("30s"),
        enough => enough,
    };
    assert_eq!(output.status.code(), Some(0), "{}", output_text(&output));
    assert!(output.stderr.is_empty(), "quiet is quiet: {}", output_text(&output));
    let record: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(record["cells"][0]["outcome"], "passed");
    let xml = std::fs::read_to_string(ground.path().join("j.xml")).expect("it is written");
    roxmltree::Document::parse(&xml).expect("it is XML");
    let listed = run_harness(ground.path(), "runs workload:register --format json");
    let runs: Value = serde_json::from_slice(&listed.stdout).expect("it is JSON");
    assert_eq!(runs.as_array().map(Vec::len), Some(1), "{}", output_text(&listed));
    let run = record["cells"][0]["run"].as_str().expect("it ran");
    let shrunk = run_harness(ground.path(), &format!("shrink {run}"));
    assert_eq!(
        shrunk.status.code(),
        Some(254),
        "what is valid cannot shrink: {}",
        output_text(&shrunk)
    );
}

#[test]
fn a_wrong_suite_is_refused_with_its_place() {
    let ground = tempfile::tempdir().expect("a directory");
    std::fs::write(ground.path().join("s.toml"), "seeds = 1\nnemesis = \"luck\"\n")
        .expect("a file");
    let output = run_harness(ground.path(), "suite s.toml");
    assert_eq!(output.status.code(), Some(254), "{}", output_text(&output));
    assert!(output_text(&output).contains("s.toml:"), "{}", output_text(&output));
    let output = run_harness(ground.path(), "suite nowhere.toml");
    assert_eq!(output.status.code(), Some(254), "{}", output_text(&output));
    assert!(output_text(&output).contains("nightly, smoke"), "{}", output_text(&output));
}

#[test]
fn shards_of_what_comes_along_are_foretold() {
    let ground = tempfile::tempdir().expect("a directory");
    let count = |line: &str| output_text(&run_harness(ground.path(), line)).lines().count();
    let whole = count("suite nightly --dry-run");
    let parts: usize =
        (1..=3).map(|part| count(&format!("suite nightly --dry-run --shard {part}/3"))).sum();
    assert_eq!(whole, parts);
}
