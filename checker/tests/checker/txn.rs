//! Compares verdicts about transactions with those of Elle, on histories from other projects.

use crate::real_data::{history, rows, validity};
use checker::{Limits, Verdict, check_by_name};

/// Checks the verdict that a manifest expects: `valid`, or
/// `invalid: G2-item 162, G2-item-realtime 40`.
#[track_caller]
fn agrees(file: &str, verdict: &Verdict, expected: &str) {
    let (says, counts) = expected.split_once(": ").unwrap_or((expected, ""));
    assert_eq!(verdict.validity, validity(says), "{file}: {}", verdict.message);
    if !counts.is_empty() {
        let found = verdict.findings.iter().filter(|finding| !finding.name.ends_with("-process"));
        let found: Vec<_> =
            found.map(|finding| format!("{} {}", finding.name, finding.count)).collect();
        assert_eq!(found.join(", "), counts, "{file}: {}", verdict.message);
    }
}

#[test]
fn histories_of_transactions_get_the_verdicts_of_elle() {
    for (file, model, expected) in
        ["elle-cli/elle/", "elle-perf/"].iter().flat_map(|under| rows(under))
    {
        let (model, level) = model.split_once(" (").unwrap_or((&model, "strict-serializable)"));
        let limits = Limits { consistency: level.strip_suffix(')'), ..Limits::default() };
        let verdict = check_by_name(&history(&file), model, &limits);
        agrees(&file, &verdict, &expected);
    }
}

/// The manifest names the strongest level that holds.
#[test]
fn histories_of_sessions_get_the_verdicts_of_awdit() {
    let levels = ["read-committed", "read-atomic", "causal"];
    for (file, model, _) in rows("awdit/") {
        let strongest = model.strip_prefix("awdit:").expect("the folder's name");
        let upto = levels.iter().position(|level| *level == strongest).map_or(0, |at| at + 1);
        for (number, level) in levels.iter().enumerate() {
            let limits = Limits { consistency: Some(level), ..Limits::default() };
            let verdict = check_by_name(&history(&file), "isolation", &limits);
            let expected = if number < upto { "valid" } else { "invalid" };
            assert_eq!(
                verdict.validity,
                validity(expected),
                "{file}, {level}: {}",
                verdict.message
            );
        }
        let timed = check_by_name(&history(&file), "rw-register", &Limits::default());
        assert_eq!(timed.validity, validity("unknown"), "{file}: {}", timed.message);
    }
}
