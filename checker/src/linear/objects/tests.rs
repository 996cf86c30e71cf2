//! Compares the merged outcomes of segments with the whole history and with brute force.

use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::check_linearizable;
use crate::history::{Event, History, Kind, Process};
use crate::linear::brute_force;
use crate::linear::deep;
use crate::linear::partition::{ObjectOp, partition};
use crate::model::{self, Call, Response};
use crate::verdict::{Keyed, Validity};

/// Models with calls that determine the state.
const MODELS: [&str; 8] = [
    "append-list",
    "cas-register",
    "counter",
    "kv",
    "lock",
    "register",
    "set",
    "versioned-register",
];

/// A stream of pseudo-random numbers.
struct PauseDraw(u64);

impl PauseDraw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % limit
    }

    fn number(&mut self) -> Value {
        Value::Int(self.below(3) as i64)
    }
}

/// The open call of a client, and its response once it has taken effect.
type ClientCall = (&'static str, Value, Option<(Kind, Value)>);

/// The rates of unknown outcomes and false responses, per thousand.
#[derive(Clone, Copy, Debug)]
struct DrawRates {
    operations: usize,
    lost: u64,
    lies: u64,
}

/// A history of three clients that often pause, on one object.
fn history_with_pauses(model: &dyn Model, seed: u64, ways: DrawRates) -> History {
    let mut draw = PauseDraw(seed);
    let mut state = model.initial();
    let mut clients: Vec<(u64, Option<ClientCall>)> = (0..3).map(|client| (client, None)).collect();
    let (mut events, mut begun) = (Vec::new(), 0);
    let mut push = |process, kind, f: &str, value| {
        let (index, process, f) = (events.len() as u64, Process::Client(process), f.into());
        events.push(Event { index, time: index, kind, process, f, value, node: None, error: None });
    };
    while begun < ways.operations || clients.iter().any(|(_, call)| call.is_some()) {
        let (number, doing) = &mut clients[draw.below(3) as usize];
        match doing.take() {
            None if begun == ways.operations || draw.below(3) > 0 => {}
            None => {
                let (f, input) = ask(model.name(), &state, &mut draw);
                push(*number, Kind::Invoke, f, input.clone());
                *doing = Some((f, input, None));
                begun += 1;
            }
            Some((f, input, None)) => {
                let told = take_effect(model, &mut state, (f, &input), ways.lies, &mut draw);
                *doing = Some((f, input, Some(told)));
            }
            Some((f, input, Some(_))) if draw.below(1000) < ways.lost => {
                push(*number, Kind::Info, f, input);
                *number += 3;
            }
            Some((f, _, Some((kind, told)))) => push(*number, kind, f, told),
        }
    }
    History::new(events).expect("clients take turns")
}

/// A call that the model accepts.
fn ask(model: &str, state: &Value, draw: &mut PauseDraw) -> (&'static str, Value) {
    let (number, swap) = (draw.number(), Value::pair(draw.number(), draw.number()));
    let (reads, cas) = (draw.below(2) == 0, draw.below(3) == 0);
    match model {
        "kv" if reads => ("get", Value::pair("k", Value::Nil)),
        "kv" => (["append", "put"][draw.below(2) as usize], Value::pair("k", "a")),
        "lock" if *state == Value::List([].into()) => ("acquire", number),
        "lock" => ("release", number),
        _ if reads => ("read", Value::Nil),
        "append-list" => ("append", number),
        "counter" | "set" => ("add", number),
        "cas-register" if cas => ("cas", swap),
        "versioned-register" if cas => ("cas", Value::pair(Value::Nil, swap)),
        "versioned-register" => ("write", Value::pair(Value::Nil, number)),
        _ => ("write", number),
    }
}

/// The response to a call: true, or now and then false. An impossible call fails.
fn take_effect(
    model: &dyn Model,
    state: &mut Value,
    (f, input): (&str, &Value),
    lies: u64,
    draw: &mut PauseDraw,
) -> (Kind, Value) {
    let seen = Response::Unknown;
    let call = Call { f: f.into(), input: input.clone(), response: seen };
    let Ok(next) = model.step(state, &call) else { return (Kind::Fail, input.clone()) };
    *state = next;
    let held = match state {
        Value::List(entries) if model.name() == "kv" => {
            entries.first().and_then(Value::as_pair).map_or(Value::Nil, |(_, held)| held.clone())
        }
        held => held.clone(),
    };
    let lie = draw.below(1000) < lies;
    let told = match (model.name(), f) {
        ("kv", "get") => Value::pair("k", if lie { Value::from("b") } else { held }),
        ("versioned-register", _) if lie => Value::pair(0, draw.number()),
        ("versioned-register", _) => held,
        (_, "read") if lie && matches!(held, Value::List(_)) => Value::List([].into()),
        (_, "read") if lie => draw.number(),
        (_, "read") => held,
        _ => input.clone(),
    };
    (Kind::Ok, told)
}

/// The outcomes of a history with segments of at least `min_ops` operations.
fn by(
    min_ops: usize,
    history: &History,
    model: &dyn Model,
    limits: &Limits<'_>,
) -> Vec<OrderOutcome> {
    let objects = partition(history, model, Keyed::No).expect("it suits the model");
    check_objects_by(&objects, model, &[model.initial()], (limits, min_ops))
}

fn told(outcomes: &[OrderOutcome]) -> Vec<(Result<(), Stop>, usize, usize)> {
    outcomes.iter().map(|it| (it.answer.clone(), it.explained, it.explored)).collect()
}

fn named(model: &str) -> &'static dyn Model {
    model::find_model(model).expect("it is there")
}

