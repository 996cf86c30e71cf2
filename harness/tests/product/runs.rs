//! Runs the product as a user would: real replicas, real faults, real signals.

use crate::not_run::not_run;
use crate::workdir::{
    Workdir, dir_entries, output_text, parse_stdout, read_json, run_until_invalid, run_until_valid,
    run_until_valid_showing, send_signal,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The directory of the only run.
fn only_run(workdir: &Workdir) -> PathBuf {
    let families = dir_entries(&workdir.directory.path().join("results"));
    let hidden =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let family = families.into_iter().find(|path| path.is_dir() && !hidden(path));
    let family = family.expect("a family of runs");
    dir_entries(&family).into_iter().next().expect("a run")
}

/// A schedule in a file that outlives the runs that play it.
struct ScheduleFile(tempfile::NamedTempFile);

impl ScheduleFile {
    fn new(text: &str) -> Self {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), text).expect("it can be written");
        Self(file)
    }

    fn path(&self) -> std::path::Display<'_> {
        self.0.path().display()
    }
}

/// The states of the faults of a verdict, in their order.
fn fault_states(verdict: &Value) -> Vec<&str> {
    let faults = verdict["faults"].as_array().expect("faults are listed");
    faults.iter().filter_map(|fault| fault["state"].as_str()).collect()
}

#[test]
fn a_correct_system_survives_a_partition_and_says_so() {
    let (workdir, output) = run_until_valid("test --nemesis partition --format json", 10);
    let verdict = parse_stdout(&output);
    assert_eq!(verdict["validity"], "valid");
    assert!(fault_states(&verdict).contains(&"witnessed"), "{verdict}");
    let run = only_run(&workdir);
    assert!(read_json(&run.join("run.json"))["timings"]["first_op_ms"].is_u64());
    assert!(fs::read_to_string(run.join("report.html")).expect("a report").contains("</html>"));
    assert!(!run.join("data").exists(), "what replicas stored goes when all is well");
    let again = workdir.run(&format!("check --model cas-register {}", run.display()));
    assert_eq!(again.status.code(), Some(0), "{}", output_text(&again));
    let index =
        fs::read_to_string(workdir.directory.path().join("results/index.jsonl")).expect("an index");
    assert_eq!(index.lines().count(), 1);
    workdir.assert_nothing_left();
}

#[test]
fn proxies_do_where_namespaces_are_not_wanted() {
    let (workdir, _) = run_until_valid("test --nemesis partition --net proxy --nodes 3", 8);
    workdir.assert_nothing_left();
}

#[test]
fn a_seeded_bug_is_caught_and_its_window_alone_convicts_it() {
    let (workdir, output) =
        run_until_invalid("test --nemesis partition:leader --unsafe stale-reads", 20);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["results:", "repro:", "next:", "--unsafe stale-reads"] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let window = only_run(&workdir).join("window.jsonl");
    let again = workdir.run(&format!("check --model cas-register {}", window.display()));
    assert_eq!(again.status.code(), Some(1), "{}", output_text(&again));
}

#[test]
fn the_first_violation_ends_a_run_that_is_to_fail_fast() {
    let began = Instant::now();
    let line = "test --nemesis partition:leader --unsafe early-ack,stale-reads --fail-fast";
    let (workdir, output) = run_until_invalid(line, 120);
    assert!(began.elapsed() < Duration::from_secs(100), "{}", output_text(&output));
    let verdict = read_json(&only_run(&workdir).join("verdict.json"));
    assert!(
        verdict["stopped_early"].as_str().is_some_and(|why| why.contains("--fail-fast")),
        "{verdict}"
    );
}

#[test]
fn only_what_can_be_judged_early_fails_fast() {
    let output = Workdir::new().run("test --workload g-counter --fail-fast");
    assert_eq!(output.status.code(), Some(254), "{}", output_text(&output));
    let why = "eventual-counter judges the last read of each replica";
    assert!(output_text(&output).contains(why), "{}", output_text(&output));
}

