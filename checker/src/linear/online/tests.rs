//! Compares the online checker with the offline one, prefix by prefix, and with brute force.

use proptest::prelude::*;

use super::super::deep;
use super::{Anomaly, OnlineChecker};
use crate::history::{Event, History, Kind, MISMATCH, Process, Value, Violation, jsonl, notation};
use crate::linear::tests::{moves, play};
use crate::linear::{brute_force, check};
use crate::model::{CELLS, Call, MODELS, Model, Response, find_model};
use crate::verdict::{Keyed, Limits, Validity};

/// Feeds everything; returns the first violation, and the final verdict.
fn online(events: &[Event], model: &dyn Model, limits: Limits<'_>) -> (Option<Anomaly>, Validity) {
    let mut judge = OnlineChecker::new(model, limits);
    let mut first = None;
    for event in events {
        let parsed = judge.feed(event).expect("the history is well-formed");
        first = first.or(parsed);
    }
    (first, judge.finish().validity)
}

/// The index of the event that makes the history illegal, found by checking each prefix.
fn first_wrong(events: &[Event], model: &dyn Model, limits: Limits<'_>) -> Option<u64> {
    let wrong = |length: &usize| {
        let prefix = History::new(events[..*length].to_vec()).expect("a prefix is well-formed");
        check(&prefix, model, &limits).validity == Validity::Invalid
    };
    (1..=events.len()).find(wrong).map(|length| events[length - 1].index)
}

fn agrees(history: &History, model: &dyn Model, keyed: Keyed) -> Result<(), TestCaseError> {
    let limits = Limits { keyed, ..Limits::default() };
    let (first, answer) = online(history.events(), model, limits);
    let text = jsonl::write(history);
    prop_assert_eq!(answer, check(history, model, &limits).validity, "{}", text);
    let expected = first_wrong(history.events(), model, limits);
    prop_assert_eq!(first.map(|it| it.index), expected, "{}", text);
    Ok(())
}