fn count_segments(history: &History, model: &dyn Model, min_ops: usize) -> usize {
    let objects = partition(history, model, Keyed::No).expect("it suits the model");
    objects
        .iter()
        .map(|it| segments::split_at_rest(model, &it.ops, min_ops, || true).len())
        .max()
        .unwrap_or(0)
}

fn ways() -> impl Strategy<Value = DrawRates> {
    let rare = || prop_oneof![Just(0_u64), Just(40)];
    (2..60_usize, rare(), rare()).prop_map(|(operations, lost, lies)| DrawRates {
        operations,
        lost,
        lies,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(deep(3000)))]

    /// The same answer and accused operation, with and without segments, on any number of threads.
    #[test]
    fn segments_agree_with_the_whole_history(
        which in 0..MODELS.len(),
        seed in any::<u64>(),
        ways in ways(),
        min_ops in 1..12_usize,
    ) {
        let model = named(MODELS[which]);
        let history = history_with_pauses(model, seed, ways);
        let limits = Limits::default();
        let whole = by(usize::MAX / 2, &history, model, &limits);
        let segments_found = by(min_ops, &history, model, &limits);
        let answers = |outcomes: &[OrderOutcome]| -> Vec<_> {
            outcomes.iter().map(|it| it.answer.clone()).collect()
        };
        prop_assert_eq!(answers(&segments_found), answers(&whole), "{:?}", history);
        for jobs in 2..4 {
            let more = by(min_ops, &history, model, &Limits { jobs, ..limits });
            prop_assert_eq!(told(&more), told(&segments_found));
        }
    }

    #[test]
    fn segments_agree_with_brute_force(
        which in 0..MODELS.len(),
        seed in any::<u64>(),
        ways in ways(),
    ) {
        let model = named(MODELS[which]);
        let rates = DrawRates { operations: ways.operations.min(9), ..ways };
        let history = history_with_pauses(model, seed, rates);
        let segments_found = by(1, &history, model, &Limits::default());
        let objects = partition(&history, model, Keyed::No).expect("it suits the model");
        for (outcome, object) in segments_found.iter().zip(&objects) {
            let all: Vec<&ObjectOp<'_>> = object.ops.iter().collect();
            let is_legal = brute_force::explains(model, &model.initial(), &all);
            prop_assert_eq!(outcome.answer.is_ok(), is_legal);
        }
    }

    /// With time or memory exceeded at any moment: the right answer, or none and how far it came.
    #[test]
    fn a_segment_over_budget_is_unknown_and_never_wrong(
        which in 0..MODELS.len(),
        seed in any::<u64>(),
        ways in ways(),
        left in 0..30_usize,
        memory in prop_oneof![Just(0_usize), Just(4000), Just(usize::MAX)],
    ) {
        let model = named(MODELS[which]);
        let history = history_with_pauses(model, seed, ways);
        let right = by(usize::MAX / 2, &history, model, &Limits::default());
        let asked = AtomicUsize::new(0);
        let expired = || asked.fetch_add(1, Ordering::Relaxed) >= left;
        let poor = Limits { expired: &expired, memory_bytes: memory, ..Limits::default() };
        let objects = partition(&history, model, Keyed::No).expect("it suits the model");
        let answers = by(2, &history, model, &poor);
        for ((outcome, right), object) in answers.iter().zip(&right).zip(&objects) {
            let ended = object.ops.iter().filter(|op| op.completed.is_some()).count();
            match &outcome.answer {
                Ok(()) => prop_assert!(right.answer.is_ok()),
                Err(Stop::Illegal(_)) => prop_assert!(right.answer.is_err()),
                Err(Stop::OverBudget(_)) => {
                    prop_assert!(outcome.explained <= ended);
                    // No violation completed in the part that was decided.
                    if let Err(Stop::Illegal(accused)) = right.answer {
                        let end = object.ops[accused].completed;
                        let completed = object.ops.iter().filter_map(|op| op.completed);
                        let legal = completed.filter(|at| Some(*at) < end).count();
                        prop_assert!(outcome.explained <= legal);
                    }
                }
            }
        }
    }
}