#[test]
fn a_torn_transaction_is_caught_and_its_history_goes_out_as_edn() {
    let line = "test --workload bank --nemesis none --nodes 3";
    drop(run_until_valid(line, 5));
    let (torn, _) = run_until_invalid(&format!("{line} --unsafe torn-txn"), 5);
    let run = only_run(&torn);
    assert_eq!(
        torn.run(&format!("report {} --export edn,csv", run.display())).status.code(),
        Some(0)
    );
    let edn = run.join("history.edn");
    let again = torn.run(&format!("check --model bank {}", edn.display()));
    assert_eq!(again.status.code(), Some(1), "{}", output_text(&again));
}

#[test]
fn a_stale_read_is_seen_and_an_unsupported_read_is_refused() {
    let line = "test --workload follower-reads --nemesis none --nodes 3";
    let (workdir, output) = run_until_invalid(&format!("{line} --read stale"), 5);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("--read stale") && text.contains("had already completed"), "{text}");
    let refused = workdir.run(&format!("{line} --read fresh"));
    assert_eq!(refused.status.code(), Some(254), "{}", output_text(&refused));
}

#[test]
fn a_first_interrupt_heals_and_judges() {
    let workdir = Workdir::new();
    let mut child = workdir.start("test --nemesis partition,kill,pause --time-limit 60s --seed 2");
    std::thread::sleep(Duration::from_secs(5));
    send_signal(&child, Signal::SIGINT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    let run = only_run(&workdir);
    let verdict = read_json(&run.join("verdict.json"));
    assert_eq!(verdict["interrupted"], true);
    let faults = verdict["faults"].as_array().expect("faults are listed");
    let planned = fs::read_to_string(run.join("schedule.txt")).expect("it is recorded");
    assert_eq!(faults.len(), planned.lines().count(), "what never began is told, too: {faults:?}");
    let last = &faults[faults.len() - 1];
    assert_eq!(last["evidence"], "the main phase was stopped before it began");
    workdir.assert_nothing_left();
}

#[test]
fn a_killed_run_leaves_nothing_behind_but_its_history() {
    let workdir = Workdir::new();
    let mut child = workdir.start("test --nemesis partition,kill,pause --time-limit 60s --seed 4");
    std::thread::sleep(Duration::from_secs(5));
    send_signal(&child, Signal::SIGKILL);
    child.wait().expect("it ends");
    workdir.assert_nothing_left();
    let output =
        workdir.run(&format!("check --model cas-register {}", only_run(&workdir).display()));
    assert_eq!(output.status.code(), Some(0), "{}", output_text(&output));
}

#[test]
fn a_killed_suite_takes_its_runs_with_it() {
    let workdir = Workdir::new();
    fs::write(workdir.directory.path().join("s.toml"), "nodes = 3\ntime-limit = \"60s\"\n")
        .expect("it is written");
    let mut child = workdir.start("suite s.toml");
    std::thread::sleep(Duration::from_secs(5));
    only_run(&workdir);
    send_signal(&child, Signal::SIGKILL);
    child.wait().expect("it ends");
    workdir.assert_nothing_left();
}

#[test]
fn packets_are_shaped_captured_and_nothing_is_left_of_the_switch() {
    let story = "at 0.5s packet slow leader for 1s\nat 2s packet flaky n2 n3 for 1.5s\n\
                 at 2.2s partition n1|rest for 1s\nat 4s packet hold clients for 0.5s\n";
    let file = ScheduleFile::new(story);
    let line = format!("test --schedule {} --capture --format json", file.path());
    let all = |output: &_| fault_states(&parse_stdout(output)) == ["witnessed"; 4];
    let (workdir, _) = run_until_valid_showing(&line, 5, all);
    let run = only_run(&workdir);
    assert_eq!(read_json(&run.join("run.json"))["net"]["backend"], "switch");
    let capture = fs::read(run.join("capture.pcapng")).expect("packets were captured");
    assert_eq!(capture[..4], [0x0a, 0x0d, 0x0d, 0x0a]);
    assert!(capture.len() > 100_000, "{}", capture.len());
    workdir.assert_nothing_left();
}

#[test]
fn a_run_that_is_killed_while_links_are_shaped_leaves_nothing_behind() {
    let workdir = Workdir::new();
    let mut child = workdir.start("test --nemesis packet --time-limit 60s --seed 4");
    std::thread::sleep(Duration::from_secs(5));
    send_signal(&child, Signal::SIGKILL);
    child.wait().expect("it ends");
    workdir.assert_nothing_left();
}

#[test]
fn proxies_say_that_they_shape_nothing() {
    let workdir = Workdir::new();
    let output = workdir.run("test --nemesis packet --net proxy --time-limit 3s");
    assert_eq!(output.status.code(), Some(3), "{}", output_text(&output));
    assert!(
        output_text(&output).contains("need a switch, and only proxies are available"),
        "{}",
        output_text(&output)
    );
}

#[test]
fn bad_arguments_are_refused_before_anything_starts() {
    let workdir = Workdir::new();
    let refused = [
        ("test --nemesis fire", "there is no nemesis \"fire\""),
        ("test --nodes 0", "expected a whole number from 1 to 9"),
        ("test --nodes 1 --nemesis partition", "nemesis partition has no target with --nodes 1"),
        ("test --bin /nonexistent", "--bin /nonexistent: there is no such program"),
        ("test --time-limit 99999h", "expected a duration from 1s to 24h"),
        ("test --unsafe rust", "raft has no such bug; `harness list` shows all"),
        ("test --unsafe stale-read", "did you mean stale-reads?"),
        ("test --time-limit soon", "write for example 30s"),
        ("test --colour", "unexpected argument"),
        ("check --model sonnet nowhere.jsonl", "there is no model \"sonnet\""),
        ("check --model register nowhere.jsonl", "nowhere.jsonl: cannot be read"),
        ("test --schedule nowhere.txt", "nowhere.txt: this schedule cannot be read"),
        ("test --schedule story.txt --nemesis kill", "cannot be used with"),
        ("sim --seeds 0", "0 is not in 1.."),
        ("sim --seed 18446744073709551615 --seeds 1", "leaves no room for --seeds 1"),
        ("test --rate -3", "invalid value '-3' for '--rate"),
        ("test --system redis --unsafe stale-reads", "redis has no seeded bugs to switch on"),
        ("suite weekly", "unknown built-in suite weekly (available: nightly, smoke)"),
        ("runs since:yesterday", "\"yesterday\" is not a date or time"),
        ("serve --results /dev/null", "/dev/null is not a directory"),
        ("replay nowhere", "is this the directory of a finished run?"),
        ("report nowhere", "is this the directory of a finished run?"),
    ];
    for (line, sentence) in refused {
        let output = workdir.run(line);
        assert_eq!(output.status.code(), Some(254), "{line}: {}", output_text(&output));
        assert!(output_text(&output).contains(sentence), "{line}: {}", output_text(&output));
    }
    assert!(dir_entries(workdir.directory.path()).is_empty(), "nothing was started");
}

#[test]
fn what_cannot_be_written_is_the_machines_fault_and_not_an_error_in_this_tool() {
    let workdir = Workdir::new();
    let history = workdir.directory.path().join("h.jsonl");
    fs::write(&history, "").expect("it is written");
    for line in [
        "sim --seeds 1 --trace /dev/full",
        "check h.jsonl --model cas-register --certificate /dev/full",
        "suite smoke --budget 0s --output json=/dev/full",
    ] {
        let output = workdir.run(line);
        assert_eq!(output.status.code(), Some(3), "{line}: {}", output_text(&output));
        assert!(output_text(&output).contains("/dev/full"), "{line}: {}", output_text(&output));
    }
}

/// A finding keeps its exit code even if it cannot be printed.
#[test]
fn an_invalid_run_whose_words_find_no_room_still_ends_as_invalid() {
    let workdir = Workdir::new();
    let bug =
        "test --workload counter --unsafe evaluate-early --nemesis none --time-limit 3s --seed 1";
    let output = workdir.run_with_full_stdout(bug);
    assert_eq!(output.status.code(), Some(1), "{}", output_text(&output));
    assert!(
        output_text(&output).contains("the results of the run are in results/"),
        "{}",
        output_text(&output)
    );
}

#[test]
fn a_schedule_by_hand_is_played_and_what_a_run_recorded_is_played_again() {
    let story = "after 50 ok writes kill leader for 1s\nat 2.5s partition n1 n2|rest for 1.5s\n";
    let file = ScheduleFile::new(story);
    let (workdir, _) = run_until_valid(&format!("test --schedule {}", file.path()), 5);
    let run = only_run(&workdir);
    assert_eq!(fs::read_to_string(run.join("schedule.txt")).expect("it is recorded"), story);
    let output = workdir.run(&format!("replay {} --format json", run.display()));
    let verdict = parse_stdout(&output);
    assert_ne!(verdict["validity"], "invalid", "{}", output_text(&output));
    let faults = verdict["faults"].as_array().expect("faults are listed");
    let kinds: Vec<&Value> = faults.iter().map(|fault| &fault["kind"]).collect();
    assert_eq!(kinds, ["kill", "partition"], "{faults:?}");
    assert_eq!(faults[1]["target"], "n1 n2 | n3 n4 n5");
    workdir.assert_nothing_left();
}

#[test]
fn a_replica_that_dies_by_itself_is_started_again_and_its_death_is_not_forgotten() {
    let workdir = Workdir::new();
    let path = workdir.directory.path().join("frail");
    let script = format!(
        "#!/bin/sh\n[ \"$2\" = n2 ] && [ ! -e died ] && {{ : > died; \
         timeout -s KILL 3 {harness} node \"$@\"; echo gave up; exit 9; }}\n\
         exec {harness} node \"$@\"\n",
        harness = env!("CARGO_BIN_EXE_harness")
    );
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let output = workdir
        .run("test --bin ./frail --nodes 3 --nemesis none --time-limit 6s --seed 1 --format json");
    assert_eq!(output.status.code(), Some(1), "{}", output_text(&output));
    let verdict = parse_stdout(&output);
    let deaths = verdict["deaths"].as_array().expect("deaths are listed");
    assert_eq!(deaths.len(), 1, "{deaths:?}");
    assert_eq!(deaths[0]["how"], "exit status: 9");
    let log = deaths[0]["log"].to_string();
    assert!(log.contains("gave up"), "{log}");
    let reasons = verdict["reasons"].to_string();
    assert!(!reasons.contains("did not answer"), "it came back: {reasons}");
    workdir.assert_nothing_left();
}

#[test]
fn wrong_clocks_are_read_back_and_a_correct_system_does_not_care() {
    let story = "at 500ms clock jump-back leader for 1s\nat 2s clock strobe for 1s\n\
                 at 2.5s kill one for 1s\n";
    let file = ScheduleFile::new(story);
    let line = format!("test --schedule {} --format json", file.path());
    let able = Workdir::new().run(&format!("{line} --time-limit 3s"));
    if able.status.code() == Some(3) {
        not_run(output_text(&able));
        return;
    }
    let (workdir, output) = run_until_valid(&line, 4);
    let verdict = parse_stdout(&output);
    let evidence = verdict["faults"][0]["evidence"].as_str().expect("a sentence");
    assert!(evidence.contains("its clock said -"), "{evidence}");
    workdir.assert_nothing_left();
}

#[test]
fn a_system_that_does_not_start_is_told_with_its_last_words() {
    let workdir = Workdir::new();
    let output = workdir.run("test --bin /bin/false --net proxy");
    assert_eq!(output.status.code(), Some(3), "{}", output_text(&output));
    assert!(
        output_text(&output).contains("exited before it was ready"),
        "{}",
        output_text(&output)
    );
}

#[test]
fn a_replica_that_does_not_come_back_is_an_anomaly_and_costs_no_verdict() {
    let workdir = Workdir::new();
    let path = workdir.directory.path().join("once");
    let script = format!(
        "#!/bin/sh\n[ -e \"started-$2\" ] && exit 7\n: > \"started-$2\"\nexec {} node \"$@\"\n",
        env!("CARGO_BIN_EXE_harness")
    );
    fs::write(&path, script).expect("a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let output =
        workdir.run("test --bin ./once --nodes 3 --nemesis kill:one --time-limit 6s --seed 1");
    assert_eq!(output.status.code(), Some(1), "{}", output_text(&output));
    assert!(
        output_text(&output).contains("exited unexpectedly: exit status: 7"),
        "{}",
        output_text(&output)
    );
    assert_eq!(read_json(&only_run(&workdir).join("verdict.json"))["validity"], "invalid");
}

#[test]
fn damage_in_a_history_is_told_with_its_place() {
    let workdir = Workdir::new();
    let path = workdir.directory.path().join("history.jsonl");
    let line = r#"{"index":0,"time":1,"type":"invoke","process":0,"f":"read","value":null}"#;
    fs::write(&path, format!("{line}\n{{\"index\":oops\n{line}\n")).expect("a file");
    let output = workdir.run("check --model register history.jsonl");
    assert_eq!(output.status.code(), Some(254), "{}", output_text(&output));
    assert!(output_text(&output).contains("history.jsonl:2:"), "{}", output_text(&output));
}

#[test]
fn what_can_be_named_is_listed_and_completed() {
    let workdir = Workdir::new();
    let list = output_text(&workdir.run("list"));
    for name in ["raft", "register", "partition:leader", "cas-register", "stale-reads", "torn-txn"]
    {
        assert!(list.contains(name), "{name} is missing in\n{list}");
    }
    assert!(output_text(&workdir.run("completions bash")).contains("harness"));
    assert!(output_text(&workdir.run("--help")).contains("Exit codes"));
    assert!(output_text(&workdir.run("doctor")).contains("ok"));
}

#[test]
fn a_scenario_shows_what_it_should_and_where() {
    let workdir = Workdir::new();
    for (name, acts) in [("leader-crash", 1), ("split-vote", 1)] {
        let play = |seed| workdir.run(&format!("scenario {name} --format json --seed {seed}"));
        let output = (1..=3).map(play).find(|output| output.status.success());
        let output = output.expect("one of three seeds shows everything");
        let played: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        let played = played.as_array().expect("acts are listed");
        assert_eq!(played.len(), acts);
        let report = played[0]["results"].as_str().expect("a run was left behind");
        assert!(workdir.directory.path().join(report).join("report.html").exists());
        let story = played[0]["story"].as_array().expect("a story is told");
        assert!(story.iter().any(|line| line.to_string().contains("is leader at term")));
    }
    workdir.assert_nothing_left();
}

#[test]
fn scenarios_are_asked_for_by_name() {
    let workdir = Workdir::new();
    assert_eq!(workdir.run("scenario").status.code(), Some(254));
    let output = workdir.run("scenario byzantine-generals");
    assert_eq!(output.status.code(), Some(254));
    assert!(output_text(&output).contains("there are: follower-read, half-replicated"));
    let output = workdir.run("scenario --list");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 6);
}

#[test]
fn leadership_is_handed_on_and_the_replicas_say_so() {
    let (workdir, output) = run_until_valid("test --nodes 3 --nemesis transfer --format json", 8);
    let verdict = parse_stdout(&output);
    assert!(fault_states(&verdict).contains(&"witnessed"), "{verdict}");
    let evidence = verdict["faults"][0]["evidence"].as_str().expect("a sentence");
    assert!(evidence.contains(" led term "), "{evidence}");
    let refused = workdir.run("test --system zookeeper --nemesis transfer");
    assert_eq!(refused.status.code(), Some(254), "{}", output_text(&refused));
    assert!(
        output_text(&refused).contains("has no interface to transfer leadership"),
        "{}",
        output_text(&refused)
    );
}

#[test]
fn a_replica_leaves_and_a_new_one_comes_in_its_place() {
    let (workdir, output) = run_until_valid("test --nemesis membership --format json", 12);
    let verdict = parse_stdout(&output);
    let faults = verdict["faults"].as_array().expect("faults are listed");
    let evidence = faults.iter().filter_map(|fault| fault["evidence"].as_str());
    let told: Vec<&str> =
        evidence.filter(|text| text.contains("was removed, reported by")).collect();
    assert!(told.iter().any(|text| text.contains("joined in its place")), "{verdict}");
    let proxies = workdir.run("test --nemesis membership --net proxy --time-limit 2s");
    assert_eq!(proxies.status.code(), Some(3), "{}", crate::workdir::output_text(&proxies));
    workdir.assert_nothing_left();
}

#[test]
fn an_emptied_replica_is_replaced_in_one_change_and_an_early_word_does_not_survive_that() {
    let line = "test --nemesis replace:leader --format json";
    let (_, output) = run_until_valid(line, 12);
    let verdict = parse_stdout(&output);
    let faults = verdict["faults"].as_array().expect("faults are listed");
    let mut evidence = faults.iter().filter_map(|fault| fault["evidence"].as_str());
    assert!(evidence.any(|text| text.contains("died and was emptied; member")), "{verdict}");
    drop(run_until_invalid(&format!("{line} --unsafe early-ack"), 15));
}
