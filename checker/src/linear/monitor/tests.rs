//! Compares the monitors with the obvious twin on every small history, and with the search on
//! random ones: the verdict, and who is accused.

use super::super::engine::{Budget, Stop};
use super::super::partition::partition;
use super::super::search::Question;
use super::super::twin;
use crate::check::Keyed;
use crate::history::{Event, History, Kind, Process, Value};
use crate::model;

/// Something begins, with its place, or ends.
#[derive(Clone, Copy)]
enum Step {
    Begin(usize),
    End(usize),
}

/// Every way in which some operations can overlap, some of them without an end.
fn shapes(count: usize) -> Vec<Vec<Step>> {
    fn grow(count: usize, begun: usize, open: &[usize], shape: &[Step], all: &mut Vec<Vec<Step>>) {
        if begun == count {
            all.push(shape.to_vec());
        } else {
            let open = [open, &[begun]].concat();
            let shape = [shape, &[Step::Begin(begun)]].concat();
            grow(count, begun + 1, &open, &shape, all);
        }
        for (place, op) in open.iter().enumerate() {
            let rest = [&open[..place], &open[place + 1..]].concat();
            grow(count, begun, &rest, &[shape, &[Step::End(*op)]].concat(), all);
        }
    }
    let mut all = Vec::new();
    grow(count, 0, &[], &[], &mut all);
    all
}

/// The model, what puts and what takes.
const OBJECTS: [(&str, &str, &str); 4] = [
    ("fifo-queue", "enqueue", "dequeue"),
    ("register", "write", "read"),
    ("stack", "push", "pop"),
    ("unordered-queue", "enqueue", "dequeue"),
];

/// The history of a shape: an operation labelled 0 puts a value of its own, others take the value
/// of an earlier label, or nothing.
fn history(shape: &[Step], labels: &[usize], (_, put, take): (&str, &str, &str)) -> History {
    let events = shape.iter().enumerate().map(|(index, step)| {
        let (kind, op) = match step {
            Step::Begin(op) => (Kind::Invoke, *op),
            Step::End(op) => (Kind::Ok, *op),
        };
        let value = match (labels[op], kind) {
            (0, _) => Value::Int(op as i64),
            (1, _) | (_, Kind::Invoke) => Value::Nil,
            (label, _) => Value::Int(label as i64 - 2),
        };
        let f = if labels[op] == 0 { put } else { take }.to_owned();
        let (index, process) = (index as u64, Process::Client(op as u64));
        Event { index, time: index, kind, process, f, value, node: None, error: None }
    });
    History::new(events.collect()).expect("each process has one operation")
}

/// Compares, and says what the monitor said.
fn compare(history: &History, name: &str, with_twin: bool) -> Option<bool> {
    let model = model::named(name).expect("it is there");
    let objects = partition(history, model, Keyed::No).expect("it suits the model");
    let object = objects.first()?;
    let initial = [model.initial()];
    let answer = super::decide(model, &initial, &object.ops)?;
    if with_twin {
        assert_eq!(answer.is_ok(), twin::linearizable(history, model), "{name} {history:?}");
    }
    if answer.is_err() || !with_twin {
        let budget = Budget { memory_bytes: usize::MAX, expired: &|| false };
        let found = Question::new(model, &initial, &object.ops, budget).decide().answer;
        assert_eq!(answer.map_err(Stop::Illegal), found, "{name} {history:?}");
    }
    Some(answer.is_ok())
}

/// Every labelling of every shape, or every so many of them.
fn sweep(object: (&str, &str, &str), count: usize, stride: usize) -> (usize, usize) {
    let mut answers = (0, 0);
    let kinds = count + 2;
    for (number, shape) in shapes(count).iter().enumerate() {
        for code in (number % stride..kinds.pow(count as u32)).step_by(stride) {
            let labels: Vec<usize> =
                (0..count).map(|op| code / kinds.pow(op as u32) % kinds).collect();
            match compare(&history(shape, &labels, object), object.0, true) {
                Some(true) => answers.0 += 1,
                Some(false) => answers.1 += 1,
                None => {}
            }
        }
    }
    answers
}

#[test]
fn monitors_agree_with_the_twin_on_small_histories() {
    for object in OBJECTS {
        for (count, stride) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 2503)] {
            let (legal, illegal) = sweep(object, count, stride);
            assert!(legal > 0 && illegal > 0, "{} {count}: {legal}, {illegal}", object.0);
        }
    }
}

/// Pairs of a put and its take in every order that matters, at random: mostly legal or nearly so.
#[test]
fn monitors_agree_with_the_search_on_larger_histories() {
    let mut seed = 11_u64;
    let mut draw = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    let mut answers = [0, 0];
    for round in 0..12_000 {
        let object = OBJECTS[round % OBJECTS.len()];
        let count = 4 + draw(9);
        let mut labels = vec![0; count];
        let mut puts = vec![];
        for (op, label) in labels.iter_mut().enumerate() {
            match draw(9) {
                0 => *label = 1,
                1..=4 if !puts.is_empty() => *label = 2 + puts.swap_remove(draw(puts.len())),
                _ => puts.push(op),
            }
        }
        let (mut shape, mut open) = (Vec::new(), Vec::new());
        for op in 0..count {
            shape.push(Step::Begin(op));
            open.push(op);
            while !open.is_empty() && draw(5) < 2 {
                shape.push(Step::End(open.swap_remove(draw(open.len()))));
            }
        }
        while !open.is_empty() && draw(4) > 0 {
            shape.push(Step::End(open.swap_remove(draw(open.len()))));
        }
        if let Some(legal) = compare(&history(&shape, &labels, object), object.0, false) {
            answers[usize::from(legal)] += 1;
        }
    }
    assert!(answers.iter().all(|count| *count > 1500), "{answers:?}");
}
