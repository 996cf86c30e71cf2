//! Tests invariants of every check: names, times and independent keys do not matter; less evidence
//! adds no anomaly.

use super::random::{DrawnCall, RandomDraw, chain, history, numbered};
use super::{valid, wrong};
use crate::check_by_name;
use crate::history::{Event, History, Kind, Process, Value};
use crate::registry::CHECKS;
use crate::verdict::{Limits, Validity};

/// Checks whose invariants are tested beside their generators: in `txn::tests::laws`,
/// `txn::isolation::tests`, `session::laws`.
const ELSEWHERE: &[&str] =
    &["isolation", "list-append", "rw-register", "rw-register-closed", "session"];

/// Checks whose operations may be keyed, `[key, value]`.
const KEYED: &[&str] = &[
    "bank",
    "causal",
    "causal-reverse",
    "counter-bounds",
    "fenced-lock",
    "monotonic",
    "queue",
    "set-final",
    "set-full",
    "set-full-linearizable",
    "total-queue",
    "unique-ids",
];

/// Checks for which removing a read adds no anomaly. It may add one to the others: to `set-final`,
/// because the read before it becomes the last; to `set-full`, because it may show that an element
/// was stale rather than lost. Dequeues and polls change the state.
const READS_ARE_FREE: &[&str] = &[
    "bank",
    "causal",
    "causal-reverse",
    "counter-bounds",
    "long-fork",
    "monotonic",
    "set-full-linearizable",
    "stats",
];

/// An object that is mostly correct.
#[derive(Default)]
struct MostlyCorrectObject {
    items: Vec<i64>,
    last: i64,
}

fn numbers(items: &[i64]) -> Value {
    Value::List(items.iter().copied().map(Value::Int).collect())
}

fn micro(f: &str, key: i64, value: Value) -> Value {
    Value::from(vec![Value::from(f), Value::Int(key), value])
}

impl MostlyCorrectObject {
    fn call(&mut self, check: &str, draw: &mut RandomDraw) -> DrawnCall {
        let lie = draw.below(12) == 0;
        let wrong = i64::from(lie);
        match check {
            "bank" => bank(self, wrong, draw),
            "causal" => self.register("read", wrong, draw),
            "causal-reverse" => self.grow("write", lie, draw),
            "echo" => {
                self.last += 1;
                ("echo", Value::Int(self.last), Value::Int(self.last - wrong))
            }
            "eventual-counter" => self.count("add", -100 * wrong, draw),
            "eventual-set" => self.grow_wildly(lie, draw),
            "set-final" | "set-full" | "set-full-linearizable" => self.grow("add", lie, draw),
            "counter-bounds" => self.count("add", wrong, draw),
            "monotonic" => self.count("inc", wrong, draw),
            "fenced-lock" => self.lock(wrong, draw),
            "queue" | "total-queue" => self.queue(lie, draw),
            "kafka" => self.log(lie, draw),
            "long-fork" => self.group(lie, draw),
            "unique-ids" => {
                self.last += 1;
                ("generate", Value::Nil, Value::Int(self.last - wrong))
            }
            "stats" => (["read", "write"][draw.below(2) as usize], Value::Nil, Value::Nil),
            _ => panic!("{check} has no laws"),
        }
    }

    fn register(&mut self, read: &'static str, wrong: i64, draw: &mut RandomDraw) -> DrawnCall {
        if draw.below(2) == 0 {
            self.last += 1;
            return ("write", Value::Int(self.last), Value::Int(self.last));
        }
        (read, Value::Nil, Value::Int((self.last - wrong).max(0)))
    }

    fn grow(&mut self, f: &'static str, lie: bool, draw: &mut RandomDraw) -> DrawnCall {
        if draw.below(2) == 0 {
            self.last += 1;
            self.items.push(self.last);
            return (f, Value::Int(self.last), Value::Int(self.last));
        }
        let from = usize::from(lie && !self.items.is_empty());
        ("read", Value::Nil, numbers(&self.items[from..]))
    }

    /// A lie returns an element that was never added: a missing element is an anomaly only much
    /// later.
    fn grow_wildly(&mut self, lie: bool, draw: &mut RandomDraw) -> DrawnCall {
        let (f, input, output) = self.grow("add", false, draw);
        match output {
            Value::List(items) if lie => {
                let more = items.iter().cloned().chain([Value::Int(self.last + 100)]);
                (f, input, Value::List(more.collect()))
            }
            output => (f, input, output),
        }
    }

