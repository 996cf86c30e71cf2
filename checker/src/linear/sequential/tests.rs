//! Compares the search for sequential orders with one that tries them all.

use proptest::prelude::*;
use std::collections::BTreeMap;

use super::OpPosition;
use crate::check_by_name;
use crate::history::{History, Process, Value, notation};
use crate::linear::deep;
use crate::linear::partition::{ObjectHistory, partition};
use crate::linear::tests::{moves, play};
use crate::model::{CELLS, Model, find_model};
use crate::verdict::{Limits, Validity, Verdict};

fn ask(history: &History, model: &str) -> Verdict {
    check_by_name(history, model, &Limits { consistency: Some("sequential"), ..Limits::default() })
}

/// Whether the rest can follow, with the processes in any order.
fn explains(
    model: &dyn Model,
    objects: &[ObjectHistory<'_>],
    states: &[Value],
    left: &[Vec<OpPosition>],
) -> bool {
    let op = |place: OpPosition| &objects[place.0].ops[place.1];
    if left.iter().flatten().all(|place| op(*place).completed.is_none()) {
        return true;
    }
    (0..left.len()).any(|process| {
        let Some(place) = left[process].first().copied() else { return false };
        let Ok(after) = model.step(&states[place.0], &op(place).call) else { return false };
        let (mut states, mut left) = (states.to_vec(), left.to_vec());
        states[place.0] = after;
        left[process].remove(0);
        explains(model, objects, &states, &left)
    })
}

fn try_orders(history: &History, model: &dyn Model) -> bool {
    let objects = partition(history, model, Limits::default().keyed).expect("it suits the model");
    let mut processes: BTreeMap<Process, Vec<(u64, OpPosition)>> = BTreeMap::new();
    for (number, object) in objects.iter().enumerate() {
        for (place, op) in object.ops.iter().enumerate() {
            processes.entry(op.operation.process).or_default().push((op.invoked, (number, place)));
        }
    }
    let sorted = processes.into_values().map(|mut ops| {
        ops.sort_unstable();
        ops.into_iter().map(|(_, place)| place).collect()
    });
    explains(model, &objects, &vec![model.initial(); objects.len()], &sorted.collect::<Vec<_>>())
}

#[track_caller]
fn says(text: &str, expected: Validity) -> String {
    let history = notation::parse(text).expect("a history");
    let verdict = ask(&history, "register");
    assert_eq!(verdict.validity, expected, "{text}: {}", verdict.message);
    assert_eq!(
        try_orders(&history, find_model("register").expect("it is there")),
        expected == Validity::Valid
    );
    verdict.message
}

#[test]
fn a_stale_read_of_another_process_is_sequential() {
    says("0:w1; 0:ok; 0:w2; 0:ok; 1:r1; 1:ok; 1:r2; 1:ok", Validity::Valid);
    says("0:w1; 0:ok; 0:w2; 0:ok; 0:r1; 0:ok", Validity::Invalid);
}

#[test]
fn readers_that_disagree_about_the_order_are_not_sequential() {
    let writers = "0:w1; 0:ok; 1:w2; 1:ok; ";
    says(&format!("{writers}2:r1; 2:ok; 2:r2; 2:ok; 3:r1; 3:ok; 3:r2; 3:ok"), Validity::Valid);
    let message = says(
        &format!("{writers}2:r1; 2:ok; 2:r2; 2:ok; 3:r2; 3:ok; 3:r1; 3:ok"),
        Validity::Invalid,
    );
    assert!(message.contains("longest consistent prefix"), "{message}");
}

/// Dekker: each key has an order, and together they have none. Sequential consistency is not local.
#[test]
fn keys_valid_alone_can_be_invalid_together() {
    let text = "0:w1@x; 0:ok; 1:w1@y; 1:ok; 0:r@y; 0:ok; 1:r@x; 1:ok";
    says(text, Validity::Invalid);
    says("0:w1@x; 0:ok; 0:r@x; 0:ok", Validity::Invalid);
    says("0:w1@x; 0:ok; 1:r@x; 1:ok", Validity::Valid);
}

#[test]
fn a_write_of_unknown_outcome_explains_a_read_or_nothing() {
    says("0:w1; 0:info; 1:r1; 1:ok", Validity::Valid);
    says("0:w1; 0:info; 1:r; 1:ok", Validity::Valid);
    says("0:w1; 0:info; 1:r1; 1:ok; 1:r; 1:ok", Validity::Invalid);
}

#[test]
fn an_exceeded_budget_is_unknown() {
    let text = "0:w1; 0:ok; 1:w2; 1:ok; 2:r1; 2:ok; 2:r2; 2:ok; 3:r2; 3:ok; 3:r1; 3:ok";
    let history = notation::parse(text).expect("a history");
    let limits = Limits { consistency: Some("sequential"), memory_bytes: 100, ..Limits::default() };
    assert_eq!(check_by_name(&history, "register", &limits).validity, Validity::Unknown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(deep(1500)))]

    #[test]
    fn the_search_agrees_with_trying_every_order(which in 0..CELLS.len(), moves in moves(18)) {
        let history = play(CELLS[which].name(), &moves);
        let verdict = ask(&history, CELLS[which].name());
        let is_valid = verdict.validity == Validity::Valid;
        prop_assert_eq!(is_valid, try_orders(&history, CELLS[which]), "{}", verdict.message);
    }
}
