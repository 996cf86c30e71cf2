//! Compares the log check with the definition of each of its kinds of wrong, tellings and steps compared in pairs.

use std::collections::BTreeSet;

use super::random::{Call, Draw, count, end, history, output};
use crate::history::{Kind, Operation, Value};

/// One key's log as it is, and calls that mostly tell the truth about it.
#[derive(Default)]
struct Store {
    log: Vec<i64>,
    sent: i64,
    at: usize,
}

fn message(offset: i64, value: i64) -> Value {
    Value::pair(offset, value)
}

fn micro(f: &str, rest: Vec<Value>) -> Value {
    let words: Vec<Value> = [Value::from(f)].into_iter().chain(rest).collect();
    Value::from(vec![Value::from(words)])
}

impl Store {
    fn call(&mut self, draw: &mut Draw) -> Call {
        match draw.below(16) {
            0..=5 => self.send(draw),
            15 if draw.below(2) == 0 => {
                (["assign", "subscribe"][draw.below(2) as usize], Value::Nil, Value::Nil)
            }
            _ => self.poll(draw),
        }
    }

    fn send(&mut self, draw: &mut Draw) -> Call {
        self.sent += i64::from(draw.below(12) > 0);
        // Some are put into the log by nobody, some at the wrong place.
        if draw.below(8) > 0 {
            self.log.push(self.sent);
        }
        let offset = self.log.len() as i64 - 1 - i64::from(draw.below(12) == 0);
        let asked = micro("send", vec![Value::from("k"), Value::Int(self.sent)]);
        let told = micro("send", vec![Value::from("k"), message(offset.max(0), self.sent)]);
        ("send", asked, told)
    }

    fn poll(&mut self, draw: &mut Draw) -> Call {
        let room = self.log.len() as u64 + 1;
        self.at = if draw.below(4) == 0 { draw.below(room) as usize } else { self.at };
        self.at += usize::from(draw.below(4) == 0);
        let to = self.log.len().min(self.at + 1 + draw.below(4) as usize);
        let range = self.at.min(to)..to;
        self.at = to;
        let value = |at: usize, draw: &mut Draw| match draw.below(16) {
            0 => self.sent + 1,
            _ => self.log[at],
        };
        let given: Vec<usize> = range.filter(|_| draw.below(5) > 0).collect();
        let told = given.into_iter().map(|at| message(at as i64, value(at, draw)));
        let told: Vec<Value> = told.collect();
        let logs = Value::map([("k".to_owned(), Value::from(told))]);
        ("poll", micro("poll", Vec::new()), micro("poll", vec![logs]))
    }
}

/// The words of an operation's only micro-operation.
fn words(value: &Value) -> Vec<Value> {
    let Value::List(micros) = value else { return Vec::new() };
    match micros.first() {
        Some(Value::List(words)) => words.to_vec(),
        _ => Vec::new(),
    }
}

/// A value that was told to stand at an offset.
struct Told<'o> {
    op: &'o Operation,
    offset: i64,
    value: Value,
    sent: bool,
}

fn told(op: &Operation) -> Vec<Told<'_>> {
    let pair = |it: &Value| match it.as_pair() {
        Some((Value::Int(offset), value)) => (*offset, value.clone()),
        _ => panic!("no message: {it}"),
    };
    let told = |(offset, value)| Told { op, offset, value, sent: op.f == "send" };
    match (op.f.as_str(), op.is_ok()) {
        ("send", true) => vec![told(pair(&words(output(op))[2]))],
        ("poll", true) => {
            let Value::Map(logs) = &words(output(op))[1] else { return Vec::new() };
            let Value::List(messages) = &logs[0].1 else { return Vec::new() };
            messages.iter().map(|it| told(pair(it))).collect()
        }
        _ => Vec::new(),
    }
}

fn all(ops: &[Operation]) -> Vec<Told<'_>> {
    ops.iter().flat_map(told).collect()
}

fn polls(ops: &[Operation]) -> Vec<Told<'_>> {
    all(ops).into_iter().filter(|told| !told.sent).collect()
}

/// Every attempt to send a value.
fn attempts<'o>(ops: &'o [Operation], value: &Value) -> Vec<&'o Operation> {
    ops.iter().filter(|op| op.f == "send" && words(&op.input)[2] == *value).collect()
}

/// What stands at an offset: what was told of it first.
fn at(ops: &[Operation], offset: i64) -> Option<Value> {
    all(ops).into_iter().find(|told| told.offset == offset).map(|told| told.value)
}

fn offsets(ops: &[Operation]) -> BTreeSet<i64> {
    all(ops).iter().map(|told| told.offset).collect()
}

/// From which offset to which consumers went, step by step.
fn steps(ops: &[Operation]) -> Vec<(i64, i64)> {
    let mut steps = Vec::new();
    for (place, op) in ops.iter().enumerate() {
        let own: Vec<&Operation> =
            ops[..=place].iter().filter(|it| it.process == op.process && it.is_ok()).collect();
        let moved = |f: &str| own.iter().rposition(|it| it.f == f);
        let subscribed = moved("subscribe").is_some();
        let from = if subscribed { own.len() - 1 } else { moved("assign").map_or(0, |at| at + 1) };
        let before = own[from.min(own.len())..].iter().flat_map(|it| told(it));
        let seen: Vec<i64> = before.filter(|told| !told.sent).map(|told| told.offset).collect();
        let fresh = told(op).iter().filter(|told| !told.sent).count();
        let first = (seen.len() - fresh).max(1);
        steps.extend((first..seen.len()).map(|at| (seen[at - 1], seen[at])));
    }
    steps
}

