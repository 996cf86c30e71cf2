//! Compares verdicts with those of other tools on histories that nobody here wrote.

use std::path::{Path, PathBuf};

use checker::history::{History, porcupine_log};
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

#[test]
fn etcd_logs_get_the_verdicts_of_porcupine() {
    let Some(rows) = expected("porcupine/jepsen/") else {
        // What a test prints is how it says that it could not run.
        std::io::Write::write_all(
            &mut std::io::stderr(),
            b"NOT RUN: no verdicts.tsv; set HARNESS_DATA\n",
        )
        .expect("stderr takes a line");
        return;
    };
    for (file, model, verdict) in rows {
        let history = etcd(&file);
        let got = check_linearizable(&history, &model, &Limits::default());
        assert_eq!(got.validity, validity(&verdict), "{file}: {}", got.sentence);
        assert_eq!(got.witness.is_some(), got.validity == Validity::Invalid, "{file}");
    }
}
