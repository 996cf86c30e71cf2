//! Compares the monitors with the obvious twin on every small history, and with the search on
//! random ones: the verdict, and who is accused.

use super::super::engine::{Budget, Stop};
use super::super::partition::partition;
use super::super::search::Question;
use super::super::{deep, twin};
use crate::check::{Keyed, Limits};
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

/// A model, and the calls that small histories of it are made of.
#[derive(Clone, Copy)]
struct Kit {
    model: &'static str,
    /// How many calls each of so many operations chooses from.
    kinds: fn(usize) -> usize,
    /// The call of that number made by that operation of so many: function, argument and answer.
    call: fn(usize, usize, usize) -> (&'static str, Value, Value),
}

const KITS: [Kit; 8] = [
    Kit { model: "cas-register", kinds: |count| 3 + 2 * count, call: cas_call },
    Kit { model: "counter", kinds: |count| 2 + count, call: counter_call },
    Kit {
        model: "fifo-queue",
        kinds: |count| 2 + count,
        call: |kind, op, _| traffic("enqueue", "dequeue", kind, op),
    },
    Kit { model: "lock", kinds: |_| 6, call: lock_call },
    Kit {
        model: "register",
        kinds: |count| 2 + count,
        call: |kind, op, _| traffic("write", "read", kind, op),
    },
    Kit { model: "set", kinds: |count| 1 + (1 << count), call: set_call },
    Kit {
        model: "stack",
        kinds: |count| 2 + count,
        call: |kind, op, _| traffic("push", "pop", kind, op),
    },
    Kit {
        model: "unordered-queue",
        kinds: |count| 2 + count,
        call: |kind, op, _| traffic("enqueue", "dequeue", kind, op),
    },
];

/// Kind 0 puts a value of its own, others take the value of an operation, or nothing.
fn traffic(
    put: &'static str,
    take: &'static str,
    kind: usize,
    op: usize,
) -> (&'static str, Value, Value) {
    match kind {
        0 => (put, Value::Int(op as i64), Value::Int(op as i64)),
        1 => (take, Value::Nil, Value::Nil),
        _ => (take, Value::Nil, Value::Int(kind as i64 - 2)),
    }
}

/// The same, and compare-and-sets from nil or any operation's value to one of its own.
fn cas_call(kind: usize, op: usize, count: usize) -> (&'static str, Value, Value) {
    let Some(from) = kind.checked_sub(count + 2) else { return traffic("write", "read", kind, op) };
    let old = if from == 0 { Value::Nil } else { Value::Int(from as i64 - 1) };
    let pair = Value::from(vec![old, Value::Int(op as i64)]);
    ("cas", pair.clone(), pair)
}

/// Adds 2, or reads as much as some operations can have added.
fn counter_call(kind: usize, _: usize, _: usize) -> (&'static str, Value, Value) {
    match kind {
        0 => ("add", Value::Int(2), Value::Int(2)),
        _ => ("read", Value::Nil, Value::Int(2 * (kind as i64 - 1))),
    }
}

/// Three holders take and give back.
fn lock_call(kind: usize, _: usize, _: usize) -> (&'static str, Value, Value) {
    let holder = Value::Int((kind / 2) as i64);
    (["acquire", "release"][kind % 2], holder.clone(), holder)
}

/// Adds an element of its own, or reads some of those that operations can have added.
fn set_call(kind: usize, op: usize, count: usize) -> (&'static str, Value, Value) {
    let Some(some) = kind.checked_sub(1) else {
        return ("add", Value::Int(op as i64), Value::Int(op as i64));
    };
    let held = (0..count).filter(|element| some >> element & 1 == 1);
    ("read", Value::Nil, Value::List(held.map(|element| Value::Int(element as i64)).collect()))
}

/// The history of a shape in which each operation makes the call of its label.
fn history(shape: &[Step], labels: &[usize], kit: Kit) -> History {
    let calls: Vec<_> =
        labels.iter().enumerate().map(|(op, kind)| (kit.call)(*kind, op, labels.len())).collect();
    calls_history(shape, &calls)
}

fn calls_history(shape: &[Step], calls: &[(&str, Value, Value)]) -> History {
    let events = shape.iter().enumerate().map(|(index, step)| {
        let (kind, op) = match step {
            Step::Begin(op) => (Kind::Invoke, *op),
            Step::End(op) => (Kind::Ok, *op),
        };
        let (f, input, output) = &calls[op];
        let value = if kind == Kind::Ok { output } else { input }.clone();
        let (index, process) = (index as u64, Process::Client(op as u64));
        Event { index, time: index, kind, process, f: (*f).into(), value, node: None, error: None }
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
        let budget = Budget::of(&Limits { memory_bytes: usize::MAX, ..Limits::default() });
        let found = Question::new(model, &initial, &object.ops, budget).decide().answer;
        assert_eq!(answer.map_err(Stop::Illegal), found, "{name} {history:?}");
    }
    Some(answer.is_ok())
}

/// Every labelling of every shape, or every so many of them.
fn sweep(kit: Kit, count: usize, stride: usize) -> (usize, usize) {
    let mut answers = (0, 0);
    let kinds = (kit.kinds)(count);
    for (number, shape) in shapes(count).iter().enumerate() {
        for code in (number % stride..kinds.pow(count as u32)).step_by(stride) {
            let labels: Vec<usize> =
                (0..count).map(|op| code / kinds.pow(op as u32) % kinds).collect();
            match compare(&history(shape, &labels, kit), kit.model, true) {
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
    for kit in KITS {
        for (count, most) in
            [(1, 1_000_000), (2, 1_000_000), (3, 1_000_000), (4, 400_000), (5, 40_000)]
        {
            let all = shapes(count).len() * (kit.kinds)(count).pow(count as u32);
            // A prime, so that it meets every label of every place.
            let stride = if all <= most {
                1
            } else {
                [7, 31, 211, 2503, 50_021]
                    .into_iter()
                    .find(|it| all / it <= most)
                    .unwrap_or(1_000_003)
            };
            let (legal, illegal) = sweep(kit, count, stride);
            assert!(
                illegal + usize::from(count == 1) > 0 && (legal > 0 || stride > 1),
                "{} {count}: {legal}, {illegal}",
                kit.model
            );
        }
    }
}

struct Draw(u64);

impl Draw {
    fn below(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn shape(&mut self, count: usize) -> Vec<Step> {
        let (mut shape, mut open) = (Vec::new(), Vec::new());
        for op in 0..count {
            shape.push(Step::Begin(op));
            open.push(op);
            while !open.is_empty() && self.below(5) < 2 {
                shape.push(Step::End(open.swap_remove(self.below(open.len()))));
            }
        }
        while !open.is_empty() && self.below(4) > 0 {
            shape.push(Step::End(open.swap_remove(self.below(open.len()))));
        }
        shape
    }

    /// What one copy answers, each operation at some moment while it is open; now and then it lies.
    fn calls(
        &mut self,
        shape: &[Step],
        count: usize,
        kit: Kit,
    ) -> Vec<(&'static str, Value, Value)> {
        let model = model::named(kit.model).expect("it is there");
        let mut state = model.initial();
        let mut calls: Vec<_> = (0..count).map(|op| (kit.call)(0, op, count)).collect();
        let mut waiting = Vec::new();
        for step in shape {
            match step {
                Step::Begin(op) => waiting.push(*op),
                Step::End(op) if waiting.contains(op) => {
                    let place = waiting.iter().position(|it| it == op).expect("it is there");
                    waiting[place..].rotate_left(1);
                    self.happen(waiting.pop(), &mut state, &mut calls, kit);
                }
                Step::End(_) => {}
            }
            if !waiting.is_empty() && self.below(2) == 0 {
                let one = waiting.swap_remove(self.below(waiting.len()));
                self.happen(Some(one), &mut state, &mut calls, kit);
            }
        }
        calls
    }

    /// A call that the state permits, if a few draws find one, or one that it does not.
    fn happen(
        &mut self,
        op: Option<usize>,
        state: &mut Value,
        calls: &mut [(&'static str, Value, Value)],
        kit: Kit,
    ) {
        let (Some(op), count) = (op, calls.len()) else { return };
        let model = model::named(kit.model).expect("it is there");
        let lies = self.below(24) == 0;
        for _ in 0..40 {
            calls[op] = (kit.call)(self.below((kit.kinds)(count)), op, count);
            let (f, input, output) = calls[op].clone();
            let call = model::Call { f: f.into(), input, seen: model::Seen::Output(output) };
            match model.step(state, &call) {
                Ok(after) if !lies => {
                    *state = after;
                    return;
                }
                Err(_) if lies => return,
                _ => {}
            }
        }
        calls[op] = (kit.call)(0, op, count);
    }
}

/// Mostly legal, or nearly so.
#[test]
fn monitors_agree_with_the_search_on_larger_histories() {
    let mut draw = Draw(11);
    for kit in KITS {
        let mut answers = [0, 0];
        for _ in 0..deep(3000) {
            let count = 4 + draw.below(if kit.model == "set" { 5 } else { 9 });
            let shape = draw.shape(count);
            let calls = draw.calls(&shape, count, kit);
            if let Some(legal) = compare(&calls_history(&shape, &calls), kit.model, false) {
                answers[usize::from(legal)] += 1;
            }
        }
        // Most histories of a lock have an answer of unknown effect, of which the monitor says nothing.
        let floor = if kit.model == "lock" { 25 } else { 300 };
        assert!(answers.iter().all(|count| *count > floor), "{}: {answers:?}", kit.model);
    }
}