/// The histories of the tests above are really split.
#[test]
fn every_model_has_histories_that_are_split() {
    for name in MODELS {
        let ways = DrawRates { operations: 60, lost: 0, lies: 0 };
        let cuts = (0..50).map(|seed| {
            count_segments(&history_with_pauses(named(name), seed, ways), named(name), 1)
        });
        assert!(cuts.clone().min() > Some(1) && cuts.max() > Some(6), "{name}");
    }
    let lost = DrawRates { operations: 60, lost: 1000, lies: 0 };
    assert_eq!(count_segments(&history_with_pauses(named("lock"), 1, lost), named("lock"), 1), 1);
}

/// A false response deep in a long history: the same verdict and window for any number of threads,
/// without a search from the beginning.
#[test]
fn finds_a_violation_deep_in_a_long_history_without_a_full_search() {
    for (seed, name) in
        (0..8).zip(["register", "cas-register", "kv", "counter"].into_iter().cycle())
    {
        let history = history_with_pauses(
            named(name),
            seed,
            DrawRates { operations: 9000, lost: 0, lies: 0 },
        );
        assert!(count_segments(&history, named(name), segments::MIN_SEGMENT_OPS) > 4, "{name}");
        assert_eq!(
            check_linearizable(&history, name, &Limits::default()).validity,
            Validity::Valid
        );
        let mut events = history.events().to_vec();
        let last = events
            .iter()
            .rposition(|it| it.kind == Kind::Ok && matches!(it.f.as_str(), "read" | "get"));
        let last = &mut events[last.expect("some client reads")];
        last.value = if name == "kv" { Value::pair("k", "never") } else { Value::Int(-7) };
        let wrong = History::new(events).expect("well-formed");
        let judge = |jobs| check_linearizable(&wrong, name, &Limits { jobs, ..Limits::default() });
        let alone = judge(1);
        assert_eq!((1..5).map(judge).filter(|it| *it == alone).count(), 4);
        assert_eq!(alone.validity, Validity::Invalid);
        let window = alone.witness.expect("the proof is small");
        assert!(window.operations.len() < 20, "{}", window.message);
    }
}