/// Compares counts over many seeds, each with a log of its own.
#[track_caller]
fn check(kind: &str, twin: impl Fn(&[Operation]) -> usize) {
    let mut met = 0;
    for seed in 0..3000 {
        let mut store = Store::default();
        let events = 8 + (seed % 32) as usize;
        let history = history(seed, events, &mut |draw: &mut Draw| store.call(draw));
        let wanted = twin(history.operations());
        assert_eq!(count("kafka", &history, kind), wanted, "{kind}, seed {seed}: {history:?}");
        met += usize::from(wanted > 0);
    }
    assert!((30..2970).contains(&met), "{kind}: {met}");
}

#[test]
fn offsets_agree_with_a_comparison_of_all_tellings() {
    check("inconsistent-offsets", |ops| {
        all(ops).iter().filter(|told| at(ops, told.offset).as_ref() != Some(&told.value)).count()
    });
    check("duplicate", |ops| {
        let again = |offset: &&i64| {
            let value = at(ops, **offset);
            let once = value.as_ref().is_some_and(|value| attempts(ops, value).len() < 2);
            once && offsets(ops).range(..**offset).any(|other| at(ops, *other) == value)
        };
        offsets(ops).iter().filter(again).count()
    });
    check("nonmonotonic-send", |ops| {
        let sends: Vec<Told<'_>> = all(ops).into_iter().filter(|told| told.sent).collect();
        let back = |place: &usize| {
            let (before, send) = (&sends[..*place], &sends[*place]);
            let last = before.iter().rev().find(|other| other.op.process == send.op.process);
            last.is_some_and(|last| last.offset >= send.offset)
        };
        (0..sends.len()).filter(back).count()
    });
}

#[test]
fn sources_agree_with_a_comparison_of_every_poll_with_every_send() {
    let from_nowhere = |ops: &[Operation], refused: bool| {
        let polls = polls(ops);
        let values: BTreeSet<&Value> = polls.iter().map(|told| &told.value).collect();
        let wrong = |value: &&&Value| {
            let sends = attempts(ops, value);
            let early = |told: &Told<'_>| {
                let possible = sends.iter().filter(|send| send.kind() != Kind::Fail);
                told.value == ***value
                    && possible.clone().all(|send| send.invoked.index > end(told.op))
            };
            let failed = sends.iter().any(|send| send.kind() == Kind::Fail);
            polls.iter().any(early) && failed == refused
        };
        values.iter().filter(wrong).count()
    };
    check("unexpected", |ops| from_nowhere(ops, false));
    check("aborted-read", |ops| from_nowhere(ops, true));
}

#[test]
fn consumers_agree_with_a_comparison_of_every_step_with_every_offset() {
    check("nonmonotonic-poll", |ops| steps(ops).iter().filter(|(from, to)| to <= from).count());
    check("poll-skip", |ops| {
        let polls = polls(ops);
        let over = |(from, to): &&(i64, i64)| {
            polls.iter().any(|told| *from < told.offset && told.offset < *to)
        };
        steps(ops).iter().filter(over).count()
    });
    check("lost-write", |ops| {
        let (steps, polls) = (steps(ops), polls(ops));
        let acknowledged: BTreeSet<i64> =
            all(ops).iter().filter(|told| told.sent).map(|told| told.offset).collect();
        let lost = |offset: &&i64| {
            let given = polls.iter().any(|told| Some(&told.value) == at(ops, **offset).as_ref());
            !given && steps.iter().any(|(from, to)| from < *offset && *offset < to)
        };
        acknowledged.iter().filter(lost).count()
    });
}

#[test]
fn a_poll_that_was_over_before_the_send_began_convicts_though_another_began_before_it() {
    let poll = "[[:poll {0 [[0 10]]}]]";
    let text = format!(
        "1:poll [[:poll]]; 2:poll [[:poll]] => {poll}; 0:send [[:send 0 10]] => [[:send 0 [0 10]]]; 1:ok {poll}"
    );
    super::wrong("kafka", &text, "unexpected");
    let text = format!(
        "1:poll [[:poll]]; 2:poll [[:poll]]; 0:send [[:send 0 10]] => [[:send 0 [0 10]]]; 2:ok {poll}; 1:ok {poll}"
    );
    super::valid("kafka", &text);
}

#[test]
fn a_log_has_steps_only_where_its_consumer_stayed() {
    let poll = |offset: i64| format!("1:poll [[:poll]] => [[:poll {{0 [[{offset} {offset}]]}}]]; ");
    let of = |text: &str| steps(super::history(text).operations());
    assert_eq!(of(&[poll(0), poll(2)].concat()), [(0, 2)]);
    assert_eq!(of(&[poll(0), "1:assign 0 => 0; ".to_owned(), poll(2)].concat()), []);
    assert_eq!(of(&["1:subscribe 0 => 0; ".to_owned(), poll(0), poll(2)].concat()), []);
}
