//! Tries the transactional checks: each anomaly and its nearest legal neighbour, and a brute-force twin.

use super::{ListAppend, RwRegister, World};
use crate::check::{Check, Limits, Validity, Verdict};
use crate::history::{Event, History, Kind, Process, Value};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn value(json: &str) -> Value {
    serde_json::from_str(json).expect("JSON")
}

/// One line an event: kind, process, micro-operations.
fn history(lines: &[(Kind, u64, &str)]) -> History {
    let event = |(index, (kind, process, text)): (usize, &(Kind, u64, &str))| Event {
        index: index as u64,
        time: index as u64,
        kind: *kind,
        process: Process::Client(*process),
        f: "txn".to_owned(),
        value: value(text),
        node: None,
        error: None,
    };
    History::new(lines.iter().enumerate().map(event).collect()).expect("well-formed")
}

/// Transactions that all overlap, by process: what was asked is what came back with reads blanked.
fn together(txns: &[&str]) -> History {
    let mut lines = Vec::new();
    lines.extend((0..).zip(txns).map(|(process, text)| (Kind::Invoke, process, *text)));
    lines.extend((0..).zip(txns).map(|(process, text)| (Kind::Ok, process, *text)));
    history(&lines)
}

/// Transactions one after another, each of a process of its own.
fn in_turn(txns: &[&str]) -> History {
    let both = |(process, text): (u64, &&'static str)| {
        [(Kind::Invoke, process, *text), (Kind::Ok, process, *text)]
    };
    let txns: Vec<&'static str> =
        txns.iter().map(|text| &*Box::leak((*text).to_owned().into_boxed_str())).collect();
    history(&(0..).zip(&txns).flat_map(both).collect::<Vec<_>>())
}

fn append(history: &History) -> Verdict {
    ListAppend.check(history, &Limits::default())
}

fn register(history: &History) -> Verdict {
    RwRegister(World::Closed).check(history, &Limits::default())
}

fn anomalies(verdict: &Verdict) -> Vec<&str> {
    verdict.findings.iter().map(|finding| finding.name.as_str()).collect()
}

