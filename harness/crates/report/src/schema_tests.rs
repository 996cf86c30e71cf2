//! Tests that the JSON for programs matches `records/schema`.

use super::{json, sample};
use records::record::{DependencyEdge, Finding, KindCoverage, LeaderChange, OutcomeCounts};
use records::schema::schema_violations;
use serde_json::Value;

fn assert_matches(shape: &str, value: &Value) {
    assert_eq!(schema_violations(shape, value), Vec::<String>::new());
}

/// A verdict in which every field is filled.
fn full() -> Value {
    let mut sample = sample::invalid(20);
    let arrow = DependencyEdge { from: 0, to: 2, relation: "ww".into() };
    sample.verdict.checks[0].findings = vec![Finding {
        name: "G0".into(),
        count: 1,
        sentence: "a cycle".into(),
        steps: vec!["because".into()],
        arrows: vec![arrow],
        operations: vec![0, 2],
    }];
    let operations = [("read".to_owned(), OutcomeCounts::default())].into();
    let kind = KindCoverage { operations, ..KindCoverage::default() };
    sample.verdict.coverage.kinds = [("kill".to_owned(), kind)].into();
    sample.verdict.led = vec![LeaderChange { at: 1, leader: None, term: 0 }];
    sample.verdict.stopped_early = Some("after 1 s".into());
    serde_json::from_str(&json(&sample.run())).expect("it is JSON")
}

#[test]
fn verdict_matches_its_schema() {
    assert_matches("verdict", &full());
    for sample in [sample::valid(3), sample::unknown(3), sample::hostile("x")] {
        assert_matches("verdict", &serde_json::to_value(&sample.verdict).expect("JSON"));
    }
}

#[test]
fn suite_matches_its_schema() {
    assert_matches(
        "suite",
        &serde_json::to_value(records::suite::sample::sample_suite()).expect("JSON"),
    );
}

#[test]
fn schema_rejects_wrong_values() {
    let spoilt = |place: &str, value: Value| {
        let mut verdict = full();
        *verdict.pointer_mut(place).expect("it is there") = value;
        schema_violations("verdict", &verdict)
    };
    assert_eq!(
        spoilt("/validity", "perhaps".into()),
        ["/validity: \"perhaps\" does not fit enum [\"valid\",\"unknown\",\"invalid\"]"]
    );
    assert_eq!(
        spoilt("/counts/missed", (-1).into()),
        ["/counts/missed: -1 does not fit minimum 0"]
    );
    assert_eq!(spoilt("/schema_version", 2.into()).len(), 1);
    assert_eq!(spoilt("/reasons/0", Value::Null).len(), 1);
    assert_eq!(spoilt("/checks/0/witness/lanes", Value::Null).len(), 1);
    let mut verdict = full();
    let entries = verdict.as_object_mut().expect("an object");
    entries.remove("sentence");
    entries.insert("news".into(), 1.into());
    let wrong = schema_violations("verdict", &verdict);
    assert_eq!(wrong, [": \"sentence\" is missing", ": \"news\" is not described"]);
}
