//! Compares the search with brute force, and checks the guarantees of windows.

use proptest::prelude::*;

use super::brute_force;
use super::deep;
use super::engine::Budget;
use super::partition::partition;
use super::search::SearchQuery;
use crate::check_linearizable;
use crate::history::{Event, History, Kind, MISMATCH, Operation, Process, Value, jsonl, notation};
use crate::model::{self, CELLS as MODELS};
use crate::verdict::{Keyed, Limits, Validity, Verdict};

fn history(text: &str) -> History {
    notation::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

fn judge(history: &History, model: &str) -> Verdict {
    check_linearizable(history, model, &Limits::default())
}

#[track_caller]
fn accepts(model: &str, text: &str) {
    let verdict = judge(&history(text), model);
    assert_eq!(verdict.validity, Validity::Valid, "{text}: {}", verdict.message);
}

/// Rejects the history with this message.
#[track_caller]
fn rejects(model: &str, text: &str, message: &str) {
    let verdict = judge(&history(text), model);
    assert_eq!((verdict.validity, verdict.message.as_str()), (Validity::Invalid, message));
}

/// The write of unknown outcome can explain the mismatch or the read of 1, never both.
#[test]
fn a_mismatch_is_a_read() {
    accepts("cas-register", "w1 ok; w9 info; cas[1 2] mismatch; r9 ok");
    accepts("cas-register", "w1 ok; w9 info; cas[1 2] fail; r1 ok");
    let text = "w1 ok; w9 info; cas[1 2] mismatch; r1 ok";
    rejects(
        "cas-register",
        text,
        "process 1 read 1, but no order of these 3 operations explains it",
    );
    assert!(!brute_force::linearizable(
        &history(text),
        model::find_model("cas-register").expect("it is there")
    ));
}

#[test]
fn registers_accept_linearizable_histories() {
    accepts("register", "r ok; w1 ok; r1 ok");
    accepts("register", "0:w1; 1:r1 ok; 2:r1 ok; 0:ok");
    accepts("register", "w1 ok; w2 info; r1 ok; r2 ok");
    accepts("cas-register", "w1 ok; cas[1 2] ok; cas[1 3] mismatch; r2 ok; cas[2 5] fail; r2 ok");
}

#[test]
fn registers_reject_other_histories() {
    let late = "write 2 by process 0 had already completed";
    let message = format!("process 0 read 1, but {late}");
    rejects("register", "w1 ok; w2 ok; r1 ok", &message);
    let message = "process 0 read 7, but no operation invoked by then leads to that";
    rejects("register", "w1 ok; r7 ok", message);
    let message = "process 2 read nil, but no order of these 3 operations explains it";
    rejects("register", "0:w1; 1:r1 ok; 2:r ok; 0:ok", message);
}

#[test]
fn cas_registers_reject_impossible_histories() {
    let message = "process 0 was told that the value was not 1, but write 1 by process 0 had \
                   already completed";
    rejects("cas-register", "w1 ok; cas[1 2] mismatch", message);
    let message = "process 1 was told that cas [1 3] succeeded, but no order of these 2 \
                   operations explains it";
    rejects("cas-register", "w1 ok; 0:cas[1 2]; 1:cas[1 3]; 0:ok; 1:ok; r2 ok", message);
}

#[test]
fn maps_accept_and_reject() {
    accepts("kv", "a\"x\"@k ok; r@l ok; 0:a\"y\"@k; 1:a\"z\"@k; 0:ok; 1:ok; r\"xzy\"@k ok");
    let message = "key \"k\": process 0 read \"xy\", but append \"z\" by process 1 had already \
                   completed, and no order of these 3 operations explains it";
    rejects("kv", "a\"x\"@k ok; 0:a\"y\"@k; 1:a\"z\"@k; 0:ok; 1:ok; r\"xy\"@k ok", message);
}

#[test]
fn a_window_is_drawn_with_the_accused_marked() {
    let verdict = judge(
        &history("w4@k ok; w1@x ok; 9:w6@k info; 3:w2@x; 2:r6@k; w5@k ok; 7:r4@k ok; 2:ok; 3:ok"),
        "register",
    );
    let window = verdict.witness.expect("a small history affords its witness");
    insta::assert_snapshot!(super::lanes::render(&window, 80), @r#"
key "k", before: 4
    w 5 ok
p0  ├───────┤
                    ✗ r 4 ok
p7                  ├───────┤
"#);
    assert_eq!(window.name(window.accused), "r 4 ok by process 7");
    insta::assert_snapshot!(window.to_jsonl(), @r#"
{"initial":[4]}
{"index":8,"time":8000000,"type":"invoke","process":0,"f":"write","value":["k",5]}
{"index":9,"time":9000000,"type":"ok","process":0,"f":"write","value":["k",5]}
{"index":10,"time":10000000,"type":"invoke","process":7,"f":"read","value":["k",null]}
{"index":11,"time":11000000,"type":"ok","process":7,"f":"read","value":["k",4]}
"#);
    let verdict = judge(&history("w1 ok; w9 info; cas[1 2] mismatch; r1 ok"), "cas-register");
    let window = verdict.witness.expect("it is wrong");
    insta::assert_snapshot!(super::lanes::render(&window, 60), @r"
before: 1
    w 9 ?
p0  ├╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
            cas [1 2] mismatch ✗ r 1 ok
p1          ├───────┤          ├───────┤
");
}

/// With three clients, process 5 is the second process of client 2.
#[test]
fn clients_are_named_where_the_concurrency_is_known() {
    let history = history("0:w1 ok; 5:w2 ok; 3:r1 ok").with_concurrency(3);
    let verdict = judge(&history, "register");
    assert_eq!(verdict.message, "client 0 read 1, but write 2 by client 2 had already completed");
    let window = verdict.witness.expect("a small history affords its witness");
    assert_eq!(window.name(window.accused), "r 1 ok by client 0");
    insta::assert_snapshot!(super::lanes::render(&window, 60), @r"
before: 1
                    ✗ r 1 ok
c0                  ├───────┤
    w 2 ok
c2  ├───────┤
");
    assert!(window.to_jsonl().contains(r#""process":5"#), "stored windows keep processes");
    let unknown = history.with_concurrency(0);
    assert!(judge(&unknown, "register").message.starts_with("process 3 read 1"));
}

#[test]
fn a_call_outside_of_the_model_is_unknown() {
    let doubtful = |model, text| {
        let verdict = judge(&history(text), model);
        assert_eq!(verdict.validity, Validity::Unknown);
        verdict.message
    };
    insta::assert_snapshot!(
        doubtful("register", "w1 ok; cas[1 2] ok"),
        @"not a history of a register: the cas that process 0 invoked at index 2 is not valid: a \
          register has no function \"cas\", only read and write"
    );
    insta::assert_snapshot!(
        doubtful("append-list", "w1 ok"),
        @"not a history of an append-list: the write that process 0 invoked at index 0 is not \
          valid: an append-list has no function \"write\", only append, read"
    );
    insta::assert_snapshot!(
        doubtful("kv", "w1 ok"),
        @"not a history of a kv: the write that process 0 invoked at index 0 is not valid: its \
          value 1 is not [key value]"
    );
    insta::assert_snapshot!(
        doubtful("regsiter", "w1 ok"),
        @"there is no model \"regsiter\"; the models are append-list, cas-register, counter, \
          fifo-queue, kv, lock, multi-register, register, semaphore, set, stack, unordered-queue, \
          versioned-register"
    );
}

const PROCESSES: usize = 4;

/// The next step of a random client: a process, a function and a value, or how its open call ends.
#[derive(Clone, Debug)]
pub(super) struct Move {
    process: usize,
    f: u8,
    key: i64,
    values: (i64, i64),
    end: u8,
}

pub(super) fn moves(most: usize) -> impl Strategy<Value = Vec<Move>> {
    let one = (0..PROCESSES, 0..6u8, 0..2i64, (0..3i64, 0..3i64), 0..12u8);
    let one = one.prop_map(|(process, f, key, values, end)| Move { process, f, key, values, end });
    prop::collection::vec(one, 2..most)
}

/// The functions to try a model with: reads, writes, and cas if it has one.
fn function(model: &str, f: u8) -> &'static str {
    match (model, f) {
        ("register", 0..=2) | ("cas-register", 0..=1) => "read",
        ("register", _) | ("cas-register", 2) => "write",
        ("cas-register", _) => "cas",
        (_, 0..=1) => "get",
        (_, 2) => "put",
        (_, 3) => "append",
        (_, _) => "cas",
    }
}

/// Applies moves to a real object that now and then returns a false response, so that both verdicts
/// are common.
struct Play {
    model: &'static str,
    state: std::collections::BTreeMap<i64, Value>,
    events: Vec<Event>,
    open: Vec<Option<(&'static str, Value)>>,
    numbers: Vec<u64>,
}

pub(super) fn play(model: &'static str, moves: &[Move]) -> History {
    let mut play = Play {
        model,
        state: std::collections::BTreeMap::new(),
        events: Vec::new(),
        open: vec![None; PROCESSES],
        numbers: (0..PROCESSES as u64).collect(),
    };
    for step in moves {
        match play.open[step.process].take() {
            None => play.invoke(step),
            Some((f, input)) => play.complete(step, f, input),
        }
    }
    History::new(play.events).expect("clients are single-threaded")
}

impl Play {
    fn push(
        &mut self,
        process: usize,
        kind: Kind,
        (f, value): (&str, Value),
        error: Option<Value>,
    ) {
        let index = self.events.len() as u64;
        let process = Process::Client(self.numbers[process]);
        let f = f.into();
        self.events.push(Event { index, time: index, kind, process, f, value, node: None, error });
    }

    fn value(&self, number: i64) -> Value {
        if self.model == "kv" {
            Value::from(["a", "b", "c"][number as usize])
        } else {
            number.into()
        }
    }

    fn invoke(&mut self, step: &Move) {
        let f = function(self.model, step.f);
        let (first, second) = (self.value(step.values.0), self.value(step.values.1));
        let input = match f {
            "read" | "get" => Value::Nil,
            "cas" => Value::pair(first, second),
            _ => first,
        };
        let input = Value::pair(step.key, input);
        self.push(step.process, Kind::Invoke, (f, input.clone()), None);
        self.open[step.process] = Some((f, input));
    }

    /// Mostly returns the truth; sometimes crashes, fails or returns a false response.
    fn complete(&mut self, step: &Move, f: &'static str, input: Value) {
        match step.end {
            0 => self.push(step.process, Kind::Fail, (f, input), None),
            1 | 2 => {
                if step.end == 1 {
                    self.apply(f, &input);
                }
                self.push(step.process, Kind::Info, (f, input), None);
                self.numbers[step.process] += 100;
            }
            3..=5 if matches!(f, "read" | "get") => {
                let lie = Value::pair(step.key_of(&input), self.value(step.values.1));
                self.push(step.process, Kind::Ok, (f, lie), None);
            }
            _ => match self.apply(f, &input) {
                Some(output) => self.push(step.process, Kind::Ok, (f, output), None),
                None => self.push(step.process, Kind::Fail, (f, input), Some(MISMATCH.into())),
            },
        }
    }

    fn apply(&mut self, f: &str, input: &Value) -> Option<Value> {
        let (key, argument) = input.as_pair()?;
        let Value::Int(number) = key else { return None };
        let held = self.state.entry(*number).or_default();
        match f {
            "read" | "get" => return Some(Value::pair(key.clone(), held.clone())),
            "cas" => {
                let (old, new) = argument.as_pair()?;
                if held != old {
                    return None;
                }
                *held = new.clone();
            }
            "append" => {
                let text = |it: &Value| {
                    if let Value::Str(text) = it { text.to_string() } else { String::new() }
                };
                *held = Value::from(text(held) + &text(argument));
            }
            _ => *held = argument.clone(),
        }
        Some(input.clone())
    }
}

impl Move {
    fn key_of(&self, input: &Value) -> Value {
        input.as_pair().map_or(self.key.into(), |(key, _)| key.clone())
    }
}

fn without_accused(window: &crate::Window) -> History {
    let others = window.operations.iter().enumerate().filter(|(place, _)| *place != window.accused);
    let mut events: Vec<Event> =
        others.flat_map(|(_, operation)| Operation::events(operation)).collect();
    events.sort_by_key(|event| event.index);
    History::new(events)
        .expect("fewer operations are still well-formed")
        .with_initial(window.entry_states.clone())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(deep(1500)))]

    #[test]
    fn the_search_agrees_with_brute_force(which in 0..MODELS.len(), moves in moves(20)) {
        let model = MODELS[which];
        let history = play(model.name(), &moves);
        let verdict = judge(&history, model.name());
        let right = brute_force::linearizable(&history, model);
        let expected = if right { Validity::Valid } else { Validity::Invalid };
        prop_assert_eq!(verdict.validity, expected, "{}", jsonl::write(&history));
    }

    #[test]
    fn a_window_alone_is_illegal_and_legal_without_the_accused(
        which in 0..MODELS.len(),
        moves in moves(28),
    ) {
        let model = MODELS[which];
        let verdict = judge(&play(model.name(), &moves), model.name());
        prop_assert_eq!(verdict.witness.is_some(), verdict.validity == Validity::Invalid);
        let Some(window) = verdict.witness else { return Ok(()) };
        let alone = jsonl::parse(window.to_jsonl()).expect("a window is a history").history;
        prop_assert!(!brute_force::linearizable(&alone, model), "{}", window.to_jsonl());
        let rest = without_accused(&window);
        prop_assert!(brute_force::linearizable(&rest, model), "{}", window.to_jsonl());
    }

    #[test]
    fn a_walk_of_any_first_width_gives_the_exact_answer(
        which in 0..MODELS.len(),
        moves in moves(60),
        width in 1..4usize,
    ) {
        let model = MODELS[which];
        let history = play(model.name(), &moves);
        let budget = Budget::from_limits(&Limits { memory_bytes: usize::MAX, ..Limits::default() });
        let initial = [model.initial()];
        for object in partition(&history, model, Keyed::Auto).expect("it suits the model") {
            let question = SearchQuery::new(model, &initial, &object.ops, budget);
            let exact = SearchQuery { width: usize::MAX, ..question }.decide().answer;
            let answer = SearchQuery { width, ..question }.decide().answer;
            prop_assert_eq!(answer, exact, "{}", jsonl::write(&history));
        }
    }

    #[test]
    fn splitting_by_key_keeps_the_verdict(moves in moves(20)) {
        let history = play("kv", &moves);
        let whole = Limits { keyed: Keyed::No, ..Limits::default() };
        let apart = judge(&history, "kv").validity;
        prop_assert_eq!(apart, check_linearizable(&history, "kv", &whole).validity);
    }

    #[test]
    fn the_number_of_threads_keeps_the_verdict(which in 0..MODELS.len(), moves in moves(40)) {
        let history = play(MODELS[which].name(), &moves);
        let four = Limits { jobs: 4, ..Limits::default() };
        let verdict = check_linearizable(&history, MODELS[which].name(), &four);
        prop_assert_eq!(judge(&history, MODELS[which].name()), verdict);
    }

    #[test]
    fn json_lines_round_trip(which in 0..MODELS.len(), moves in moves(20)) {
        let history = play(MODELS[which].name(), &moves).with_initial(vec![Value::Nil, 3.into()]);
        let parsed = jsonl::parse(jsonl::write(&history)).expect("it was a history");
        prop_assert_eq!(parsed.history, history);
    }
}

#[test]
fn an_exceeded_budget_is_unknown_and_named() {
    let history = history("0:w1; 1:w2; 2:r1; 2:ok; 0:ok; 1:ok");
    let late = Limits { expired: &|| true, ..Limits::default() };
    let verdict = check_linearizable(&history, "register", &late);
    assert_eq!(verdict.validity, Validity::Unknown);
    assert_eq!(
        verdict.message,
        "time limit reached: undecided: 1 of 1 object; decided the first 0 of 3 operations"
    );
    let poor = Limits { memory_bytes: 10, ..Limits::default() };
    let verdict = check_linearizable(&history, "register", &poor);
    assert_eq!(
        verdict.message,
        "memory limit reached: undecided: 1 of 1 object; decided the first 0 of 3 operations"
    );
}

/// Moves of a busy, correct run: keys rotate every 300 calls, and one call in ten ends in info.
fn busy(count: u64) -> Vec<Move> {
    let mut seed = 7_u64;
    let mut draw = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let moves = (0..count).map(|number| Move {
        process: draw(PROCESSES as u64) as usize,
        f: draw(6) as u8,
        key: (number / 600) as i64,
        values: (draw(5) as i64, draw(5) as i64),
        end: [1, 2, 6, 7, 8, 9, 10, 11, 6, 7, 8, 9, 10, 11, 6, 7, 8, 9, 10, 11][draw(20) as usize],
    });
    moves.collect()
}

/// The time limit is polled once per thousand configurations, so the number of polls bounds the
/// work without a clock.
#[test]
fn a_busy_run_with_unknown_outcomes_is_cheap() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let expired = || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 2000;
    let limits = Limits { expired: &expired, ..Limits::default() };
    let history = play("cas-register", &busy(24_000));
    let verdict = check_linearizable(&history, "cas-register", &limits);
    assert_eq!(
        (verdict.validity, verdict.stats.keys),
        (Validity::Valid, 40),
        "{}",
        verdict.message
    );
}
