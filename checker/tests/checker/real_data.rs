//! Compares verdicts with those of other tools on histories that nobody here wrote.

use std::path::{Path, PathBuf};

use checker::history::{Event, History, Kind, Process, Value, porcupine_log};
use checker::{Limits, Validity, check_linearizable};

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

fn validity(name: &str) -> Validity {
    match name {
        "valid" => Validity::Valid,
        "invalid" => Validity::Invalid,
        _ => Validity::Unknown,
    }
}

fn etcd(file: &str) -> History {
    let log = text(&folder().join(file)).expect("every file in verdicts.tsv is there");
    porcupine_log::parse(&log).unwrap_or_else(|damage| panic!("{file}: {damage}"))
}

/// One line of Porcupine's key-value texts: `{:process 0, :type :ok, :f :get, :key "7", :value
/// "x"}`.
fn kv_event(index: usize, line: &str) -> Option<Event> {
    let field = |name: &str| {
        let (_, rest) = line.split_once(&format!(":{name} "))?;
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').map(|(text, _)| Value::from(text)),
            None if rest.starts_with("nil") => Some(Value::Nil),
            None => rest.split_once([',', '}']).map(|(word, _)| Value::from(word)),
        }
    };
    let word = |name| match field(name) {
        Some(Value::Str(word)) => Some(word),
        _ => None,
    };
    Some(Event {
        index: index as u64,
        time: 0,
        kind: if word("type")? == "invoke" { Kind::Invoke } else { Kind::Ok },
        process: Process::Client(word("process")?.parse().ok()?),
        f: word("f")?,
        value: Value::pair(field("key")?, field("value")?),
        node: None,
        error: None,
    })
}

fn kv(file: &str) -> History {
    let lines = text(&folder().join(file)).expect("every file in verdicts.tsv is there");
    let events = lines.lines().enumerate().map(|(index, line)| kv_event(index, line));
    let events =
        events.collect::<Option<_>>().unwrap_or_else(|| panic!("{file} is not understood"));
    History::new(events).unwrap_or_else(|malformed| panic!("{file}: {malformed}"))
}

/// The rows to try, or a word to the reader that there are none.
fn rows(under: &str) -> Vec<(String, String, String)> {
    expected(under).unwrap_or_else(|| {
        let why = b"NOT RUN: no verdicts.tsv; set HARNESS_DATA to the folder that has it\n";
        std::io::Write::write_all(&mut std::io::stderr(), why).expect("stderr takes a line");
        Vec::new()
    })
}

#[track_caller]
fn agrees(file: &str, history: &History, model: &str, verdict: &str) {
    let got = check_linearizable(history, model, &Limits::default());
    assert_eq!(got.validity, validity(verdict), "{file}: {}", got.sentence);
    assert_eq!(got.witness.is_some(), got.validity == Validity::Invalid, "{file}");
}

#[test]
fn etcd_logs_get_the_verdicts_of_porcupine() {
    for (file, model, verdict) in rows("porcupine/jepsen/") {
        agrees(&file, &etcd(&file), &model, &verdict);
    }
}

#[test]
fn key_value_texts_get_the_verdicts_of_porcupine() {
    for (file, _, verdict) in rows("porcupine/kv/") {
        agrees(&file, &kv(&file), "kv", &verdict);
    }
}
