//! Hunts for seeded bugs as a user would.

use crate::workdir::{Workdir, dir_entries, output_text, parse_stdout, send_signal};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::time::{Duration, Instant};

/// A hunt that ends at the first finding.
const HUNT: &str = "hunt --unsafe torn-txn --time-limit 5s --jobs 2 --budget 4m --investigate 40s \
                    --repeats 2 --max-findings 1 --format json";

/// The journal of the only hunt.
fn read_journal(workdir: &Workdir) -> String {
    let hunts = dir_entries(&workdir.directory.path().join("results/hunts"));
    assert_eq!(hunts.len(), 1, "{hunts:?}");
    fs::read_to_string(hunts[0].join("journal.jsonl")).expect("a journal")
}

fn count_runs(journal: &str) -> usize {
    journal.lines().filter(|line| line.starts_with("{\"run\":")).count()
}

#[test]
fn a_hunt_finds_what_the_default_run_misses_and_keeps_it() {
    let workdir = Workdir::new();
    let missed = workdir.run("test --unsafe torn-txn --time-limit 5s --seed 1 --nemesis none");
    assert_ne!(missed.status.code(), Some(1), "{}", output_text(&missed));
    let output = workdir.run(&format!("{HUNT} --seed 1"));
    assert_eq!(output.status.code(), Some(1), "{}", output_text(&output));
    let record = parse_stdout(&output);
    let finding = &record["findings"][0]["details"];
    let file = finding["regression"].as_str().expect("a regression file");
    let regression = workdir.directory.path().join(file);
    let report = finding["report"].as_str().expect("a report");
    assert!(workdir.directory.path().join(report).is_file(), "{report}");
    assert!(finding["repro"].as_str().is_some_and(|line| line.contains("--schedule")));
    for part in ["states", "signatures", "\"sentence\""] {
        let journal = read_journal(&workdir);
        let learned: Vec<&str> = journal.lines().filter(|line| line.contains(part)).collect();
        assert!(!learned.is_empty(), "the journal has no {part}");
    }
    // Without time for any run, another hunt still plays the file.
    let again = workdir.run(&format!("{HUNT} --seed 2").replace("4m", "1s"));
    let played = parse_stdout(&again);
    assert_eq!(played["runs"].as_object().map(serde_json::Map::len), Some(0), "{played:#}");
    let files = played["regressions"].as_array().expect("regressions").iter();
    assert!(files.clone().any(|result| result["file"] == file), "{played:#}");
    // With the bug, the file shows it; without, it does not.
    let source = fs::read_to_string(&regression).expect("it is readable");
    assert!(source.contains("torn-txn") && source.contains("[finding]"), "{source}");
    let dry = workdir.run("suite regressions --dry-run");
    assert!(output_text(&dry).contains("--schedule results/suites/schedules/"));
    fs::write(&regression, source.replace("unsafe = [\"torn-txn\"]\n", "")).expect("room");
    let suite = workdir.run(&format!("suite {file} --quiet"));
    assert!(matches!(suite.status.code(), Some(0 | 2)), "{}", output_text(&suite));
    workdir.assert_nothing_left();
}

#[test]
fn an_interrupted_hunt_goes_on_where_it_was() {
    let workdir = Workdir::new();
    let line = "hunt --workload register --nemesis none --nodes 3 --time-limit 2s --budget 45s \
                --seed 5 --format json";
    let mut child = workdir.start(line);
    let deadline = Instant::now() + Duration::from_secs(90);
    while !workdir.directory.path().join("results/hunts").exists()
        || count_runs(&read_journal(&workdir)) == 0
    {
        assert!(Instant::now() < deadline, "no run has ended");
        std::thread::sleep(Duration::from_millis(100));
    }
    send_signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let before = count_runs(&read_journal(&workdir));
    let output = workdir.run(line);
    assert!(output_text(&output).contains("resuming: "), "{}", output_text(&output));
    assert!(matches!(output.status.code(), Some(0 | 2)), "{}", output_text(&output));
    let record = parse_stdout(&output);
    let runs: u64 =
        record["runs"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
    assert_eq!(runs, count_runs(&read_journal(&workdir)) as u64);
    assert!(runs >= before as u64, "{record:#}");
    assert!(record["findings"].as_array().is_some_and(Vec::is_empty), "{record:#}");
    workdir.assert_nothing_left();
}

#[test]
fn a_hunt_that_cannot_be_is_refused() {
    let workdir = Workdir::new();
    for (line, part) in [
        ("hunt --system oracle", "no system \"oracle\""),
        ("hunt --workload poetry", "poetry"),
        ("hunt --unsafe luck", "no such bug"),
        ("hunt --system redis --workload echo", "echo"),
        ("suite results", "no suite file"),
    ] {
        fs::create_dir_all(workdir.directory.path().join("results")).expect("a directory");
        let output = workdir.run(line);
        assert_eq!(output.status.code(), Some(254), "{line}: {}", output_text(&output));
        assert!(output_text(&output).contains(part), "{line}: {}", output_text(&output));
    }
}
