//! Compares online checks with the checks of whole histories, prefix by prefix.

use proptest::prelude::*;

use super::super::tests::random::{DrawnCall, RandomDraw, history};
use crate::history::{Event, History, Value, jsonl};
use crate::registry::{CHECKS, OFFLINE_ONLY, ONLINE_CHECKS, start_online_check};
use crate::{Limits, check_by_name, model};

/// The index of the event at which the online check finds a violation.
fn convicted_at(check: &str, events: &[Event]) -> Option<u64> {
    let mut online = start_online_check(check, Limits::default()).expect("it has an online form");
    events.iter().find_map(|event| online.add_event(event)).map(|anomaly| anomaly.index)
}

/// Whether the check of a whole history finds one of these anomalies.
fn is_wrong(check: &str, events: &[Event], kinds: &[&str]) -> bool {
    let history = History::new(events.to_vec()).expect("a prefix is well-formed");
    let verdict = check_by_name(&history, check, &Limits::default());
    verdict.findings.iter().any(|finding| kinds.contains(&finding.name.as_str()))
}

/// The first event at which the check of the prefix finds one of the anomalies that are final.
fn first_wrong(check: &str, events: &[Event], kinds: &[&str]) -> Option<u64> {
    let wrong = |length: &usize| is_wrong(check, &events[..*length], kinds);
    (1..=events.len()).find(wrong).map(|length| events[length - 1].index)
}

/// The online check convicts at the first prefix that is wrong, and the whole history is wrong.
fn agrees(check: &str, kinds: &[&str], history: &History) -> Result<bool, TestCaseError> {
    let events = history.events();
    let (found, text) = (convicted_at(check, events), jsonl::write(history));
    prop_assert_eq!(found, first_wrong(check, events, kinds), "{}:\n{}", check, text);
    let final_too = found.is_none() || is_wrong(check, events, kinds);
    prop_assert!(final_too, "{check} did not stand:\n{text}");
    Ok(found.is_some())
}

type Draw = fn(&mut RandomDraw) -> DrawnCall;

/// A check, the anomalies that its online form covers, and calls that violate it now and then.
const COVERED: &[(&str, &[&str], Draw)] = &[
    ("bank", &["wrong-total", "negative-balance", "missing-balance"], draw_bank),
    ("counter-bounds", &["out-of-bounds"], draw_counter),
    ("echo", &["altered"], |draw| {
        let value = Value::from(draw.below(9).cast_signed());
        let output = if draw.below(12) == 0 { Value::Nil } else { value.clone() };
        ("echo", value, output)
    }),
    ("eventual-set", &["unexpected", "duplicated"], draw_set),
    ("fenced-lock", &["two-holders", "token-reused", "token-order"], draw_lock),
    ("long-fork", &["long-fork"], draw_fork),
    ("monotonic", &["non-monotonic-realtime", "non-monotonic-session"], draw_growth),
    ("queue", &["unexpected", "duplicated"], draw_queue),
    ("set-full", &["unexpected", "duplicated"], draw_set),
    ("set-full-linearizable", &["lost", "stale", "unexpected", "duplicated"], draw_set),
    ("total-queue", &["unexpected"], draw_queue),
    ("unique-ids", &["duplicate-id"], |draw| {
        ("generate", Value::Nil, Value::from(draw.below(30).cast_signed()))
    }),
];

fn number(draw: &mut RandomDraw, limit: u64) -> Value {
    Value::from(draw.below(limit).cast_signed())
}

fn draw_bank(draw: &mut RandomDraw) -> DrawnCall {
    if draw.below(3) == 0 {
        let amounts = ["from", "to", "amount"].map(|name| (name.to_owned(), Value::Int(1)));
        let transfer = Value::map(amounts);
        return ("transfer", transfer.clone(), transfer);
    }
    let low = draw.below(5).cast_signed() - i64::from(draw.below(15) == 0) * 9;
    let total = if draw.below(12) == 0 { 11 } else { 10 };
    let other = if draw.below(20) == 0 { Value::Nil } else { Value::Int(total - low) };
    ("read", Value::Nil, Value::map([("0".to_owned(), Value::Int(low)), ("1".to_owned(), other)]))
}

fn draw_counter(draw: &mut RandomDraw) -> DrawnCall {
    let amount = draw.below(5).cast_signed() - 1;
    match draw.below(2) {
        0 => ("add", Value::Int(amount), Value::Int(amount)),
        _ => ("read", Value::Nil, number(draw, 9)),
    }
}

fn draw_set(draw: &mut RandomDraw) -> DrawnCall {
    let element = number(draw, 4);
    if draw.below(2) == 0 {
        return ("add", element.clone(), element);
    }
    let mut elements: Vec<_> = (0..4).filter(|_| draw.below(3) > 0).map(Value::Int).collect();
    if draw.below(12) == 0 {
        elements.push(element);
    }
    ("read", Value::Nil, Value::from(elements))
}

