//! Checks laws that verdicts obey without a reference, and that budgets are kept.

use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::deep;
use super::engine::Budget;
use super::partition::{ObjectOp, partition};
use super::search::SearchQuery;
use super::tests::{moves, play};
use crate::check_linearizable;
use crate::history::{Event, History, Kind, Operation, Process, Real, Value, jsonl, notation};
use crate::model::{self, CELLS as MODELS, Call, Response};
use crate::verdict::{Keyed, Limits, Validity, Verdict};

fn judge(history: &History, model: &str) -> Verdict {
    check_linearizable(history, model, &Limits::default())
}

/// The same history, with each event changed.
fn changed(history: &History, change: impl FnMut(Event) -> Event) -> History {
    let events = history.events().iter().cloned().map(change).collect();
    History::new(events).expect("as well-formed as before")
}

/// The other of the two keys that [`play`] uses.
fn other_key(value: &Value) -> Value {
    match value.as_pair() {
        Some((Value::Int(key), rest)) => Value::pair(Value::Int(1 - key), rest.clone()),
        _ => value.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(deep(600)))]

    #[test]
    fn renamed_keys_and_shifted_times_keep_the_verdict(
        which in 0..MODELS.len(),
        moves in moves(40),
    ) {
        let model = MODELS[which].name();
        let history = play(model, &moves);
        let renamed = changed(&history, |event| Event { value: other_key(&event.value), ..event });
        let later = changed(&history, |event| Event {
            index: event.index * 3 + 7,
            time: event.time + 5_000_000_000,
            ..event
        });
        let validity = judge(&history, model).validity;
        prop_assert_eq!(judge(&renamed, model).validity, validity);
        prop_assert_eq!(judge(&later, model).validity, validity);
    }

    #[test]
    fn an_unknown_operation_keeps_a_valid_history_valid(
        which in 0..MODELS.len(),
        moves in moves(30),
        at in 0..30usize,
        value in 0..3i64,
    ) {
        let model = MODELS[which].name();
        let history = play(model, &moves);
        let mut events = history.events().to_vec();
        let at = at.min(events.len());
        let (f, value) =
            if model == "kv" { ("put", Value::from("a")) } else { ("write", value.into()) };
        let event = Event {
            index: 0, time: 0, kind: Kind::Invoke, process: Process::Client(9000), f: f.into(),
            value: Value::pair(0, value), node: None, error: None,
        };
        events.insert(at, event);
        (0..).zip(&mut events).for_each(|(index, event)| event.index = index);
        let more = History::new(events).expect("a process of its own");
        if judge(&history, model).validity == Validity::Valid {
            prop_assert_eq!(judge(&more, model).validity, Validity::Valid);
        }
    }

    #[test]
    fn removing_a_read_keeps_a_valid_history_valid(
        which in 0..MODELS.len(),
        moves in moves(40),
        drop in 0..20usize,
    ) {
        let model = MODELS[which].name();
        let history = play(model, &moves);
        let is_read = |it: &&Operation| matches!(it.f.as_str(), "read" | "get");
        let reads = history.operations().iter().filter(is_read);
        let Some(read) = reads.clone().nth(drop % reads.count().max(1)) else { return Ok(()) };
        let gone = [Some(read.invoked.index), read.completion.as_ref().map(|it| it.at.index)];
        let left = history.events().iter().filter(|event| !gone.contains(&Some(event.index)));
        let less = History::new(left.cloned().collect()).expect("whole operations are gone");
        if judge(&history, model).validity == Validity::Valid {
            prop_assert_eq!(judge(&less, model).validity, Validity::Valid);
        }
    }

    #[test]
    fn a_history_can_be_split_where_nothing_is_open(which in 0..MODELS.len(), moves in moves(40)) {
        let model = MODELS[which];
        let history = play(model.name(), &moves);
        let limits = Limits::default();
        for object in &partition(&history, model, Keyed::Auto).expect("it suits the model") {
            let ask = |initial: &[Value], ops: &[ObjectOp<'_>]| {
                let query = SearchQuery::new(model, initial, ops, Budget::from_limits(&limits));
                query.decide().answer.is_ok()
            };
            let start = [model.initial()];
            let whole = ask(&start, &object.ops);
            for at in 1..object.ops.len() {
                let (before, after) = object.ops.split_at(at);
                let begins = after[0].invoked;
                if !before.iter().all(|op| op.completed.is_some_and(|end| end < begins)) {
                    continue;
                }
                let query = SearchQuery::new(model, &start, before, Budget::from_limits(&limits));
                let mut walk = query.walk_open_ended();
                let mut legal = true;
                while legal && walk.next_event().is_some() {
                    legal = walk.advance().is_ok();
                }
                prop_assert_eq!(whole, legal && ask(&walk.prefix_states().states, after));
            }
        }
    }
}

