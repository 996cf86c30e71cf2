//! Judges files as a user would: every format, many at once, some of them broken.

use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const VALID: &str = "{:type :invoke, :process 0, :f :write, :value 1}\n\
                     {:type :ok, :process 0, :f :write, :value 1}\n";
const STALE: &str = "[{:type :invoke, :process 0, :f :write, :value 1}
 {:type :ok, :process 0, :f :write, :value 1}
 {:type :invoke, :process 1, :f :write, :value 2}
 {:type :ok, :process 1, :f :write, :value 2}
 {:type :invoke, :process 0, :f :read}
 {:type :ok, :process 0, :f :read, :value 1}]";
const LOG: &str =
    "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\nINFO  jepsen.util - 0\t:ok\t:cas\t[1 2]\n";

/// What came of a command line: exit code, standard output, standard error.
fn run_check(directory: &TempDir, line: &str) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_harness"))
        .arg("check")
        .args(line.split_whitespace())
        .current_dir(directory.path())
        .output()
        .expect("harness runs");
    let text = |bytes| String::from_utf8(bytes).expect("it speaks UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn write_files(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a directory");
        fs::write(path, text).expect("a file");
    }
    directory
}

/// The summary without the time, which differs.
fn strip_time(text: &str) -> String {
    let (before, _) = text.rsplit_once(" in ").expect("a time at the end");
    before.to_owned()
}

