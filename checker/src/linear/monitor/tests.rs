//! Compares the monitors with brute force on every small history, and with the search on random
//! ones: the verdict, and the accused operation.

use super::super::engine::{Budget, Stop};
use super::super::partition::partition;
use super::super::search::SearchQuery;
use super::super::{brute_force, deep};
use crate::history::{Event, History, Kind, Process, Value};
use crate::model;
use crate::verdict::{Keyed, Limits};

/// An invocation, with its position, or a return.
#[derive(Clone, Copy)]
enum KitStep {
    Begin(usize),
    End(usize),
}

/// Every way in which some operations can overlap, some of them without a return.
fn shapes(count: usize) -> Vec<Vec<KitStep>> {
    fn grow(
        count: usize,
        begun: usize,
        open: &[usize],
        shape: &[KitStep],
        all: &mut Vec<Vec<KitStep>>,
    ) {
        if begun == count {
            all.push(shape.to_vec());
        } else {
            let open = [open, &[begun]].concat();
            let shape = [shape, &[KitStep::Begin(begun)]].concat();
            grow(count, begun + 1, &open, &shape, all);
        }
        for (place, op) in open.iter().enumerate() {
            let rest = [&open[..place], &open[place + 1..]].concat();
            grow(count, begun, &rest, &[shape, &[KitStep::End(*op)]].concat(), all);
        }
    }
    let mut all = Vec::new();
    grow(count, 0, &[], &[], &mut all);
    all
}