/// A key with many possible sums, but not the one that was read; then one that is plainly wrong.
fn hard_and_wrong() -> History {
    let invoke = |process: u64, f: &str, value: &str| {
        format!("{{\"type\":\"invoke\",\"process\":{process},\"f\":\"{f}\",\"value\":{value}}}\n")
    };
    let ok = |process: u64, f: &str, value: &str| invoke(process, f, value).replace("invoke", "ok");
    let mut text = String::new();
    for process in 0..18 {
        text += &invoke(process, "add", &format!("[\"hard\",{}]", 3_i64.pow(process as u32)));
    }
    text += &(invoke(20, "read", "[\"hard\",null]") + &ok(20, "read", "[\"hard\",2]"));
    text += &(invoke(20, "add", "[\"easy\",1]") + &ok(20, "add", "[\"easy\",1]"));
    text += &(invoke(20, "read", "[\"easy\",null]") + &ok(20, "read", "[\"easy\",5]"));
    jsonl::parse(text).expect("JSON lines").history
}

#[test]
fn a_hard_object_does_not_hide_a_violation() {
    let history = hard_and_wrong();
    let asked = AtomicUsize::new(0);
    let expired = || asked.fetch_add(1, Ordering::Relaxed) > 100;
    let limits = Limits { expired: &expired, ..Limits::default() };
    let verdict = check_linearizable(&history, "counter", &limits);
    assert_eq!(verdict.validity, Validity::Invalid, "{}", verdict.message);
    assert_eq!((verdict.stats.invalid_keys, verdict.stats.unknown_keys), (1, 1));
    assert!(verdict.message.contains("easy") && verdict.witness.is_some(), "{}", verdict.message);
}

#[test]
fn the_number_of_threads_does_not_affect_a_limited_verdict() {
    let history = hard_and_wrong();
    let told = |jobs| {
        let limits = Limits { jobs, memory_bytes: 1 << 20, ..Limits::default() };
        let Verdict { validity, message, stats, .. } =
            check_linearizable(&history, "counter", &limits);
        (validity, message, stats.unknown_keys, stats.configurations)
    };
    let alone = told(1);
    assert!((2..5).all(|jobs| told(jobs) == alone), "{alone:?}");
}

#[test]
fn a_violation_is_explained_even_after_the_time_limit() {
    let history = notation::parse("w1 ok; w2 ok; r1 ok").expect("a history");
    let asked = AtomicUsize::new(0);
    // The monitor polls once; every later poll finds that time is up.
    let expired = || asked.fetch_add(1, Ordering::Relaxed) > 0;
    let limits = Limits { expired: &expired, ..Limits::default() };
    let verdict = check_linearizable(&history, "register", &limits);
    assert_eq!(verdict.validity, Validity::Invalid);
    assert!(verdict.witness.is_some(), "{}", verdict.message);
}

#[test]
fn partly_keyed_histories_ask_for_the_keyed_option() {
    let mixed = notation::parse("w1@a ok; r1@a ok; w2 ok").expect("a history");
    let verdict = judge(&mixed, "register");
    assert_eq!(verdict.validity, Validity::Unknown);
    assert!(verdict.message.contains("--keyed yes"), "{}", verdict.message);
    let whole = Limits { keyed: Keyed::No, ..Limits::default() };
    assert_ne!(check_linearizable(&mixed, "register", &whole).validity, Validity::Unknown);
}

#[test]
fn a_mismatch_of_a_plain_write_is_a_failure() {
    let history = notation::parse("w1 ok; w2 mismatch; r1 ok").expect("a history");
    assert_eq!(judge(&history, "register").validity, Validity::Valid);
    let history = notation::parse("w1 ok; w2 mismatch; r2 ok").expect("a history");
    assert_eq!(judge(&history, "register").validity, Validity::Invalid);
    let nonsense = notation::parse("w1 ok; cas[1 2] mismatch").expect("a history");
    assert_eq!(judge(&nonsense, "register").validity, Validity::Unknown);
}

#[test]
fn an_integer_never_equals_a_real_number() {
    let register = model::find_model("register").expect("it is there");
    let response = Response::Output(Value::Real(Real(1.0)));
    let read = Call { f: "read".into(), input: Value::Nil, response };
    let why = register.step(&Value::Int(1), &read).expect_err("it is wrong");
    assert_eq!(
        why,
        "it read 1, but the register held 1: one is an integer and one a real number, which are \
         never equal"
    );
}
