//! Checks the registry, and that reads change no state and static facts are true.

use super::{Call, EnabledIn, MODELS, Response};
use crate::history::Value;

#[test]
fn names_are_unique_sorted_kebab_case_and_documented() {
    let names = super::model_names();
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
    for model in MODELS {
        assert!(
            model.name().chars().all(|c| c.is_ascii_lowercase() || c == '-'),
            "{}",
            model.name()
        );
        assert!(model.doc().len() > 30, "{} explains itself", model.name());
        assert_eq!(super::find_model(model.name()).map(super::Model::name), Some(model.name()));
    }
}

const FUNCTIONS: &str = "read write cas get put append delete add remove contains enqueue dequeue \
                         push pop acquire release txn fly";

/// Every call over a small set of functions and values.
fn calls() -> Vec<Call> {
    let plain = [
        Value::Nil,
        Value::Int(1),
        "x".into(),
        Value::pair(1, 2),
        Value::pair("x", "y"),
        true.into(),
    ];
    let keyed = plain.iter().map(|value| Value::pair("k", value.clone()));
    let values: Vec<Value> = plain.iter().cloned().chain(keyed).collect();
    let mut calls = Vec::new();
    for f in FUNCTIONS.split(' ') {
        for input in &values {
            let outputs = values.iter().map(|output| Response::Output(output.clone()));
            for response in outputs.chain([Response::Mismatch, Response::Unknown]) {
                calls.push(Call { f: f.into(), input: input.clone(), response });
            }
        }
    }
    calls
}

#[test]
fn reads_change_no_state_and_failures_have_reasons() {
    for model in MODELS {
        let calls: Vec<Call> =
            calls().into_iter().filter(|it| model.validate(it).is_ok()).collect();
        let changes = calls.iter().filter_map(|call| model.step(&model.initial(), call).ok());
        let states: Vec<Value> = changes.chain([model.initial()]).collect();
        for call in calls.iter().filter(|call| model.is_read(call)) {
            for state in &states {
                match model.step(state, call) {
                    Ok(after) => assert_eq!(after, *state, "{} {call:?}", model.name()),
                    Err(why) => assert!(!why.is_empty()),
                }
            }
        }
    }
}

#[test]
fn static_facts_hold_in_every_state() {
    let k = Value::from("k");
    for model in MODELS {
        let one_key = |call: &Call| {
            !model.has_keys() || call.input.as_pair().is_some_and(|(key, _)| *key == k)
        };
        let calls: Vec<Call> =
            calls().into_iter().filter(|it| model.validate(it).is_ok() && one_key(it)).collect();
        let changes = calls.iter().filter_map(|call| model.step(&model.initial(), call).ok());
        let states: Vec<Value> = changes.chain([model.initial()]).collect();
        for (call, state) in calls.iter().flat_map(|call| states.iter().map(move |it| (call, it))) {
            let (shape, after) = (model.static_facts(call), model.step(state, call));
            match shape.enabled_in {
                EnabledIn::EveryState => {
                    assert!(after.is_ok(), "{} {call:?} {state}", model.name())
                }
                EnabledIn::OneState(one) => {
                    assert_eq!(after.is_ok(), one == *state, "{call:?} {state}")
                }
                EnabledIn::Unknown => {}
            }
            if let (Some(result), Ok(after)) = (shape.result, after)
                && !model.is_read(call)
            {
                assert_eq!(result, after, "{call:?} {state}");
            }
        }
    }
}

#[test]
fn a_determined_state_follows_from_every_state() {
    let mut met = std::collections::BTreeSet::new();
    for model in MODELS.iter().filter(|model| !model.has_keys()) {
        let calls: Vec<Call> =
            calls().into_iter().filter(|it| model.validate(it).is_ok()).collect();
        let step = |state: &Value| -> Vec<Value> {
            calls.iter().filter_map(|call| model.step(state, call).ok()).collect()
        };
        let once = step(&model.initial());
        let states = once.iter().flat_map(step).chain(once.clone()).chain([model.initial()]);
        for state in states.collect::<std::collections::BTreeSet<_>>() {
            for call in &calls {
                let (settled, after) =
                    (model.determines_state(call), model.step(&state, call).ok());
                if let (Some(settled), Some(after)) = (settled, after) {
                    assert_eq!(settled, after, "{} {call:?} {state}", model.name());
                    met.insert((model.name(), call.f.clone()));
                }
            }
        }
    }
    let met: Vec<String> = met.into_iter().map(|(model, f)| format!("{model} {f}")).collect();
    insta::assert_snapshot!(
        met.join(", "),
        @"cas-register cas, cas-register read, cas-register write, counter read, lock acquire, \
          lock release, register read, register write, versioned-register read, \
          versioned-register write"
    );
}

#[test]
fn an_impossible_read_stays_impossible_under_appends() {
    for model in MODELS {
        let calls: Vec<Call> =
            calls().into_iter().filter(|it| model.validate(it).is_ok()).collect();
        let changes = calls.iter().filter_map(|call| model.step(&model.initial(), call).ok());
        let states: Vec<Value> = changes.chain([model.initial()]).collect();
        for call in calls.iter().filter(|call| model.is_read(call)) {
            for state in states.iter().filter(|state| model.can_never_hold(state, call)) {
                assert!(model.step(state, call).is_err(), "{call:?} {state}");
                let same_key = |it: &&Call| {
                    it.input.as_pair().map(|it| it.0) == call.input.as_pair().map(|it| it.0)
                };
                for grow in calls.iter().filter(|it| model.only_appends(it)).filter(same_key) {
                    let after = model.step(state, grow);
                    assert!(
                        after.is_ok_and(|it| model.can_never_hold(&it, call)),
                        "{grow:?} {state}"
                    );
                }
            }
        }
    }
}
