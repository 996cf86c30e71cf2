//! Compares the kafka check with the definition of each anomaly, by comparing all pairs.

use std::collections::BTreeSet;

use super::random::{DrawnCall, RandomDraw, count, end, history, output};
use crate::history::{Kind, Operation, Value};

/// The log of one key, and calls whose outputs are mostly correct.
#[derive(Default)]
struct MessageLog {
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

impl MessageLog {
    fn call(&mut self, draw: &mut RandomDraw) -> DrawnCall {
        match draw.below(16) {
            0..=5 => self.send(draw),
            15 if draw.below(2) == 0 => {
                (["assign", "subscribe"][draw.below(2) as usize], Value::Nil, Value::Nil)
            }
            _ => self.poll(draw),
        }
    }

    fn send(&mut self, draw: &mut RandomDraw) -> DrawnCall {
        self.sent += i64::from(draw.below(12) > 0);
        // Some messages are never appended, some are appended at another offset.
        if draw.below(8) > 0 {
            self.log.push(self.sent);
        }
        let offset = self.log.len() as i64 - 1 - i64::from(draw.below(12) == 0);
        let asked = micro("send", vec![Value::from("k"), Value::Int(self.sent)]);
        let shown = micro("send", vec![Value::from("k"), message(offset.max(0), self.sent)]);
        ("send", asked, shown)
    }

    fn poll(&mut self, draw: &mut RandomDraw) -> DrawnCall {
        let room = self.log.len() as u64 + 1;
        self.at = if draw.below(4) == 0 { draw.below(room) as usize } else { self.at };
        self.at += usize::from(draw.below(4) == 0);
        let to = self.log.len().min(self.at + 1 + draw.below(4) as usize);
        let range = self.at.min(to)..to;
        self.at = to;
        let value = |at: usize, draw: &mut RandomDraw| match draw.below(16) {
            0 => self.sent + 1,
            _ => self.log[at],
        };
        let given: Vec<usize> = range.filter(|_| draw.below(5) > 0).collect();
        let shown = given.into_iter().map(|at| message(at as i64, value(at, draw)));
        let shown: Vec<Value> = shown.collect();
        let logs = Value::map([("k".to_owned(), Value::from(shown))]);
        ("poll", micro("poll", Vec::new()), micro("poll", vec![logs]))
    }
}

/// The items of an operation's only micro-operation.
fn words(value: &Value) -> Vec<Value> {
    let Value::List(micros) = value else { return Vec::new() };
    match micros.first() {
        Some(Value::List(words)) => words.to_vec(),
        _ => Vec::new(),
    }
}

/// A value that an operation shows at an offset.
struct ShownValue<'o> {
    op: &'o Operation,
    offset: i64,
    value: Value,
    sent: bool,
}

fn shown(op: &Operation) -> Vec<ShownValue<'_>> {
    let pair = |it: &Value| match it.as_pair() {
        Some((Value::Int(offset), value)) => (*offset, value.clone()),
        _ => panic!("no message: {it}"),
    };
    let shown = |(offset, value)| ShownValue { op, offset, value, sent: op.f == "send" };
    match (op.f.as_str(), op.is_ok()) {
        ("send", true) => vec![shown(pair(&words(output(op))[2]))],
        ("poll", true) => {
            let Value::Map(logs) = &words(output(op))[1] else { return Vec::new() };
            let Value::List(messages) = &logs[0].1 else { return Vec::new() };
            messages.iter().map(|it| shown(pair(it))).collect()
        }
        _ => Vec::new(),
    }
}

fn all(ops: &[Operation]) -> Vec<ShownValue<'_>> {
    ops.iter().flat_map(shown).collect()
}

fn polls(ops: &[Operation]) -> Vec<ShownValue<'_>> {
    all(ops).into_iter().filter(|shown| !shown.sent).collect()
}

/// Every attempt to send a value.
fn attempts<'o>(ops: &'o [Operation], value: &Value) -> Vec<&'o Operation> {
    ops.iter().filter(|op| op.f == "send" && words(&op.input)[2] == *value).collect()
}

/// The value at an offset: the first one that an operation shows.
fn at(ops: &[Operation], offset: i64) -> Option<Value> {
    all(ops).into_iter().find(|shown| shown.offset == offset).map(|shown| shown.value)
}

fn offsets(ops: &[Operation]) -> BTreeSet<i64> {
    all(ops).iter().map(|shown| shown.offset).collect()
}

