//! Changes that must not matter: other names, other orders of what is independent, fewer reads.

use proptest::prelude::{ProptestConfig, any};
use proptest::proptest;

use super::twin::wrong;
use super::{lists, names};
use crate::check::Validity;
use crate::history::{Event, History, Value};

/// The same history with every micro-operation changed.
fn changed(history: &History, change: impl Fn(&Event, &[Value]) -> Vec<Value>) -> History {
    let mut events = history.events().to_vec();
    for event in &mut events {
        if let Value::List(steps) = &event.value {
            event.value = Value::from(change(event, steps));
        }
    }
    History::new(events).expect("well-formed")
}

fn parts(step: &Value) -> &[Value] {
    match step {
        Value::List(parts) => parts,
        _ => &[],
    }
}

fn counts(history: &History) -> Vec<(String, usize)> {
    let verdict = lists(history);
    let mut counts: Vec<_> =
        verdict.findings.into_iter().map(|finding| (finding.name, finding.count)).collect();
    counts.sort_unstable();
    counts
}

/// 0 is 1, and 1 is 0 and text.
fn renamed(history: &History) -> History {
    changed(history, |_, steps| {
        let rename = |step: &Value| match parts(step) {
            [f, Value::Int(key), value] => {
                Value::from(vec![f.clone(), Value::from(format!("key {}", 1 - key)), value.clone()])
            }
            _ => step.clone(),
        };
        steps.iter().map(rename).collect()
    })
}

/// Within each transaction one key after the other.
fn sorted(history: &History) -> History {
    changed(history, |_, steps| {
        let mut steps = steps.to_vec();
        steps.sort_by_key(|step| parts(step)[1].clone());
        steps
    })
}

/// Without the read of that number in the transaction of that number.
fn without(history: &History, transaction: usize, place: usize) -> Option<History> {
    let operation = history.operations().get(transaction)?;
    let Value::List(steps) = &operation.input else { return None };
    if steps.len() < 2 || parts(steps.get(place)?)[0] != Value::from("r") {
        return None;
    }
    let ends = operation.completion.as_ref().map(|completion| completion.at.index);
    Some(changed(history, |event, steps| {
        let is_part = event.index == operation.invoked.index || Some(event.index) == ends;
        let kept = steps.iter().enumerate().filter(|(at, _)| !is_part || *at != place);
        kept.map(|(_, step)| step.clone()).collect()
    }))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn other_names_and_orders_of_independent_keys_change_nothing(seed in any::<u64>(), transactions in 1..40_usize) {
        let history = wrong(seed, transactions);
        assert_eq!(counts(&history), counts(&renamed(&history)));
        assert_eq!(counts(&history), counts(&sorted(&history)));
    }

    #[test]
    fn fewer_reads_make_nothing_wrong(seed in any::<u64>(), transactions in 2..10_usize) {
        let history = wrong(seed, transactions);
        if lists(&history).validity != Validity::Valid {
            return Ok(());
        }
        for (transaction, place) in (0..transactions).flat_map(|one| (0..3).map(move |place| (one, place))) {
            if let Some(fewer) = without(&history, transaction, place) {
                assert_eq!(names(&lists(&fewer)), "");
            }
        }
    }
}