#[test]
fn each_anomaly_of_lists_is_found_and_its_neighbour_is_legal() {
    let none: [&str; 0] = [];
    let shown = |txns: &[&str]| anomalies(&append(&together(txns))).join(" ");
    assert_eq!(
        shown(&[
            r#"[["append",1,1],["append",2,1]]"#,
            r#"[["append",1,2],["append",2,2]]"#,
            r#"[["r",1,[1,2]]]"#,
            r#"[["r",2,[2,1]]]"#
        ]),
        "G0"
    );
    assert_eq!(
        shown(&[r#"[["append",1,1],["r",2,[1]]]"#, r#"[["append",2,1],["r",1,[1]]]"#]),
        "G1c"
    );
    assert_eq!(
        shown(&[
            r#"[["append",1,1],["append",2,1]]"#,
            r#"[["r",1,[1]],["r",2,[]]]"#,
            r#"[["r",2,[1]]]"#
        ]),
        "G-single"
    );
    assert_eq!(
        shown(&[
            r#"[["r",1,[]],["append",2,1]]"#,
            r#"[["r",2,[]],["append",1,1]]"#,
            r#"[["r",1,[1]],["r",2,[1]]]"#
        ]),
        "G2-item"
    );
    assert_eq!(
        shown(&[
            r#"[["r",1,[]],["append",1,1]]"#,
            r#"[["r",1,[]],["append",1,2]]"#,
            r#"[["r",1,[1,2]]]"#
        ]),
        "G-single lost-update"
    );
    assert_eq!(
        shown(&[r#"[["append",1,1],["append",1,2]]"#, r#"[["r",1,[1]]]"#, r#"[["r",1,[1,2]]]"#]),
        "G-single G1b"
    );
    assert_eq!(shown(&[r#"[["append",1,1],["r",1,[]]]"#]), "internal");
    assert_eq!(shown(&[r#"[["r",1,[7]]]"#]), "unwritten-value");
    assert_eq!(shown(&[r#"[["append",1,1]]"#, r#"[["r",1,[1,1]]]"#]), "duplicate-elements");
    assert_eq!(
        shown(&[
            r#"[["append",1,1]]"#,
            r#"[["append",1,2]]"#,
            r#"[["r",1,[1]]]"#,
            r#"[["r",1,[2]]]"#
        ]),
        "incompatible-order"
    );
    let legal =
        [r#"[["append",1,1],["r",2,[]]]"#, r#"[["append",2,1],["r",1,[1]]]"#, r#"[["r",2,[1]]]"#];
    assert_eq!(anomalies(&append(&together(&legal))), none);
}

#[test]
fn real_time_and_processes_count() {
    let stale = [r#"[["append",1,1]]"#, r#"[["r",1,[]]]"#, r#"[["r",1,[1]]]"#];
    assert_eq!(anomalies(&append(&in_turn(&stale))), ["G-single-realtime"]);
    assert_eq!(append(&together(&stale)).validity, Validity::Valid);
    let mut lines = vec![(Kind::Invoke, 9, r#"[["r",1,[1]]]"#)];
    for text in [stale[0], stale[1]] {
        lines.extend([(Kind::Invoke, 0, text), (Kind::Ok, 0, text)]);
    }
    lines.push((Kind::Ok, 9, r#"[["r",1,[1]]]"#));
    assert_eq!(anomalies(&append(&history(&lines))), ["G-single-process"]);
    let written = [r#"[["w",1,1]]"#, r#"[["w",1,2]]"#, r#"[["r",1,1]]"#];
    assert_eq!(anomalies(&register(&in_turn(&written))), ["G-single-realtime"]);
    assert_eq!(register(&together(&written)).validity, Validity::Valid);
}

#[test]
fn a_value_from_nowhere_is_wrong_only_where_everybody_is_known() {
    let history = in_turn(&[r#"[["w",1,2]]"#, r#"[["r",1,3]]"#]);
    assert_eq!(anomalies(&register(&history)), ["unwritten-value"]);
    let open = RwRegister(World::Open).check(&history, &Limits::default());
    assert_eq!(open.validity, Validity::Valid);
}

#[test]
fn what_nobody_knows_counts_only_where_it_was_seen() {
    let write = r#"[["append",1,1]]"#;
    let told = |end: &[(Kind, u64, &'static str)], read: &'static str| {
        let mut lines = vec![(Kind::Invoke, 0, write)];
        lines.extend(end);
        lines.extend([(Kind::Invoke, 1, read), (Kind::Ok, 1, read)]);
        append(&history(&lines))
    };
    let info = [(Kind::Info, 0, write)];
    assert_eq!(told(&info, r#"[["r",1,[]]]"#).validity, Validity::Valid);
    assert_eq!(told(&info, r#"[["r",1,[1]]]"#).validity, Validity::Valid);
    assert_eq!(anomalies(&told(&[(Kind::Fail, 0, write)], r#"[["r",1,[1]]]"#)), ["G1a"]);
}

#[test]
fn nonsense_is_unknown_and_says_where() {
    let twice = together(&[r#"[["append",1,1]]"#, r#"[["append",1,1]]"#]);
    let verdict = append(&twice);
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(
        verdict.sentence.starts_with("operation 1: 1 is appended to 1 a second time"),
        "{}",
        verdict.sentence
    );
    for text in ["7", r#"["r"]"#, r#"[["q",1,2]]"#, r#"[["r",1]]"#, r#"[["r",1,5]]"#] {
        assert_eq!(append(&together(&[text])).validity, Validity::Unknown, "{text}");
    }
}

#[test]
fn a_cycle_is_told_edge_by_edge() {
    let verdict = append(&together(&[
        r#"[["append",1,1],["append",2,1]]"#,
        r#"[["r",1,[1]],["r",2,[]]]"#,
        r#"[["r",2,[1]]]"#,
    ]));
    let steps: Vec<&str> =
        verdict.findings[0].steps.iter().map(|it| it.sentence.as_str()).collect();
    assert_eq!(
        steps,
        [
            "T1 (process 1) < T0 (process 0), because T1 (process 1) did not see T0 (process 0)'s append of 1 to 2",
            "T0 (process 0) < T1 (process 1), because T1 (process 1) saw T0 (process 0)'s append of 1 to 1: a contradiction",
        ]
    );
}

/// What each small transaction asks: reads and appends of two keys.
fn micro() -> impl Strategy<Value = (bool, i64)> {
    (any::<bool>(), 0..2_i64)
}

/// Plays transactions in a random interleaving against a store that sometimes lies; all reads are filled in.
fn play(txns: &[Vec<(bool, i64)>], order: &[usize], lie: usize) -> Vec<(usize, usize, Vec<Value>)> {
    let mut store: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    let mut fresh = 0;
    let mut played = Vec::new();
    for (place, number) in order.iter().enumerate() {
        let mut done = Vec::new();
        for (is_read, key) in &txns[*number] {
            let list = store.entry(*key).or_default();
            let (f, value) = if *is_read {
                // Odd places lack the last, even ones the first.
                let (first, last) = if place != lie {
                    (0, list.len())
                } else if lie % 2 == 1 {
                    (0, list.len().saturating_sub(1))
                } else {
                    (1.min(list.len()), list.len())
                };
                ("r", Value::List(list[first..last].to_vec()))
            } else {
                fresh += 1;
                list.push(Value::Int(fresh));
                ("append", Value::Int(fresh))
            };
            done.push(Value::List(vec![Value::from(f), Value::Int(*key), value]));
        }
        played.push((*number, place, done));
    }
    for key in 0..2 {
        let all = Value::List(store.get(&key).cloned().unwrap_or_default());
        let read = vec![Value::List(vec![Value::from("r"), Value::Int(key), all])];
        played.push((txns.len() + key as usize, order.len() + key as usize, read));
    }
    played
}

/// Whether some serial order explains every read: all orders are tried.
fn serializable(txns: &[Vec<Value>]) -> bool {
    fn try_all(left: &mut Vec<&Vec<Value>>, store: &BTreeMap<Value, Vec<Value>>) -> bool {
        left.is_empty()
            || (0..left.len()).any(|place| {
                let txn = left.remove(place);
                let mut next = store.clone();
                let fits = txn.iter().all(|micro| {
                    let Value::List(parts) = micro else { return false };
                    let list = next.entry(parts[1].clone()).or_default();
                    match (&parts[0], &parts[2]) {
                        (Value::Str(f), element) if f == "append" => {
                            list.push(element.clone());
                            true
                        }
                        (_, Value::List(read)) => read == list,
                        _ => false,
                    }
                });
                let found = fits && try_all(left, &next);
                left.insert(place, txn);
                found
            })
    }
    try_all(&mut txns.iter().collect(), &BTreeMap::new())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// All overlap, so strict serializability is serializability; the last reads show every element, so the order
    /// of versions is known and the check is exact.
    #[test]
    fn lists_are_judged_as_the_twin_does(
        txns in prop::collection::vec(prop::collection::vec(micro(), 1..4), 1..5),
        keys in any::<[u8; 5]>(),
        lie in 0..8_usize,
    ) {
        let mut order: Vec<usize> = (0..txns.len()).collect();
        order.sort_by_key(|number| keys[*number]);
        let played = play(&txns, &order, lie);
        let texts: Vec<String> = played
            .iter()
            .map(|(.., done)| serde_json::to_string(&Value::List(done.clone())).expect("JSON"))
            .collect();
        let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
        let done: Vec<Vec<Value>> = played.into_iter().map(|(.., done)| done).collect();
        let verdict = append(&together(&refs));
        let expected = if serializable(&done) { Validity::Valid } else { Validity::Invalid };
        prop_assert_eq!(verdict.validity, expected, "{:?} {}", texts, verdict.sentence);
        // In the order in which they were played, a store that did not lie is strict, too.
        if lie >= txns.len() {
            prop_assert_eq!(append(&in_turn(&refs)).validity, Validity::Valid);
        }
    }
}