    fn count(&mut self, f: &'static str, wrong: i64, draw: &mut RandomDraw) -> DrawnCall {
        if draw.below(2) == 0 {
            self.last += 1;
            return (f, Value::Int(1), Value::Nil);
        }
        ("read", Value::Nil, Value::Int(self.last - wrong))
    }

    /// Mostly acquired and released in turn.
    fn lock(&mut self, wrong: i64, draw: &mut RandomDraw) -> DrawnCall {
        self.last += 1;
        match draw.below(3) {
            0 => ("acquire", Value::Nil, Value::Int(self.last - 2 * wrong)),
            _ => ("release", Value::Nil, Value::Nil),
        }
    }

    fn queue(&mut self, lie: bool, draw: &mut RandomDraw) -> DrawnCall {
        match draw.below(5) {
            0 | 1 => {
                self.last += 1;
                self.items.push(self.last);
                ("enqueue", Value::Int(self.last), Value::Int(self.last))
            }
            4 => {
                let all = std::mem::take(&mut self.items);
                ("drain", Value::Nil, numbers(&all[usize::from(lie && !all.is_empty())..]))
            }
            _ if lie || self.items.is_empty() => ("dequeue", Value::Nil, Value::Nil),
            _ => ("dequeue", Value::Nil, Value::Int(self.items.remove(0))),
        }
    }

    fn log(&mut self, lie: bool, draw: &mut RandomDraw) -> DrawnCall {
        let wrap = |words: Vec<Value>| Value::from(vec![Value::from(words)]);
        if draw.below(2) == 0 {
            self.last += 1;
            self.items.push(100 + self.last);
            let send = |value: Value| wrap(vec![Value::from("send"), Value::from("k"), value]);
            let (value, at) = (100 + self.last, self.items.len() as i64 - 1);
            return ("send", send(Value::Int(value)), send(Value::pair(at, value)));
        }
        let from = if lie { 0 } else { draw.below(self.items.len() as u64 + 1) as usize };
        let messages = self.items.iter().enumerate().skip(from);
        let messages = messages.map(|(at, value)| Value::pair(at as i64, *value)).collect();
        let logs = Value::map([("k".to_owned(), Value::List(messages))]);
        ("poll", wrap(vec![Value::from("poll")]), wrap(vec![Value::from("poll"), logs]))
    }

    /// Keys are written in order, and a read returns a prefix of them.
    fn group(&mut self, lie: bool, draw: &mut RandomDraw) -> DrawnCall {
        if draw.below(3) == 0 && self.last < 3 {
            self.last += 1;
            let write = Value::from(vec![micro("w", self.last, Value::Int(1))]);
            return ("write", write.clone(), write);
        }
        let shown = |key: i64| {
            if key <= self.last && !(lie && key == 1) { Value::Int(1) } else { Value::Nil }
        };
        let read = |shown: &dyn Fn(i64) -> Value| {
            Value::List((1..4).map(|key| micro("r", key, shown(key))).collect())
        };
        ("read", read(&|_| Value::Nil), read(&shown))
    }
}

fn bank(store: &mut MostlyCorrectObject, wrong: i64, draw: &mut RandomDraw) -> DrawnCall {
    let map = |fields: &[(&str, i64)]| {
        Value::map(fields.iter().map(|(name, it)| ((*name).to_owned(), Value::Int(*it))))
    };
    if draw.below(2) == 0 {
        store.last = (store.last + 1) % 4;
        return ("transfer", map(&[("from", 0), ("to", 1), ("amount", 1)]), Value::Nil);
    }
    ("read", Value::Nil, map(&[("a", 3 - store.last + wrong), ("b", store.last)]))
}

/// A small history that the check supports.
fn small(check: &str, seed: u64) -> History {
    let mut store = MostlyCorrectObject::default();
    let mut next = |draw: &mut RandomDraw| store.call(check, draw);
    match check {
        "causal" => chain(seed, 1 + (seed % 9) as usize, &mut next),
        _ => history(seed, 4 + (seed % 14) as usize, &mut next),
    }
}

/// The validity and the counts of the anomalies.
fn outcome(check: &str, history: &History) -> (Validity, Vec<(String, usize)>) {
    let verdict = check_by_name(history, check, &Limits::default());
    let counts = verdict.findings.into_iter().map(|finding| (finding.name, finding.count));
    (verdict.validity, counts.collect())
}

