//! Tests invariants: names, the order of independent operations, and fewer reads.

use proptest::prelude::{ProptestConfig, any};
use proptest::proptest;

use super::brute_force::wrong;
use super::{ALL, lists, names, registers, registers_by};
use crate::history::{Event, History, Kind, Process, Value};
use crate::txn::{Inference, RwRegister, UnknownWriters};
use crate::verdict::{Check, Limits, Validity, Verdict};

/// The history with changed micro-operations.
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

fn counts(verdict: Verdict) -> Vec<(String, usize)> {
    let mut counts: Vec<_> =
        verdict.findings.into_iter().map(|finding| (finding.name, finding.count)).collect();
    counts.sort_unstable();
    counts
}

/// Swaps the keys 0 and 1, and makes them text.
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

/// Sorts the micro-operations of each transaction by key.
fn sorted(history: &History) -> History {
    changed(history, |_, steps| {
        let mut steps = steps.to_vec();
        steps.sort_by_key(|step| parts(step)[1].clone());
        steps
    })
}

/// Removes one read of one transaction.
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

/// Changes times, clients and elements.
fn elsewhere(history: &History) -> History {
    let element = |value: &Value| match value {
        Value::Int(number) => Value::from(format!("it is {number}")),
        other => other.clone(),
    };
    let changed = changed(history, |_, steps| {
        let rename = |step: &Value| match parts(step) {
            [f, key, Value::List(items)] => {
                let items = Value::List(items.iter().map(element).collect());
                Value::from(vec![f.clone(), key.clone(), items])
            }
            [f, key, value] => Value::from(vec![f.clone(), key.clone(), element(value)]),
            _ => step.clone(),
        };
        steps.iter().map(rename).collect()
    });
    let mut events = changed.events().to_vec();
    for event in &mut events {
        (event.index, event.time) = (3 * event.index + 7, event.time + 5_000_000_000);
        if let Process::Client(number) = event.process {
            event.process = Process::Client(1_000_000 - number);
        }
    }
    History::new(events).expect("well-formed")
}

/// Inserts an indeterminate transaction.
fn with_unknown(history: &History, seed: u64, write: &str) -> History {
    let mut events = history.events().to_vec();
    let step =
        |f: &str, key: i64, value: Value| Value::from(vec![Value::from(f), Value::Int(key), value]);
    let steps = vec![
        step("r", 1, Value::Nil),
        step(write, 0, Value::Int(999)),
        step(write, 1, Value::Int(998)),
    ];
    let (process, f, kind) = (Process::Client(9000), "txn".into(), Kind::Invoke);
    let value = Value::from(steps);
    let event = Event { index: 0, time: 0, kind, process, f, value, node: None, error: None };
    events.insert(seed as usize % (events.len() + 1), event);
    for (index, event) in (0..).zip(&mut events) {
        (event.index, event.time) = (index, index);
    }
    History::new(events).expect("well-formed")
}

/// Makes every `one_in`-th read return an unwritten value; none if that is 0.
fn lying(history: &History, one_in: u64) -> History {
    changed(history, |event, steps| {
        let lie = |(place, step): (usize, &Value)| match parts(step) {
            [Value::Str(f), key, _] if f == "r" && event.kind == Kind::Ok => {
                let lies = one_in > 0 && (event.index + place as u64).is_multiple_of(one_in);
                let told = Value::Int(7000 + event.index as i64 * 10 + place as i64);
                if lies {
                    Value::from(vec![Value::from("r"), key.clone(), told])
                } else {
                    step.clone()
                }
            }
            _ => step.clone(),
        };
        steps.iter().enumerate().map(lie).collect()
    })
}