fn draw_lock(draw: &mut RandomDraw) -> DrawnCall {
    let (lock, holder) = (number(draw, 2), number(draw, 2));
    let input = Value::pair(lock.clone(), holder);
    match draw.below(2) {
        0 => ("release", input.clone(), input),
        _ if draw.below(2) == 0 => ("acquire", input.clone(), input),
        _ => ("acquire", input, Value::pair(lock, Value::map([token(draw)]))),
    }
}

fn token(draw: &mut RandomDraw) -> (String, Value) {
    ("token".to_owned(), number(draw, 40))
}

/// Reads of two keys, and writes of others: a key is written once.
fn draw_fork(draw: &mut RandomDraw) -> DrawnCall {
    let step =
        |f: &str, key: i64, value: Value| Value::from(vec![Value::from(f), Value::Int(key), value]);
    if draw.below(4) == 0 {
        let write = Value::from(vec![step("w", 2 + draw.0.cast_signed().abs(), Value::Int(1))]);
        return ("write", write.clone(), write);
    }
    let seen = [0, 1, 2, 2, 3, 3, 3][draw.below(7) as usize];
    let read = |key: i64, is_seen: bool| {
        let value = if is_seen { Value::Int(1) } else { Value::Nil };
        step("r", key, value)
    };
    let output = Value::from(vec![read(0, seen & 1 > 0), read(1, seen & 2 > 0)]);
    let input = Value::from(vec![read(0, false), read(1, false)]);
    ("read", input, output)
}

fn draw_growth(draw: &mut RandomDraw) -> DrawnCall {
    let mut number = || Value::from((draw.below(4) * draw.below(4)).cast_signed());
    let (one, other) = (number(), number());
    match draw.below(4) {
        0 => ("inc", Value::from("x"), Value::Nil),
        1 => ("read", Value::Nil, one),
        _ => ("read", Value::Nil, Value::map([("x".to_owned(), one), ("y".to_owned(), other)])),
    }
}

fn draw_queue(draw: &mut RandomDraw) -> DrawnCall {
    let element = number(draw, 3);
    match draw.below(9) {
        0 => ("drain", Value::Nil, Value::from(vec![element.clone(), element])),
        1 => ("dequeue", Value::Nil, Value::Nil),
        2..5 => ("dequeue", Value::Nil, element),
        _ => ("enqueue", element.clone(), element),
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 400,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_online_check_agrees_with_the_check_of_every_prefix(seed: u64, events in 2_usize..40) {
        for (check, kinds, draw) in COVERED {
            agrees(check, kinds, &history(seed, events, &mut |random| draw(random)))?;
        }
    }
}

#[test]
fn every_covered_anomaly_occurs_in_random_histories() {
    for (check, kinds, draw) in COVERED {
        for kind in *kinds {
            let occurs = |seed: u64| {
                let history = history(seed, 24, &mut |random| draw(random));
                is_wrong(check, history.events(), &[kind])
            };
            let times = (0..400).filter(|seed| occurs(*seed)).count();
            assert!(times > 2, "{check}: {kind} occurred {times} times");
        }
    }
}

#[test]
fn every_check_is_either_online_or_says_why_not() {
    let online = ONLINE_CHECKS.iter().map(|(name, _)| *name);
    assert!(ONLINE_CHECKS.is_sorted_by_key(|(name, _)| *name));
    assert!(OFFLINE_ONLY.is_sorted_by_key(|(name, _)| *name));
    let mut names: Vec<_> = online.chain(OFFLINE_ONLY.iter().map(|(name, _)| *name)).collect();
    names.sort_unstable();
    let checks: Vec<_> = CHECKS.iter().map(|check| check.name()).collect();
    let mut sorted = checks.clone();
    sorted.sort_unstable();
    assert_eq!(names, sorted);
    for model in model::model_names() {
        assert!(start_online_check(model, Limits::default()).is_ok(), "{model}");
    }
    let why = start_online_check("stats", Limits::default()).err();
    assert_eq!(why.as_deref(), Some("stats counts the outcomes of the whole history"));
    assert!(start_online_check("nonsense", Limits::default()).is_err());
}

#[test]
fn what_cannot_be_interpreted_is_not_judged_further() {
    let lines = r#"
        {"type":"invoke","process":0,"f":"generate"}
        {"type":"ok","process":0,"f":"generate","value":1}
        {"type":"invoke","process":0,"f":"unknown"}
        {"type":"ok","process":0,"f":"unknown"}
        {"type":"invoke","process":0,"f":"generate"}
        {"type":"ok","process":0,"f":"generate","value":1}
    "#;
    let history = jsonl::parse(lines).expect("well-formed").history;
    assert_eq!(convicted_at("unique-ids", history.events()), None);
    let without: Vec<_> =
        history.events().iter().filter(|event| event.f != "unknown").cloned().collect();
    assert_eq!(convicted_at("unique-ids", &without), Some(5));
}