#[test]
fn every_format_is_told_by_its_content() {
    let jsonl = "{\"type\":\"invoke\",\"process\":0,\"f\":\"read\"}\n";
    let json = "[{\"type\":\"invoke\",\"process\":0,\"f\":\"read\"}]";
    let here = write_files(&[
        ("a.edn", VALID),
        ("jepsen/history.edn", VALID),
        ("ours/history.jsonl", jsonl),
        ("b.json", json),
        ("c.log", LOG),
    ]);
    let (code, out, err) =
        run_check(&here, "--model cas-register a.edn jepsen ours b.json --keyed no c.log");
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    insta::assert_snapshot!(strip_time(&out).replace(", but", ",\n  but"), @r"
    VALID: a.edn: linearizable: 1 operation
    VALID: jepsen: linearizable: 1 operation
    VALID: ours: no operations to check
    VALID: b.json: no operations to check
    INVALID: c.log: process 0 was told that cas [1 2] succeeded,
      but no operation invoked by then leads to that

    before: nil
        ✗ cas [1 2] ok
    p0  ├───────┤
    5 histories: 4 valid, 1 invalid, 0 unknown; 3 operations
    ");
}

#[test]
fn an_invalid_history_is_shown_shortly_and_explained_when_asked() {
    let here = write_files(&[("stale.edn", STALE)]);
    let (code, out, _) = run_check(&here, "--model register stale.edn");
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(out, @r"
    INVALID: stale.edn: process 0 read 1, but write 2 by process 1 had already completed

    before: 1
                        ✗ r 1 ok
    p0                  ├───────┤
        w 2 ok
    p1  ├───────┤
    ");
    let (code, out, _) = run_check(&here, "--model register stale.edn --explain");
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(out, @r"
    INVALID: stale.edn: process 0 read 1, but write 2 by process 1 had already completed

    before: 1
                        ✗ r 1 ok
    p0                  ├───────┤
        w 2 ok
    p1  ├───────┤

      before these operations the state was 1
      longest consistent prefix:
        1. w 2 ok by process 1
      after it the state is 2; no remaining operation can come next:
        ✗ r 1 ok by process 0: it read 1, but the register held 2
    ");
}

#[test]
fn broken_files_do_not_keep_others_from_being_judged() {
    let broken = VALID.to_owned() + "{:type :done}\n";
    let torn = VALID.to_owned() + "{:type :inv";
    let here = write_files(&[
        ("valid.edn", VALID),
        ("broken.edn", &broken),
        ("torn.edn", &torn),
        ("page.html", "<html>"),
        ("stale.edn", STALE),
    ]);
    let (code, out, err) =
        run_check(&here, "--model register broken.edn page.html nowhere valid.edn torn.edn");
    assert_eq!(code, Some(254), "an answer is missing");
    insta::assert_snapshot!(strip_time(&out), @r"
    VALID: valid.edn: linearizable: 1 operation
    VALID: torn.edn: linearizable: 1 operation
    5 histories: 2 valid, 0 invalid, 0 unknown, 3 unreadable; 2 operations
    ");
    insta::assert_snapshot!(err.replace("; ", ";\n  "), @r#"
    harness: broken.edn:3:8: type "done" is none of :invoke :ok :fail :info
    harness: page.html: unknown format (not JSON Lines, EDN, Porcupine or AWDIT sessions);
      set it with --input
    harness: nowhere: cannot be read: No such file or directory (os error 2)
    harness: torn.edn: warning: line 3 was cut short after 11 bytes and is ignored
    "#);
    let (code, ..) = run_check(&here, "--model register broken.edn stale.edn valid.edn");
    assert_eq!(code, Some(1), "an anomaly stands whatever else there is");
    let (code, ..) = run_check(&here, "--model register broken.edn valid.edn --time-limit 0s");
    assert_eq!(code, Some(254), "a missing answer is worse than an unknown one");
}

#[test]
fn programs_get_every_answer_and_the_summary() {
    let broken = VALID.to_owned() + "\n{:type :done}\n";
    let here = write_files(&[("valid.edn", VALID), ("broken.edn", &broken)]);
    let (code, out, _) = run_check(&here, "--model register valid.edn broken.edn --format json");
    let told: Value = serde_json::from_str(&out).expect("one JSON value");
    assert_eq!(code, Some(254));
    assert_eq!(told["histories"][0]["verdict"]["validity"], "valid");
    let unreadable = &told["histories"][1]["unreadable"];
    assert_eq!((unreadable["line"].as_u64(), unreadable["column"].as_u64()), (Some(4), Some(8)));
    assert_eq!(
        (told["summary"]["valid"].as_u64(), told["summary"]["unreadable"].as_u64()),
        (Some(1), Some(1))
    );
}

#[test]
fn a_format_that_is_named_is_taken_at_its_word() {
    let here = write_files(&[("valid.edn", VALID), ("log", LOG)]);
    let (code, _, err) = run_check(&here, "--model register --input jsonl valid.edn");
    assert_eq!(code, Some(254));
    insta::assert_snapshot!(err, @"harness: valid.edn:1:2: key must be a string");
    assert_eq!(run_check(&here, "--model register --input porcupine valid.edn").0, Some(0));
    assert_eq!(run_check(&here, "--model cas-register --input edn log").0, Some(254));
    let (_, help, _) = run_check(&here, "--help");
    assert!(help.contains("--input <INPUT>") && help.contains("the first that applies"), "{help}");
}

#[test]
fn a_history_cannot_steer_the_terminal() {
    let red = r#"{"index":0,"type":"invoke","process":0,"f":"read","value":null,"node":"\u001b[31m"}
{"index":1,"type":"ok","process":0,"f":"read","value":7,"node":"\u001b[31m"}"#;
    let (code, told, _) =
        run_check(&write_files(&[("red.jsonl", red)]), "--model register --explain red.jsonl");
    assert_eq!(code, Some(1));
    assert!(told.contains("\\u{1b}[31m") && !told.contains('\x1b'), "{told}");
}

/// Replays a certificate from the two files alone: every step legal, in real time, nothing missing.
fn replay_certificate(certificate: &Value, history: &[Value]) -> bool {
    let end = |index: &Value| {
        let from = history.iter().position(|it| it["index"] == *index).expect("it was invoked");
        let done = |it: &&Value| it["process"] == history[from]["process"];
        history[from + 1..].iter().find(done).filter(|it| it["type"] == "ok")
    };
    let mut seen = std::collections::BTreeSet::new();
    let objects = certificate["objects"].as_array().expect("objects");
    let explained = objects.iter().all(|object| {
        let (mut state, mut begun) = (object["start"].clone(), 0);
        object["order"].as_array().expect("an order").iter().all(|index| {
            let call = history.iter().find(|it| it["index"] == *index).expect("it was invoked");
            let (told, done) = (&end(index).unwrap_or(call)["value"][1], end(index));
            let in_time = done.is_none_or(|it| it["index"].as_u64() >= Some(begun));
            begun = begun.max(index.as_u64().expect("an index"));
            let legal = match call["f"].as_str() {
                Some("write") => Some(told.clone()),
                Some("cas") => (state == told[0]).then(|| told[1].clone()),
                _ => (state == *told).then(|| state.clone()),
            };
            let fits = in_time && call["value"][0] == object["key"] && legal.is_some();
            state = legal.unwrap_or_default();
            fits && seen.insert(index.as_u64())
        })
    });
    let invoked = history.iter().filter(|it| it["type"] == "invoke");
    explained
        && invoked
            .into_iter()
            .all(|it| end(&it["index"]).is_none() || seen.contains(&it["index"].as_u64()))
}

const KEYED: &str = r#"{"index":0,"time":0,"type":"invoke","process":0,"f":"write","value":["k",1]}
{"index":1,"time":0,"type":"invoke","process":1,"f":"cas","value":["k",[1,2]]}
{"index":2,"time":0,"type":"invoke","process":2,"f":"write","value":["l",7]}
{"index":3,"time":0,"type":"info","process":2,"f":"write","value":["l",7]}
{"index":4,"time":0,"type":"invoke","process":3,"f":"read","value":["k",null]}
{"index":5,"time":0,"type":"ok","process":3,"f":"read","value":["k",2]}
{"index":6,"time":0,"type":"ok","process":1,"f":"cas","value":["k",[1,2]]}
{"index":7,"time":0,"type":"ok","process":0,"f":"write","value":["k",1]}
{"index":8,"time":0,"type":"invoke","process":3,"f":"read","value":["l",null]}
{"index":9,"time":0,"type":"ok","process":3,"f":"read","value":["l",7]}
"#;

#[test]
fn a_certificate_is_accepted_when_it_is_replayed() {
    let here = write_files(&[("k.jsonl", KEYED), ("bad.edn", STALE)]);
    let (code, _, err) = run_check(&here, "--model cas-register k.jsonl --certificate k.json");
    assert_eq!((code, err.as_str()), (Some(0), "harness: k.jsonl: certificate: k.json\n"));
    let text = fs::read_to_string(here.path().join("k.json")).expect("a certificate");
    let mut certificate: Value = serde_json::from_str(&text).expect("it is JSON");
    let lines: Vec<Value> =
        KEYED.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert!(replay_certificate(&certificate, &lines), "{text}");
    certificate["objects"][0]["order"].as_array_mut().expect("an order").swap(0, 1);
    assert!(
        !replay_certificate(&certificate, &lines),
        "a replayer that accepts everything proves nothing"
    );
    let (code, _, err) = run_check(&here, "--model cas-register bad.edn --certificate k.json");
    let none = "harness: bad.edn: no certificate: the history is invalid\n";
    assert_eq!((code, err.as_str()), (Some(1), none));
    assert!(!here.path().join("k.json").exists(), "a certificate of something else would mislead");
}

#[test]
fn certificates_of_many_go_into_a_directory() {
    let here = write_files(&[("a.edn", VALID), ("b/history.edn", VALID), ("out/x", "")]);
    let (code, _, err) = run_check(&here, "--model cas-register a.edn b --certificate one.json");
    assert_eq!(code, Some(254), "{err}");
    assert!(err.contains("must be an existing directory"), "{err}");
    let (code, ..) = run_check(&here, "--model cas-register a.edn b --certificate out");
    let written = |name: &str| here.path().join("out").join(name).exists();
    assert!(code == Some(0) && written("0001-a.edn.json") && written("0002-b.json"));
}

#[test]
fn bad_input_is_told_with_file_line_column_and_reason() {
    let first = r#"{"type":"invoke","process":0,"f":"read"}"#;
    let wrong = format!(
        "{first}\n{{\"type\":\"ok\",\"process\":0,\"f\":\"read\",\"value\":9223372036854775808}}\n"
    );
    let whole = format!("{first}\n{{\"type\":\"nonsense\",\"process\":0}}");
    let torn = format!("{first}\n{{\"type\":\"ok\",\"proc");
    let edn = "{:type :invoke, :process 0, :f :read}\n\
               {:type :ok, :process 0, :f :read, :value 9223372036854775808}\n";
    let here = write_files(&[
        ("big.jsonl", &wrong),
        ("whole.jsonl", &whole),
        ("torn.jsonl", &torn),
        ("big.edn", edn),
    ]);
    for (file, place) in [
        ("big.jsonl", "big.jsonl:2:"),
        ("whole.jsonl", "whole.jsonl:2:"),
        ("big.edn", "big.edn:2:42: "),
    ] {
        let (code, _, err) = run_check(&here, &format!("--model register {file}"));
        assert_eq!(code, Some(254), "{err}");
        let rest = err.strip_prefix("harness: ").and_then(|it| it.strip_prefix(place));
        assert!(rest.is_some_and(|it| it.len() > 20), "{err}");
    }
    let (code, _, err) = run_check(&here, "--model register torn.jsonl");
    assert_eq!(code, Some(0), "{err}");
    assert!(err.contains("warning: line 2 was cut short"), "{err}");
}