/// Calls of each model: a function, an argument, and possible results.
fn calls(model: &str) -> &'static [(&'static str, &'static str, &'static [&'static str])] {
    match model {
        "append-list" => &[
            ("append", "1", &["1"]),
            ("append", "2", &["2"]),
            ("read", "null", &["[]", "[1]", "[2]", "[1,2]", "[2,1]"]),
        ],
        "counter" => &[("add", "1", &["1"]), ("read", "null", &["0", "1", "2", "3"])],
        "fifo-queue" | "unordered-queue" => &[
            ("enqueue", "1", &["1"]),
            ("enqueue", "2", &["2"]),
            ("dequeue", "null", &["1", "2", "null"]),
        ],
        "stack" => {
            &[("push", "1", &["1"]), ("push", "2", &["2"]), ("pop", "null", &["1", "2", "null"])]
        }
        "lock" | "semaphore" => &[("acquire", "null", &["null"]), ("release", "null", &["null"])],
        "set" => &[
            ("add", "1", &["1"]),
            ("remove", "1", &["1"]),
            ("add", "2", &["2"]),
            ("contains", "1", &["true", "false"]),
            ("read", "null", &["[]", "[1]", "[2]", "[1,2]"]),
        ],
        "multi-register" => &[
            (
                "txn",
                r#"[["r","x",null],["w","y",1]]"#,
                &[r#"[["r","x",null],["w","y",1]]"#, r#"[["r","x",2],["w","y",1]]"#],
            ),
            ("txn", r#"[["w","x",2]]"#, &[r#"[["w","x",2]]"#]),
            ("txn", r#"[["r","y",null]]"#, &[r#"[["r","y",null]]"#, r#"[["r","y",1]]"#]),
        ],
        "versioned-register" => &[
            ("write", "[null,5]", &["[1,5]", "[2,5]", "[3,5]"]),
            ("cas", "[null,[5,6]]", &["[2,[5,6]]", "[3,[5,6]]"]),
            ("read", "[null,null]", &["[0,null]", "[1,5]", "[2,6]", "[2,5]", "[3,6]"]),
        ],
        "kv" => &[
            ("put", r#"["k","a"]"#, &[r#"["k","a"]"#]),
            ("append", r#"["k","b"]"#, &[r#"["k","b"]"#]),
            ("delete", r#"["k",null]"#, &[r#"["k",null]"#]),
            ("get", r#"["k",null]"#, &[r#"["k",null]"#, r#"["k","a"]"#, r#"["k","ab"]"#]),
            ("put", r#"["l","a"]"#, &[r#"["l","a"]"#]),
        ],
        "register" => {
            &[("write", "1", &["1"]), ("write", "2", &["2"]), ("read", "null", &["1", "2"])]
        }
        _ => &[
            ("write", "1", &["1"]),
            ("write", "2", &["2"]),
            ("cas", "[1,2]", &["[1,2]"]),
            ("read", "null", &["null", "1", "2"]),
        ],
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// One copy that mostly returns the truth, and sometimes a false or no response.
struct Liar<'a> {
    model: &'a dyn Model,
    state: Value,
    events: Vec<Event>,
    open: Vec<Option<usize>>,
    numbers: Vec<u64>,
}

impl Liar<'_> {
    fn push(&mut self, at: usize, kind: Kind, (f, value): (&str, Value), error: Option<Value>) {
        let (index, process) = (self.events.len() as u64, Process::Client(self.numbers[at]));
        let f = f.into();
        self.events.push(Event { index, time: index, kind, process, f, value, node: None, error });
    }

    fn act(&mut self, at: usize, which: usize, end: usize) {
        let calls = calls(self.model.name());
        let Some(open) = self.open[at].take() else {
            let which = which % calls.len();
            self.open[at] = Some(which);
            return self.push(at, Kind::Invoke, (calls[which].0, json(calls[which].1)), None);
        };
        let (f, input, outputs) = calls[open];
        let lie = json(outputs[which % outputs.len()]);
        match end {
            0 => self.push(at, Kind::Fail, (f, json(input)), None),
            1 | 2 => {
                if end == 1 {
                    drop(self.truth(f, input, outputs));
                }
                self.push(at, Kind::Info, (f, json(input)), None);
                self.numbers[at] += 10;
            }
            3 => self.push(at, Kind::Ok, (f, lie), None),
            _ => match self.truth(f, input, outputs) {
                Some(Response::Output(output)) => self.push(at, Kind::Ok, (f, output), None),
                Some(_) => self.push(at, Kind::Fail, (f, json(input)), Some(MISMATCH.into())),
                None => self.push(at, Kind::Ok, (f, lie), None),
            },
        }
    }

    /// A true response, whose effect is applied.
    fn truth(&mut self, f: &str, input: &str, outputs: &[&str]) -> Option<Response> {
        let said = outputs.iter().map(|output| Response::Output(json(output)));
        said.chain([Response::Mismatch]).find(|response| {
            let call = Call { f: f.into(), input: json(input), response: response.clone() };
            let step =
                self.model.validate(&call).and_then(|()| self.model.step(&self.state, &call));
            step.map(|next| self.state = next).is_ok()
        })
    }
}

fn parsed(model: &dyn Model, acts: &[(usize, usize, usize)]) -> History {
    let (state, events) = (model.initial(), Vec::new());
    let mut liar = Liar { model, state, events, open: vec![None; 3], numbers: vec![0, 1, 2] };
    acts.iter().for_each(|(at, which, end)| liar.act(*at, *which, *end));
    History::new(liar.events).expect("clients are single-threaded")
}

fn acts(most: usize) -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((0..3usize, 0..60usize, 0..14usize), 2..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(deep(400)))]

    #[test]
    fn reports_the_first_prefix_with_a_violation(which in 0..MODELS.len(), acts in acts(26)) {
        agrees(&parsed(MODELS[which], &acts), MODELS[which], Keyed::Auto)?;
    }

    #[test]
    fn the_final_verdict_agrees_with_brute_force(which in 0..MODELS.len(), acts in acts(16)) {
        let model = MODELS[which];
        let history = parsed(model, &acts);
        let offline = check(&history, model, &Limits::default()).validity;
        prop_assume!(offline != Validity::Unknown);
        let (_, answer) = online(history.events(), model, Limits::default());
        let is_legal = brute_force::linearizable(&history, model);
        let expected = if is_legal { Validity::Valid } else { Validity::Invalid };
        prop_assert_eq!(answer, expected, "{}", jsonl::write(&history));
    }

    #[test]
    fn keys_are_checked_independently(which in 0..CELLS.len(), moves in moves(60)) {
        agrees(&play(CELLS[which].name(), &moves), CELLS[which], Keyed::Auto)?;
    }

    #[test]
    fn one_object_can_be_many_keys(moves in moves(24)) {
        agrees(&play("kv", &moves), find_model("kv").expect("it is there"), Keyed::No)?;
    }
}

fn cas_register() -> &'static dyn Model {
    find_model("cas-register").expect("it is there")
}

#[test]
fn forgets_the_past_at_rest() {
    let model = cas_register();
    let mut judge =
        OnlineChecker::new(model, Limits { memory_bytes: 16 << 10, ..Limits::default() });
    let mut most = 0;
    for round in 0..400_u64 {
        let text = "0:w1; 1:cas[1 2]; 0:ok; 1:ok; r2 ok; 2:w3; 3:r2; 3:ok; 2:ok; r3 ok";
        let history = notation::parse(text).expect("it is a history");
        for event in history.events() {
            let index = event.index + round * 100;
            let parsed = judge.feed(&Event { index, ..event.clone() }).expect("it is well-formed");
            assert_eq!(parsed, None);
            most = most.max(judge.held_bytes());
        }
    }
    assert!(most < 4 << 10, "{most} bytes");
    let verdict = judge.finish();
    assert_eq!((verdict.validity, verdict.stats.operations), (Validity::Valid, 6 * 400));
}

#[test]
fn a_past_over_the_memory_limit_stays_unknown() {
    let history = notation::parse("0:w1; w2 ok; w3 ok; w4 ok; w5 ok; w6 ok; r1 ok; r2 ok");
    let history = history.expect("it is a history");
    let limits = Limits { memory_bytes: 900, ..Limits::default() };
    let (first, answer) = online(history.events(), cas_register(), limits);
    assert_eq!((first, answer), (None, Validity::Unknown));
}

#[test]
fn an_anomaly_names_key_event_and_reason() {
    let text = "w4@k ok; w1@x ok; 2:r4@k; w5@k ok; r4@k ok; 2:ok";
    let history = notation::parse(text).expect("it is a history");
    let (first, answer) = online(history.events(), cas_register(), Limits::default());
    let first = first.expect("it is wrong");
    assert_eq!((first.key, first.index, answer), (Some("k".into()), 8, Validity::Invalid));
    assert!(first.message.contains("read 4"), "{}", first.message);
}

#[test]
fn a_violation_without_rest_is_reported_soon() {
    let mut text = "9:w1".to_owned();
    (0..600).for_each(|_| text += "; w2 ok; r2 ok");
    text += "; r7 ok";
    (0..200).for_each(|_| text += "; w2 ok; r2 ok");
    let history = notation::parse(&text).expect("it is a history");
    let (first, _) = online(history.events(), cas_register(), Limits::default());
    let at = first.expect("7 was never written").index;
    assert!((2402..2402 + 2 * 76).contains(&at), "{at}");
}

#[test]
fn rejects_impossible_events_without_counting_them() {
    let history = notation::parse("w1 ok; r1 ok").expect("it is a history");
    let mut judge = OnlineChecker::new(cas_register(), Limits::default());
    judge.feed(&history.events()[0]).expect("it is an invocation");
    let again = judge.feed(&history.events()[2]).expect_err("it is busy");
    assert_eq!((again.position, again.violation), (1, Violation::Busy(Process::Client(0), 0)));
    let early = judge.feed(&history.events()[0]).expect_err("it was there before");
    assert_eq!(early.violation, Violation::OutOfOrder(0));
    judge.feed(&history.events()[1]).expect("the first completion still fits");
    assert_eq!(judge.finish().validity, Validity::Valid);
}

#[test]
fn violations_name_clients_where_the_concurrency_is_known() {
    let register = find_model("register").expect("a model");
    let history = notation::parse("0:w1 ok; 5:w2 ok; 3:r1 ok").expect("a history");
    let mut checker = OnlineChecker::new(register, Limits::default()).with_concurrency(3);
    let fed = history.events().iter().map(|event| checker.feed(event).expect("well-formed"));
    let anomaly = fed.flatten().next().expect("a stale read");
    let message = "client 0 read 1, which no order of the operations until then explains";
    assert_eq!(anomaly.message, message);
}
