//! Compares verdicts with those of other tools on recorded histories.

use std::path::{Path, PathBuf};

use checker::history::{Format, History, Value, edn, jsonl};
use checker::model::find_model;
use checker::{Limits, Validity, check_by_name, check_linearizable};

/// Where the histories are: `$HARNESS_DATA`, or beside the workspace.
fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    std::env::var_os("HARNESS_DATA").map_or_else(beside, PathBuf::from)
}

#[expect(clippy::disallowed_methods, reason = "the judge reads no files, its tests do")]
fn text(path: &Path) -> std::io::Result<String> {
    std::fs::read_to_string(path)
}

/// The rows of verdicts.tsv under a folder: file, model, verdict.
fn expected(under: &str) -> Option<Vec<(String, String, String)>> {
    let table = text(&folder().join("verdicts.tsv")).ok()?;
    let rows = table.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    let rows = rows.filter(|row| row[0].starts_with(under));
    Some(rows.map(|row| (row[0].clone(), row[1].clone(), row[2].clone())).collect())
}

pub(crate) fn validity(name: &str) -> Validity {
    match name {
        "valid" => Validity::Valid,
        _ if name.starts_with("invalid") => Validity::Invalid,
        _ => Validity::Unknown,
    }
}

/// Reads a history of any format.
pub(crate) fn history(file: &str) -> History {
    let text = text(&folder().join(file)).expect("every file in verdicts.tsv is there");
    let parsed = Format::detect(text.as_bytes()).expect("a format").parse(text.as_bytes());
    let parsed = parsed.unwrap_or_else(|damage| panic!("{file}: {damage}"));
    assert_eq!(parsed.torn, None, "{file}");
    parsed.history
}

/// The rows to try; prints a note if there are none.
pub(crate) fn rows(under: &str) -> Vec<(String, String, String)> {
    expected(under).unwrap_or_else(|| {
        let folder = folder();
        say(&format!(
            "NOT RUN: {under} has histories that other tools published and that are no part of \
             this repository: {} has no verdicts.tsv; HARNESS_DATA names the folder that has it\n",
            folder.display()
        ));
        Vec::new()
    })
}

/// Prints a note whether the test passes or not.
fn say(what: &str) {
    std::io::Write::write_all(&mut std::io::stderr(), what.as_bytes()).expect("stderr takes it");
}

#[track_caller]
fn agrees(file: &str, history: &History, model: &str, verdict: &str) {
    let got = check_linearizable(history, model, &Limits::default());
    assert_eq!(got.validity, validity(verdict), "{file}: {}", got.message);
    assert_eq!(got.witness.is_some(), got.validity == Validity::Invalid, "{file}");
}

#[test]
fn etcd_logs_get_the_verdicts_of_porcupine() {
    for (file, model, verdict) in rows("porcupine/jepsen/") {
        agrees(&file, &history(&file), &model, &verdict);
    }
}

#[test]
fn key_value_texts_get_the_verdicts_of_porcupine() {
    for (file, _, verdict) in rows("porcupine/kv/") {
        agrees(&file, &history(&file), "kv", &verdict);
    }
}

/// Registers that hold 0.
fn zeros(keys: &[&str]) -> Value {
    Value::List(keys.iter().map(|key| Value::pair(*key, 0)).collect())
}

#[test]
fn edn_histories_get_the_verdicts_of_knossos() {
    for (file, model, verdict) in rows("knossos/") {
        let history = match model.as_str() {
            // Its manifest: initially x = y = 0.
            "multi-register" => history(&file).with_initial(vec![zeros(&["x", "y"])]),
            _ => history(&file),
        };
        if find_model(&model).is_some() {
            agrees(&file, &history, &model, &verdict);
        } else {
            say(&format!("NOT RUN: {file}: there is no model {model}\n"));
        }
    }
}

/// The check for a row of elle-cli: Jepsen's set and counter are claims about reads, not models.
fn property(model: &str) -> Option<&str> {
    match model {
        "bank" | "long-fork" | "set-full" => Some(model),
        "counter" => Some("counter-bounds"),
        "set" => Some("set-final"),
        _ => None,
    }
}

#[test]
fn histories_of_jepsens_workloads_get_the_verdicts_of_jepsens_checkers() {
    for (file, model, verdict) in rows("elle-cli/jepsen/") {
        let property = property(&model).expect("every property is known");
        let got = check_by_name(&history(&file), property, &Limits::default());
        assert_eq!(got.validity, validity(&verdict), "{file}: {}", got.message);
        assert_eq!(got.findings.is_empty(), got.validity == Validity::Valid, "{file}");
    }
}

#[test]
fn real_histories_survive_being_written() {
    for under in ["knossos/", "porcupine/", "elle-cli/", "elle-perf/"] {
        for (file, ..) in &rows(under) {
            let history = history(file);
            for copy in [edn::parse(edn::write(&history)), jsonl::parse(jsonl::write(&history))] {
                assert!(copy.expect("it was written").history == history, "{file}");
            }
        }
    }
}