fn changed(history: &History, change: impl FnMut(Event) -> Event) -> History {
    History::new(history.events().iter().cloned().map(change).collect()).expect("well-formed")
}

/// Replaces every number in a value except nil and 0, which stand for the initial state.
fn renamed(value: &Value, name: &dyn Fn(i64) -> Value) -> Value {
    match value {
        Value::Int(0) => Value::Int(0),
        Value::Int(number) => name(*number),
        Value::List(items) => Value::List(items.iter().map(|it| renamed(it, name)).collect()),
        Value::Map(entries) => {
            Value::map(entries.iter().map(|(key, it)| (key.clone(), renamed(it, name))))
        }
        other => other.clone(),
    }
}

/// Renames a number in a way that must not change the verdict.
fn rename(check: &str, number: i64) -> Value {
    match check {
        // Equal sums stay equal, and no balance becomes negative.
        "bank" => Value::Int(3 * number),
        "counter-bounds" => Value::Int(-5 * number),
        "eventual-counter" | "fenced-lock" | "kafka" | "monotonic" => Value::Int(7 * number),
        _ => Value::from(format!("it is {number}")),
    }
}

fn judged() -> impl Iterator<Item = &'static str> {
    CHECKS.iter().map(|check| check.name()).filter(|name| !ELSEWHERE.contains(name))
}

#[test]
fn times_and_names_of_clients_and_values_do_not_change_the_verdict() {
    for check in judged() {
        let mut met = [0; 3];
        for seed in 0..800 {
            let history = small(check, seed);
            let wanted = outcome(check, &history);
            met[wanted.0 as usize] += 1;
            let later = changed(&history, |event| Event {
                index: event.index * 3 + 7,
                time: event.time + 5_000_000_000,
                ..event
            });
            assert_eq!(outcome(check, &later), wanted, "{check}, seed {seed}: {history:?}");
            let others = changed(&history, |event| Event {
                process: match event.process {
                    Process::Client(number) => Process::Client(1_000_000 - number),
                    Process::Nemesis => Process::Nemesis,
                },
                ..event
            });
            assert_eq!(outcome(check, &others), wanted, "{check}, seed {seed}: {history:?}");
            let values = changed(&history, |event| Event {
                value: renamed(&event.value, &|number| rename(check, number)),
                ..event
            });
            assert_eq!(outcome(check, &values), wanted, "{check}, seed {seed}: {history:?}");
        }
        assert!(met[0] > 15, "{check} is valid now and then: {met:?}");
        assert!(met[2] > 15 || check == "stats", "{check} is wrong now and then: {met:?}");
    }
}

/// Interleaves two histories, each with its own key.
fn both(one: &History, other: &History, names: [&str; 2], draw: &mut RandomDraw) -> History {
    let keyed = |history: &History, place: u64| -> Vec<Event> {
        let name = names[place as usize];
        let change = |event: Event| Event {
            value: Value::pair(name, event.value.clone()),
            process: match event.process {
                Process::Client(number) => Process::Client(2 * number + place),
                Process::Nemesis => Process::Nemesis,
            },
            ..event
        };
        history.events().iter().cloned().map(change).collect()
    };
    let mut left = [keyed(one, 0), keyed(other, 1)].map(|events| events.into_iter().peekable());
    let mut events = Vec::new();
    while left.iter_mut().any(|side| side.peek().is_some()) {
        events.extend(left[draw.below(2) as usize].next());
    }
    numbered(events)
}

#[test]
fn independent_keys_are_checked_separately() {
    for check in KEYED {
        for seed in 0..300 {
            let (one, other) = (small(check, 2 * seed), small(check, 2 * seed + 1));
            let got = outcome(check, &both(&one, &other, ["a", "b"], &mut RandomDraw(seed)));
            let renamed = outcome(check, &both(&one, &other, ["z", "b"], &mut RandomDraw(seed)));
            assert_eq!(got, renamed, "{check}, seed {seed}");
            let swapped =
                outcome(check, &both(&one, &other, ["b", "a"], &mut RandomDraw(seed + 1)));
            assert_eq!(got, swapped, "{check}, seed {seed}");
            let (one, other) = (outcome(check, &one), outcome(check, &other));
            if *check == "causal" && one.0.max(other.0) != got.0 && got.0 == Validity::Unknown {
                // A history that is not a chain has no counts, even if only one key is not.
                continue;
            }
            let count = |counts: &[(String, usize)], kind: &str| {
                counts.iter().find(|(name, _)| name == kind).map_or(0, |(_, count)| *count)
            };
            let kinds = got.1.iter().chain(&one.1).chain(&other.1);
            for (kind, _) in kinds {
                let sum = count(&one.1, kind) + count(&other.1, kind);
                assert_eq!(count(&got.1, kind), sum, "{check} {kind}, seed {seed}");
            }
            // The other key may decide what one key leaves unknown: an anomaly wins, and reads of
            // either key suffice.
            let worst = one.0.max(other.0);
            assert!(got.0 == worst || worst == Validity::Unknown, "{check}, seed {seed}: {got:?}");
        }
    }
}