/// The number of committed reads that return a value which no transaction wrote to the key.
fn from_nowhere(history: &History) -> usize {
    let steps = |value: &Value| match value {
        Value::List(steps) => steps.to_vec(),
        _ => Vec::new(),
    };
    let written = |key: &Value, value: &Value| {
        history.operations().iter().flat_map(|it| steps(&it.input)).any(|step| {
            let parts = parts(&step);
            parts[0] == Value::from("w") && parts[1] == *key && parts[2] == *value
        })
    };
    let committed = history.operations().iter().filter(|it| it.is_ok());
    let answers = committed.filter_map(|it| it.completion.as_ref()).map(|it| steps(&it.output));
    let of = |steps: Vec<Value>| {
        let unwritten = |step: &&Value| match parts(step) {
            [f, key, value] => {
                *f == Value::from("r") && *value != Value::Nil && !written(key, value)
            }
            _ => false,
        };
        steps.iter().filter(unwritten).count()
    };
    answers.map(of).sum()
}

/// Every inference rule, or only the default.
fn rules(inferred: bool) -> Inference {
    if inferred { ALL } else { Inference::default() }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 1000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn other_names_and_orders_of_independent_keys_change_nothing(
        seed in any::<u64>(),
        transactions in 1..40_usize,
    ) {
        let history = wrong(seed, transactions);
        let wanted = counts(lists(&history));
        assert_eq!(wanted, counts(lists(&renamed(&history))));
        assert_eq!(wanted, counts(lists(&sorted(&history))));
    }

    #[test]
    fn times_and_names_of_clients_and_elements_change_nothing(
        seed in any::<u64>(),
        transactions in 1..40_usize,
    ) {
        let history = wrong(seed, transactions);
        assert_eq!(counts(lists(&history)), counts(lists(&elsewhere(&history))));
    }

    #[test]
    fn registers_obey_the_same_laws(
        seed in any::<u64>(),
        transactions in 1..40_usize,
        inferred in any::<bool>(),
    ) {
        let history = registers(&wrong(seed, transactions));
        let judge = |history: &History| counts(registers_by(history, rules(inferred)));
        let wanted = judge(&history);
        assert_eq!(wanted, judge(&renamed(&history)));
        assert_eq!(wanted, judge(&sorted(&history)));
        assert_eq!(wanted, judge(&elsewhere(&history)));
    }

    #[test]
    fn less_evidence_adds_no_register_anomaly(
        seed in any::<u64>(),
        transactions in 2..10_usize,
        inferred in any::<bool>(),
    ) {
        let history = registers(&wrong(seed, transactions));
        let judge = |history: &History| registers_by(history, rules(inferred));
        if judge(&history).validity != Validity::Valid {
            return Ok(());
        }
        let places = (0..transactions).flat_map(|one| (0..3).map(move |place| (one, place)));
        for (transaction, place) in places {
            if let Some(fewer) = without(&history, transaction, place) {
                assert_eq!(names(&judge(&fewer)), "");
            }
        }
        assert_eq!(names(&judge(&with_unknown(&history, seed, "w"))), "");
    }

    /// The brute-force check of unwritten reads.
    #[test]
    fn unwritten_reads_agree_with_a_comparison_of_all_reads_and_writes(
        seed in any::<u64>(),
        transactions in 1..20_usize,
        lies in 0..8_u64,
    ) {
        let history = lying(&registers(&wrong(seed, transactions)), lies);
        let verdict = RwRegister(UnknownWriters::Forbidden).check(&history, &Limits::default());
        let found = verdict.findings.iter().find(|finding| finding.name == "unwritten-read");
        assert_eq!(found.map_or(0, |finding| finding.count), from_nowhere(&history), "{history:?}");
    }

    #[test]
    fn an_indeterminate_transaction_adds_no_anomaly(
        seed in any::<u64>(),
        transactions in 2..20_usize,
    ) {
        let history = wrong(seed, transactions);
        if lists(&history).validity == Validity::Valid {
            assert_eq!(names(&lists(&with_unknown(&history, seed, "append"))), "");
        }
    }

    #[test]
    fn fewer_reads_add_no_anomaly(seed in any::<u64>(), transactions in 2..10_usize) {
        let history = wrong(seed, transactions);
        if lists(&history).validity != Validity::Valid {
            return Ok(());
        }
        let places = (0..transactions).flat_map(|one| (0..3).map(move |place| (one, place)));
        for (transaction, place) in places {
            if let Some(fewer) = without(&history, transaction, place) {
                assert_eq!(names(&lists(&fewer)), "");
            }
        }
    }
}