/// The steps of all consumers, from one offset to the next.
fn steps(ops: &[Operation]) -> Vec<(i64, i64)> {
    let mut steps = Vec::new();
    for (place, op) in ops.iter().enumerate() {
        let own: Vec<&Operation> =
            ops[..=place].iter().filter(|it| it.process == op.process && it.is_ok()).collect();
        let moved = |f: &str| own.iter().rposition(|it| it.f == f);
        let subscribed = moved("subscribe").is_some();
        let from = if subscribed { own.len() - 1 } else { moved("assign").map_or(0, |at| at + 1) };
        let before = own[from.min(own.len())..].iter().flat_map(|it| shown(it));
        let seen: Vec<i64> = before.filter(|shown| !shown.sent).map(|shown| shown.offset).collect();
        let fresh = shown(op).iter().filter(|shown| !shown.sent).count();
        let first = (seen.len() - fresh).max(1);
        steps.extend((first..seen.len()).map(|at| (seen[at - 1], seen[at])));
    }
    steps
}

/// Compares counts over many seeds, each with its own log.
#[track_caller]
fn check(kind: &str, expected: impl Fn(&[Operation]) -> usize) {
    let mut met = 0;
    for seed in 0..3000 {
        let mut store = MessageLog::default();
        let events = 8 + (seed % 32) as usize;
        let history = history(seed, events, &mut |draw: &mut RandomDraw| store.call(draw));
        let wanted = expected(history.operations());
        assert_eq!(count("kafka", &history, kind), wanted, "{kind}, seed {seed}: {history:?}");
        met += usize::from(wanted > 0);
    }
    assert!((30..2970).contains(&met), "{kind}: {met}");
}

#[test]
fn offset_anomalies_agree_with_their_definition() {
    check("inconsistent-offsets", |ops| {
        all(ops).iter().filter(|shown| at(ops, shown.offset).as_ref() != Some(&shown.value)).count()
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
        let sends: Vec<ShownValue<'_>> = all(ops).into_iter().filter(|shown| shown.sent).collect();
        let back = |place: &usize| {
            let (before, send) = (&sends[..*place], &sends[*place]);
            let last = before.iter().rev().find(|other| other.op.process == send.op.process);
            last.is_some_and(|last| last.offset >= send.offset)
        };
        (0..sends.len()).filter(back).count()
    });
}

#[test]
fn source_anomalies_agree_with_their_definition() {
    let from_nowhere = |ops: &[Operation], refused: bool| {
        let polls = polls(ops);
        let values: BTreeSet<&Value> = polls.iter().map(|shown| &shown.value).collect();
        let wrong = |value: &&&Value| {
            let sends = attempts(ops, value);
            let early = |shown: &ShownValue<'_>| {
                let possible = sends.iter().filter(|send| send.kind() != Kind::Fail);
                shown.value == ***value
                    && possible.clone().all(|send| send.invoked.index > end(shown.op))
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
fn consumer_anomalies_agree_with_their_definition() {
    check("nonmonotonic-poll", |ops| steps(ops).iter().filter(|(from, to)| to <= from).count());
    check("poll-skip", |ops| {
        let polls = polls(ops);
        let over = |(from, to): &&(i64, i64)| {
            polls.iter().any(|shown| *from < shown.offset && shown.offset < *to)
        };
        steps(ops).iter().filter(over).count()
    });
    check("lost-write", |ops| {
        let (steps, polls) = (steps(ops), polls(ops));
        let acknowledged: BTreeSet<i64> =
            all(ops).iter().filter(|shown| shown.sent).map(|shown| shown.offset).collect();
        let lost = |offset: &&i64| {
            let given = polls.iter().any(|shown| Some(&shown.value) == at(ops, **offset).as_ref());
            !given && steps.iter().any(|(from, to)| from < *offset && *offset < to)
        };
        acknowledged.iter().filter(lost).count()
    });
}

#[test]
fn a_poll_that_completed_before_the_send_is_unexpected() {
    let poll = "[[:poll {0 [[0 10]]}]]";
    let text = format!(
        "1:poll [[:poll]]; 2:poll [[:poll]] => {poll}; 0:send [[:send 0 10]] => [[:send 0 [0 \
         10]]]; 1:ok {poll}"
    );
    super::wrong("kafka", &text, "unexpected");
    let text = format!(
        "1:poll [[:poll]]; 2:poll [[:poll]]; 0:send [[:send 0 10]] => [[:send 0 [0 10]]]; 2:ok \
         {poll}; 1:ok {poll}"
    );
    super::valid("kafka", &text);
}

#[test]
fn assign_and_subscribe_reset_the_position_of_a_consumer() {
    let poll = |offset: i64| format!("1:poll [[:poll]] => [[:poll {{0 [[{offset} {offset}]]}}]]; ");
    let of = |text: &str| steps(super::history(text).operations());
    assert_eq!(of(&[poll(0), poll(2)].concat()), [(0, 2)]);
    assert_eq!(of(&[poll(0), "1:assign 0 => 0; ".to_owned(), poll(2)].concat()), []);
    assert_eq!(of(&["1:subscribe 0 => 0; ".to_owned(), poll(0), poll(2)].concat()), []);
}