/// A model, and the calls that small histories of it are made of.
#[derive(Clone, Copy)]
struct FunctionKit {
    model: &'static str,
    /// How many calls each of so many operations can make.
    kinds: fn(usize) -> usize,
    /// The call of that number by one of so many operations: function, argument and response.
    call: fn(usize, usize, usize) -> (&'static str, Value, Value),
}

const KITS: [FunctionKit; 10] = [
    FunctionKit { model: "append-list", kinds: |count| 2 + sequences(count + 1), call: list_call },
    FunctionKit { model: "cas-register", kinds: |count| 3 + 2 * count, call: cas_call },
    FunctionKit { model: "counter", kinds: |count| 2 + count, call: counter_call },
    FunctionKit {
        model: "fifo-queue",
        kinds: |count| 2 + count,
        call: |kind, op, _| queue("enqueue", "dequeue", kind, op),
    },
    FunctionKit { model: "kv", kinds: |count| 3 + sequences(2 * count + 1), call: text_call },
    FunctionKit { model: "lock", kinds: |_| 6, call: lock_call },
    FunctionKit {
        model: "register",
        kinds: |count| 2 + count,
        call: |kind, op, _| queue("write", "read", kind, op),
    },
    FunctionKit { model: "set", kinds: |count| 1 + (1 << count), call: set_call },
    FunctionKit {
        model: "stack",
        kinds: |count| 2 + count,
        call: |kind, op, _| queue("push", "pop", kind, op),
    },
    FunctionKit {
        model: "unordered-queue",
        kinds: |count| 2 + count,
        call: |kind, op, _| queue("enqueue", "dequeue", kind, op),
    },
];

/// Kind 0 puts a value of its own; others take the value of an operation, or nothing.
fn queue(
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
    let Some(from) = kind.checked_sub(count + 2) else { return queue("write", "read", kind, op) };
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

/// Three holders acquire and release.
fn lock_call(kind: usize, _: usize, _: usize) -> (&'static str, Value, Value) {
    let holder = Value::Int((kind / 2) as i64);
    (["acquire", "release"][kind % 2], holder.clone(), holder)
}

/// Adds an element of its own, or reads some of the possible elements.
fn set_call(kind: usize, op: usize, count: usize) -> (&'static str, Value, Value) {
    let Some(some) = kind.checked_sub(1) else {
        return ("add", Value::Int(op as i64), Value::Int(op as i64));
    };
    let held = (0..count).filter(|element| some >> element & 1 == 1);
    ("read", Value::Nil, Value::List(held.map(|element| Value::Int(element as i64)).collect()))
}

/// The number of sequences of at most two of so many things.
fn sequences(of: usize) -> usize {
    1 + of + of * of
}

/// The sequence of that number.
fn sequence(number: usize, of: usize) -> Vec<usize> {
    match number {
        0 => Vec::new(),
        _ if number <= of => vec![number - 1],
        _ => vec![(number - 1 - of) / of, (number - 1 - of) % of],
    }
}

/// Appends an element of its own or a common one, or reads at most two of them.
fn list_call(kind: usize, op: usize, count: usize) -> (&'static str, Value, Value) {
    let element = |place: usize| Value::Int(place as i64);
    match kind {
        0 => ("append", element(op), element(op)),
        1 => ("append", element(count), element(count)),
        _ => {
            let shown = sequence(kind - 2, count + 1).into_iter().map(element);
            ("read", Value::Nil, Value::List(shown.collect()))
        }
    }
}

/// Appends a text of its own or a common one, puts one of its own, or gets at most two of them.
fn text_call(kind: usize, op: usize, count: usize) -> (&'static str, Value, Value) {
    let of_key = |text: &str| Value::pair("k", text);
    let part = |place: usize| match place {
        _ if place < count => format!("a{place};"),
        _ if place == count => "same;".to_owned(),
        _ => format!("p{};", place - count - 1),
    };
    let change = |f, place| (f, of_key(&part(place)), of_key(&part(place)));
    match kind {
        0 => change("append", op),
        1 => change("append", count),
        2 => change("put", count + 1 + op),
        _ => {
            let shown: String = sequence(kind - 3, 2 * count + 1).into_iter().map(part).collect();
            ("get", Value::pair("k", Value::Nil), of_key(&shown))
        }
    }
}

/// The history of a shape in which each operation makes the call of its label.
fn history(shape: &[KitStep], labels: &[usize], kit: FunctionKit) -> History {
    let calls: Vec<_> =
        labels.iter().enumerate().map(|(op, kind)| (kit.call)(*kind, op, labels.len())).collect();
    calls_history(shape, &calls)
}

fn calls_history(shape: &[KitStep], calls: &[(&str, Value, Value)]) -> History {
    let events = shape.iter().enumerate().map(|(index, step)| {
        let (kind, op) = match step {
            KitStep::Begin(op) => (Kind::Invoke, *op),
            KitStep::End(op) => (Kind::Ok, *op),
        };
        let (f, input, output) = &calls[op];
        let value = if kind == Kind::Ok { output } else { input }.clone();
        let (index, process) = (index as u64, Process::Client(op as u64));
        Event { index, time: index, kind, process, f: (*f).into(), value, node: None, error: None }
    });
    History::new(events.collect()).expect("each process has one operation")
}

/// Compares, and returns the answer of the monitor.
fn compare(history: &History, name: &str, with_twin: bool) -> Option<bool> {
    let model = model::find_model(name).expect("it is there");
    let objects = partition(history, model, Keyed::No).expect("it suits the model");
    let object = objects.first()?;
    let initial = [model.initial()];
    let answer = super::decide(model, &initial, &object.ops)?;
    if with_twin {
        assert_eq!(answer.is_ok(), brute_force::linearizable(history, model), "{name} {history:?}");
    }
    if answer.is_err() || !with_twin {
        let budget = Budget::from_limits(&Limits { memory_bytes: usize::MAX, ..Limits::default() });
        let found = SearchQuery::new(model, &initial, &object.ops, budget).decide().answer;
        assert_eq!(answer.map_err(Stop::Illegal), found, "{name} {history:?}");
    }
    Some(answer.is_ok())
}

/// Every labelling of every shape, or every n-th of them.
fn sweep(kit: FunctionKit, count: usize, stride: usize) -> (usize, usize) {
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
fn monitors_agree_with_brute_force_on_small_histories() {
    for kit in KITS {
        for (count, most) in
            [(1, 1_000_000), (2, 1_000_000), (3, 1_000_000), (4, 400_000), (5, 40_000)]
        {
            // Appended states have very many possible reads.
            let grows = ["append-list", "kv"].contains(&kit.model);
            if grows && count > 4 {
                continue;
            }
            let most = if grows { most / 10 } else { most };
            let all = shapes(count).len() * (kit.kinds)(count).pow(count as u32);
            // A prime, so that it reaches every label of every position.
            let stride = if all <= most {
                1
            } else {
                [7, 31, 211, 2503, 50_021, 1_000_003, 20_000_003]
                    .into_iter()
                    .find(|it| all / it <= most)
                    .expect("a prime is large enough")
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

struct MonitorDraw(u64);

impl MonitorDraw {
    fn below(&mut self, below: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below
    }

    fn static_facts(&mut self, count: usize) -> Vec<KitStep> {
        let (mut shape, mut open) = (Vec::new(), Vec::new());
        for op in 0..count {
            shape.push(KitStep::Begin(op));
            open.push(op);
            while !open.is_empty() && self.below(5) < 2 {
                shape.push(KitStep::End(open.swap_remove(self.below(open.len()))));
            }
        }
        while !open.is_empty() && self.below(4) > 0 {
            shape.push(KitStep::End(open.swap_remove(self.below(open.len()))));
        }
        shape
    }

    /// The responses of one copy, each operation taking effect while it is open; now and then one
    /// is false.
    fn calls(
        &mut self,
        shape: &[KitStep],
        count: usize,
        kit: FunctionKit,
    ) -> Vec<(&'static str, Value, Value)> {
        let model = model::find_model(kit.model).expect("it is there");
        let mut state = model.initial();
        let mut calls: Vec<_> = (0..count).map(|op| (kit.call)(0, op, count)).collect();
        let mut waiting = Vec::new();
        for step in shape {
            match step {
                KitStep::Begin(op) => waiting.push(*op),
                KitStep::End(op) if waiting.contains(op) => {
                    let place = waiting.iter().position(|it| it == op).expect("it is there");
                    waiting[place..].rotate_left(1);
                    self.happen(waiting.pop(), &mut state, &mut calls, kit);
                }
                KitStep::End(_) => {}
            }
            if !waiting.is_empty() && self.below(2) == 0 {
                let one = waiting.swap_remove(self.below(waiting.len()));
                self.happen(Some(one), &mut state, &mut calls, kit);
            }
        }
        calls
    }

    /// A call that the state permits, if a few draws find one, or else one that it does not.
    fn happen(
        &mut self,
        op: Option<usize>,
        state: &mut Value,
        calls: &mut [(&'static str, Value, Value)],
        kit: FunctionKit,
    ) {
        let (Some(op), count) = (op, calls.len()) else { return };
        let model = model::find_model(kit.model).expect("it is there");
        let lies = self.below(24) == 0;
        for _ in 0..40 {
            calls[op] = (kit.call)(self.below((kit.kinds)(count)), op, count);
            let (f, input, output) = calls[op].clone();
            let call =
                model::Call { f: f.into(), input, response: model::Response::Output(output) };
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
    let mut draw = MonitorDraw(11);
    for kit in KITS {
        let mut answers = [0, 0];
        // Appended states have a test of their own.
        let grows = ["append-list", "kv"].contains(&kit.model);
        for _ in 0..deep(if grows { 300 } else { 3000 }) {
            let count = 4 + draw.below(if grows || kit.model == "set" { 5 } else { 9 });
            let shape = draw.static_facts(count);
            let calls = draw.calls(&shape, count, kit);
            if let Some(legal) = compare(&calls_history(&shape, &calls), kit.model, false) {
                answers[usize::from(legal)] += 1;
            }
        }
        // Most histories of a lock have an unknown outcome, which the monitor declines.
        let floor = if grows || kit.model == "lock" { 25 } else { 300 };
        assert!(answers.iter().all(|count| *count > floor), "{}: {answers:?}", kit.model);
    }
}

/// The responses of one appended copy, and now and then a past, future or impossible state.
fn grown_calls(
    draw: &mut MonitorDraw,
    shape: &[KitStep],
    count: usize,
    lists: bool,
) -> Vec<(&'static str, Value, Value)> {
    let show = |held: &[usize]| match lists {
        true => Value::List(held.iter().map(|place| Value::Int(*place as i64)).collect()),
        false => {
            Value::pair("k", held.iter().map(|place| format!("x{place};")).collect::<String>())
        }
    };
    let asked = if lists { Value::Nil } else { Value::pair("k", Value::Nil) };
    let (mut held, mut past) = (Vec::new(), vec![Vec::new()]);
    let mut calls = vec![("", Value::Nil, Value::Nil); count];
    let happen =
        |op: usize, held: &mut Vec<usize>, past: &mut Vec<Vec<usize>>, draw: &mut MonitorDraw| {
            // Now and then an element that another operation appends as well.
            let element = if draw.below(9) == 0 { draw.below(count) } else { op };
            let one = if lists { Value::Int(element as i64) } else { show(&[element]) };
            match draw.below(8) {
                0 if !lists => {
                    *held = vec![element + 1000];
                    past.push(held.clone());
                    ("put", show(held), show(held))
                }
                0..4 => {
                    held.push(element);
                    past.push(held.clone());
                    ("append", one.clone(), one)
                }
                _ if draw.below(12) == 0 => {
                    let mut shown = past[draw.below(past.len())].clone();
                    if shown.len() > 1 && draw.below(2) == 0 {
                        let last = shown.len() - 1;
                        shown.swap(last, last - 1);
                    }
                    ("read", asked.clone(), show(&shown))
                }
                _ => ("read", asked.clone(), show(held)),
            }
        };
    let mut waiting: Vec<usize> = Vec::new();
    for step in shape {
        match step {
            KitStep::Begin(op) => waiting.push(*op),
            KitStep::End(op) => {
                while let Some(place) = waiting.iter().position(|it| it == op) {
                    let one = if draw.below(2) == 0 { place } else { draw.below(waiting.len()) };
                    let one = waiting.swap_remove(one);
                    calls[one] = happen(one, &mut held, &mut past, draw);
                }
            }
        }
    }
    for op in waiting {
        calls[op] = happen(op, &mut held, &mut past, draw);
    }
    calls
}

#[test]
fn append_monitor_agrees_with_the_search() {
    let mut draw = MonitorDraw(5);
    for (lists, model) in [(true, "append-list"), (false, "kv")] {
        let mut answers = [0, 0];
        for _ in 0..deep(1500) {
            let count = 4 + draw.below(7);
            let shape = draw.static_facts(count);
            let calls = grown_calls(&mut draw, &shape, count, lists);
            if let Some(legal) = compare(&calls_history(&shape, &calls), model, false) {
                answers[usize::from(legal)] += 1;
            }
        }
        assert!(answers.iter().all(|count| *count > 60), "{model}: {answers:?}");
    }
}

/// A state is possible at a moment iff the history with a read of it there is legal.
#[test]
fn states_between_events_are_those_a_read_could_return() {
    let mut draw = MonitorDraw(7);
    let (mut cuts, mut states) = (0, 0);
    for round in 0..deep(300) {
        let lists = round % 2 == 0;
        let model =
            model::find_model(if lists { "append-list" } else { "kv" }).expect("it is there");
        let count = 3 + draw.below(6);
        let shape = draw.static_facts(count);
        let calls = grown_calls(&mut draw, &shape, count, lists);
        let history = calls_history(&shape, &calls);
        let initial = model.initial();
        if !is_legal(&history, model) {
            continue;
        }
        let objects = partition(&history, model, Keyed::No).expect("it suits the model");
        let Some(ops) = objects.first().map(|object| &object.ops) else { continue };
        let begins: Vec<u64> = ops.iter().map(|op| op.invoked).collect();
        let known = super::prefix_states_before(model, &[initial], ops, &begins);
        for (moment, prefix_states) in known.into_iter().flatten() {
            let possible = |state: &Value| is_legal(&with_read(&history, moment, state), model);
            assert!(
                prefix_states.states.iter().all(possible),
                "{:?} {history:?}",
                prefix_states.states
            );
            let others = past_states(&history, model).into_iter();
            for other in others.filter(|it| !prefix_states.states.contains(it)) {
                assert!(!possible(&other), "{moment}: {other} {history:?}");
            }
            cuts += 1;
            states += prefix_states.states.len();
        }
    }
    assert!(cuts > 100 && states > cuts, "{cuts} cuts, {states} states");
}

fn is_legal(history: &History, model: &dyn model::Model) -> bool {
    let objects = partition(history, model, Keyed::No).expect("it suits the model");
    let Some(object) = objects.first() else { return true };
    let budget = Budget::from_limits(&Limits::default());
    SearchQuery::new(model, &[model.initial()], &object.ops, budget).decide().answer.is_ok()
}

/// The states that the reads of a history returned.
fn past_states(history: &History, model: &dyn model::Model) -> Vec<Value> {
    let completions = history.events().iter().filter(|it| it.kind == Kind::Ok && it.f == "read");
    let mut states: Vec<Value> = completions
        .map(|event| match event.value.as_pair() {
            Some((_, Value::Str(text))) if model.name() == "kv" && text.is_empty() => {
                model.initial()
            }
            Some(_) if model.name() == "kv" => Value::from(vec![event.value.clone()]),
            _ => event.value.clone(),
        })
        .collect();
    states.sort();
    states.dedup();
    states
}

/// The history with a read of a state right before an event.
fn with_read(history: &History, moment: u64, state: &Value) -> History {
    let kv = history
        .events()
        .iter()
        .any(|event| event.value.as_pair().is_some_and(|(key, _)| *key == Value::from("k")));
    let (asked, shown) = match (kv, state) {
        (true, Value::List(entries)) => {
            let shown = entries.first().cloned();
            (Value::pair("k", Value::Nil), shown.unwrap_or_else(|| Value::pair("k", "")))
        }
        _ => (Value::Nil, state.clone()),
    };
    let mut events = history.events().to_vec();
    let read = |kind, value| Event {
        index: 0,
        time: 0,
        kind,
        process: Process::Client(999),
        f: "read".into(),
        value,
        node: None,
        error: None,
    };
    let at = moment as usize;
    events.splice(at..at, [read(Kind::Invoke, asked), read(Kind::Ok, shown)]);
    for (index, event) in events.iter_mut().enumerate() {
        (event.index, event.time) = (index as u64, index as u64);
    }
    History::new(events).expect("the reader is a process of its own")
}