fn without(history: &History, place: usize) -> History {
    let gone = &history.operations()[place];
    let ends = gone.completion.as_ref().map(|completion| completion.at.index);
    let is_gone = |index: u64| index == gone.invoked.index || Some(index) == ends;
    let left = history.events().iter().filter(|event| !is_gone(event.index)).cloned();
    History::new(left.collect()).expect("whole operations are gone")
}

#[test]
fn removing_a_read_adds_no_anomaly() {
    for check in READS_ARE_FREE {
        let mut tried = 0;
        for seed in 0..600 {
            let history = small(check, seed);
            if outcome(check, &history).0 != Validity::Valid {
                continue;
            }
            for (place, operation) in history.operations().iter().enumerate() {
                if matches!(operation.f.as_str(), "read" | "read-init") {
                    let less = without(&history, place);
                    let got = outcome(check, &less);
                    assert_ne!(got.0, Validity::Invalid, "{check}, seed {seed}: {less:?}");
                    tried += 1;
                }
            }
        }
        assert!(tried > 200, "{check}: {tried}");
    }
}

#[test]
fn removing_a_read_can_add_an_anomaly_to_sets() {
    valid("set-final", "0:add 1 => 1; 0:read => []; 0:read => [1]");
    wrong("set-final", "0:add 1 => 1; 0:read => []", "lost");
    valid("set-full", "0:add 1 => 1; 0:read => []; 0:read => [1]");
    wrong("set-full", "0:add 1 => 1; 0:read => []", "lost");
    valid("queue", "0:enqueue 1 => 1; 1:dequeue => 1; 1:dequeue => nil");
    wrong("queue", "0:enqueue 1 => 1; 1:dequeue => nil", "lost");
    let send = |at: i64| format!("0:send [[:send 0 {at}]] => [[:send 0 [{at} {at}]]]; ");
    let poll =
        |who: i64, at: i64| format!("{who}:poll [[:poll]] => [[:poll {{0 [[{at} {at}]]}}]]; ");
    let all: String = (0..3).map(send).collect();
    valid("kafka", &[all.clone(), poll(1, 0), poll(1, 1), poll(1, 2)].concat());
    wrong("kafka", &[all, poll(1, 0), poll(1, 2)].concat(), "lost-write");
}

/// One exception: the first write of `long-fork`, even if open, enables the check of unwritten
/// values.
#[test]
fn adding_an_open_operation_adds_no_anomaly() {
    for check in judged() {
        let mut tried = 0;
        for seed in 0..600 {
            let history = small(check, seed);
            if outcome(check, &history).0 != Validity::Valid {
                continue;
            }
            let mut draw = RandomDraw(seed);
            let mut store = MostlyCorrectObject { items: vec![1], last: draw.below(6) as i64 };
            let mut events = history.events().to_vec();
            for number in 0..3 {
                let (f, value, _) = store.call(check, &mut draw);
                let (process, f) = (Process::Client(9000 + number), f.into());
                let kind = Kind::Invoke;
                let event =
                    Event { index: 0, time: 0, kind, process, f, value, node: None, error: None };
                events.insert(draw.below(events.len() as u64 + 1) as usize, event);
            }
            let more = numbered(events);
            let got = outcome(check, &more);
            assert_ne!(got.0, Validity::Invalid, "{check}, seed {seed}: {got:?} {more:?}");
            tried += 1;
        }
        assert!(tried > 30, "{check}: {tried}");
    }
    let read = "1:read [[:r 1 nil] [:r 2 nil]] => [[:r 1 7] [:r 2 nil]]; ";
    let reads = &[read, read].concat();
    valid("long-fork", reads);
    wrong("long-fork", &[reads, "0:write [[:w 2 1]]"].concat(), "unwritten-value*2");
    wrong("long-fork", &[reads, "0:write [[:w 1 7]]; 0:fail"].concat(), "unwritten-value*2");
}
