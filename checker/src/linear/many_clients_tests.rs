//! Compares every search with brute force where many equal operations are open at once, some of
//! unknown outcome. These cases exercise the pruning rules of the engine most.

use proptest::prelude::*;
use proptest::sample::Index;

use super::deep;
use super::engine::{Budget, Stop};
use super::partition::{ObjectOp, partition};
use super::search::SearchQuery;
use super::{brute_force, certificate};
use crate::bench::HistoryRecipe;
use crate::history::{Event, History, Kind, MISMATCH, Process, Value, jsonl};
use crate::model::{self, Model};
use crate::verdict::{Keyed, Limits, Validity};
use crate::{check_linearizable, linearize};

/// The only call of a client: a function, two values, and its outcome.
type CrowdCall = (u8, (i64, i64), u8);

/// Calls, and the positions of their two events.
type Crowd = Vec<(CrowdCall, (Index, Index))>;

fn deeds(most: usize) -> impl Strategy<Value = Crowd> {
    let deed = (0..8u8, (0..4i64, 0..4i64), 0..7u8);
    prop::collection::vec((deed, any::<(Index, Index)>()), 1..=most)
}

fn value(model: &str, number: i64) -> Value {
    match (model, number) {
        ("kv", 0) => Value::Nil,
        ("kv", number) => Value::from(["", "a", "aa"][number as usize % 3]),
        (_, number) => (number % 3).into(),
    }
}

/// A client's call and how it ended: ok, unknown or mismatch.
fn call(model: &str, f: u8, (first, second): (i64, i64), end: u8) -> (Value, Event) {
    let (first, second) = (value(model, first), value(model, second));
    let (f, input, output) = match (model, f) {
        (_, 0..=2) => ("read", Value::Nil, first),
        ("register", _) | (_, 3..=4) => ("write", first.clone(), first),
        ("kv", 5..=6) => ("append", Value::from("a"), Value::from("a")),
        ("kv", _) if first == Value::Nil => ("delete", Value::Nil, Value::Nil),
        _ => {
            let pair = Value::pair(first, second);
            ("cas", pair.clone(), pair)
        }
    };
    let keyed = |value| if model == "kv" { Value::pair("k", value) } else { value };
    let (kind, error) = match (f, end) {
        (_, 0..=1) => (Kind::Info, None),
        ("cas" | "delete", 2..=3) => (Kind::Fail, Some(Value::from(MISMATCH))),
        _ => (Kind::Ok, None),
    };
    let value = if kind == Kind::Ok { keyed(output) } else { keyed(input.clone()) };
    let process = Process::Nemesis;
    let end = Event { index: 0, time: 0, kind, process, f: f.into(), value, node: None, error };
    (keyed(input), end)
}

/// A history in which each client makes one call, with events at random positions.
fn crowd(model: &str, crowd: &Crowd) -> History {
    let mut order: Vec<usize> = Vec::new();
    for (client, (_, (begin, end))) in crowd.iter().enumerate() {
        for place in [begin, end] {
            order.insert(place.index(order.len() + 1), client);
        }
    }
    let deeds: Vec<CrowdCall> = crowd.iter().map(|(deed, _)| *deed).collect();
    strewn(model, &deeds, &order)
}

/// The answers by breadth with each width, and by depth alone.
fn answers(history: &History, model: &dyn Model) -> Vec<Result<(), Stop>> {
    let budget = Budget::from_limits(&Limits { memory_bytes: usize::MAX, ..Limits::default() });
    let initial = [model.initial()];
    let objects = partition(history, model, Keyed::Auto).expect("the history suits the model");
    let object = objects.first();
    let of = |width| {
        let Some(object) = object else { return Ok(()) };
        let question = SearchQuery::new(model, &initial, &object.ops, budget);
        let outcome = SearchQuery { width, orders: true, ..question }.decide();
        if outcome.answer.is_ok() {
            let order: Vec<u64> = outcome.order.iter().map(|op| object.ops[*op].invoked).collect();
            assert!(
                certificate::replays(model, &initial[0], &object.ops, &order),
                "{order:?} is no order of {}",
                jsonl::write(history)
            );
        }
        outcome.answer
    };
    [usize::MAX, 1, 2, 0].into_iter().map(of).collect()
}

/// Whether brute force explains the history until the operation completes, and no longer.
fn is_first_wrong(history: &History, model: &dyn Model, accused: usize) -> bool {
    let objects = partition(history, model, Keyed::Auto).expect("the history suits the model");
    let ops = &objects[0].ops;
    let end = ops[accused].completed;
    let until = |late: fn(Option<u64>, Option<u64>) -> bool| {
        let mut begun: Vec<ObjectOp<'_>> =
            ops.iter().filter(|op| Some(op.invoked) < end).cloned().collect();
        let open = begun.iter_mut().filter(|op| late(op.completed, end));
        open.for_each(|op| op.completed = None);
        brute_force::explains(model, &model.initial(), &begun.iter().collect::<Vec<_>>())
    };
    until(|at, end| at >= end) && !until(|at, end| at > end)
}

const MODELS: [&str; 3] = ["register", "cas-register", "kv"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(deep(6000)))]

    #[test]
    fn every_search_agrees_with_brute_force_on_many_clients(which in 0..3usize, deeds in deeds(7)) {
        let model = model::find_model(MODELS[which]).expect("it is there");
        let history = crowd(model.name(), &deeds);
        let right = brute_force::linearizable(&history, model);
        let answers = answers(&history, model);
        prop_assert_eq!(answers[0].is_ok(), right, "{}", jsonl::write(&history));
        for answer in &answers {
            prop_assert_eq!(answer, &answers[0], "{}", jsonl::write(&history));
        }
        if let Err(Stop::Illegal(accused)) = answers[0] {
            prop_assert!(is_first_wrong(&history, model, accused), "{}", jsonl::write(&history));
        }
    }

    #[test]
    fn searches_agree_on_more_clients(which in 0..3usize, deeds in deeds(16)) {
        let model = model::find_model(MODELS[which]).expect("it is there");
        let history = crowd(model.name(), &deeds);
        let answers = answers(&history, model);
        for answer in &answers {
            prop_assert_eq!(answer, &answers[0], "{}", jsonl::write(&history));
        }
        let verdict = check_linearizable(&history, model.name(), &Limits::default());
        prop_assert_eq!(verdict.validity == Validity::Valid, answers[0].is_ok());
        prop_assert_eq!(verdict.validity == Validity::Invalid, verdict.witness.is_some());
        let proof = linearize(&history, model.name(), &Limits::default());
        prop_assert_eq!(proof.is_ok(), answers[0].is_ok());
    }
}

/// More open operations than two words hold, and than eight hold.
#[test]
fn checks_many_open_operations() {
    for (clients, lies) in [(100, true), (150, false), (150, true), (600, false)] {
        let (operations, values) = (2 * clients, Some(5));
        let object = crate::bench::BenchObject::Register;
        let recipe = HistoryRecipe { object, seed: 3, operations, clients, values, lost: 0, lies };
        let verdict = check_linearizable(&recipe.make_history(), "register", &Limits::default());
        let expected = if lies { Validity::Invalid } else { Validity::Valid };
        assert_eq!(verdict.validity, expected, "{clients} {}", verdict.message);
    }
}

/// A write that leads to the same state still overwrites: it hides the write before it, which the
/// cas or the append between the completions must not observe.
#[test]
fn a_write_of_the_same_value_hides_another_write() {
    let (lost, ok) = (0, 6);
    let (read, write, append, cas) = (0, 3, 5, 7);
    // "aa", nil, append "a"; the append returns first, and the nil never.
    let text =
        [(write, (0, 0), lost), (write, (2, 0), ok), (append, (0, 0), ok), (read, (1, 0), ok)];
    let text = strewn("kv", &text, &[0, 1, 2, 2, 1, 3, 3, 0]);
    // 0 is the state; write 1, write 0, cas from 0 to 2.
    let number = [
        (write, (0, 0), ok),
        (write, (0, 0), lost),
        (write, (1, 0), ok),
        (cas, (0, 2), ok),
        (read, (2, 0), ok),
    ];
    let number = strewn("cas-register", &number, &[0, 0, 1, 2, 3, 3, 2, 4, 4, 1]);
    for (name, history) in [("kv", text), ("cas-register", number)] {
        let model = model::find_model(name).expect("it is there");
        assert!(brute_force::linearizable(&history, model));
        assert_eq!(answers(&history, model), [Ok(()), Ok(()), Ok(()), Ok(())], "{name}");
    }
}

/// Every history of a few clients that write and read one of two values, with every outcome and
/// every overlap.
#[test]
fn agrees_with_brute_force_on_every_small_register_history() {
    let model = model::find_model("register").expect("it is there");
    let deeds: Vec<CrowdCall> = [(0, 0), (0, 1), (3, 0), (3, 1)]
        .into_iter()
        .flat_map(|(f, value)| [(f, value, 0), (f, value, 6)])
        .filter(|(f, _, end)| (*f, *end) != (0, 0))
        .map(|(f, value, end)| (f, (value, 0), end))
        .collect();
    let mut judged = 0;
    for chosen in 0..deeds.len().pow(3) {
        let pick = |place: u32| deeds[chosen / deeds.len().pow(place) % deeds.len()];
        for order in orders(3) {
            let history = strewn("register", &[pick(0), pick(1), pick(2)], &order);
            let right = brute_force::linearizable(&history, model);
            assert_eq!(answers(&history, model)[0].is_ok(), right, "{}", jsonl::write(&history));
            judged += 1;
        }
    }
    assert_eq!(judged, 6_usize.pow(3) * 90);
}

/// Every order of the two events of each client.
fn orders(clients: usize) -> Vec<Vec<usize>> {
    let mut orders = vec![Vec::new()];
    for _ in 0..2 * clients {
        let mut longer = Vec::new();
        for order in &orders {
            for client in 0..clients {
                if order.iter().filter(|it| **it == client).count() < 2 {
                    longer.push([order.as_slice(), &[client]].concat());
                }
            }
        }
        orders = longer;
    }
    orders
}

fn strewn(model: &str, deeds: &[CrowdCall], order: &[usize]) -> History {
    let mut begun = vec![false; deeds.len()];
    let events = order.iter().enumerate().map(|(index, client)| {
        let (f, values, end) = deeds[*client];
        let (input, mut event) = call(model, f, values, end);
        if !std::mem::replace(&mut begun[*client], true) {
            event = Event { kind: Kind::Invoke, value: input, error: None, ..event };
        }
        let (index, process) = (index as u64, Process::Client(*client as u64));
        Event { index, time: index, process, ..event }
    });
    History::new(events.collect()).expect("each client does one thing")
}
