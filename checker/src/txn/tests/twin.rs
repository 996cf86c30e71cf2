//! Compares with what definitions say, by trying every order: of transactions, and for snapshot isolation of their
//! beginnings and commits.
//!
//! Of lists the verdict is exact, so both directions are asked. Of registers a *no* is.

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, any};
use proptest::proptest;

use super::{ALL, Inference, lists_at, names, registers, registers_by};
use crate::bench::Draw;
use crate::history::{Event, History, Kind, Operation, Process, Value};
use crate::verdict::Validity;

/// Who has to be over before whom begins.
#[derive(Clone, Copy)]
enum Order {
    Any,
    Process,
    Realtime,
}

/// What a twin tries to explain: each operation may or must take place.
struct Twin<'h> {
    operations: Vec<&'h Operation>,
    order: Order,
}

type Store = BTreeMap<Value, Vec<Value>>;

impl<'h> Twin<'h> {
    fn new(history: &'h History, order: Order) -> Self {
        let operations = history
            .operations()
            .iter()
            .filter(|operation| operation.kind() != Kind::Fail)
            .collect();
        Self { operations, order }
    }

    fn before(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.operations[one], self.operations[other]);
        let over = one.is_ok()
            && one.completion.as_ref().is_some_and(|done| done.at.index < other.invoked.index);
        match self.order {
            Order::Any => false,
            Order::Process => over && one.process == other.process,
            Order::Realtime => over,
        }
    }

    /// Whether some order of transactions, one at a time, gives every answer.
    fn serializable(&self) -> bool {
        self.serial(&mut vec![false; self.operations.len()], &Store::new())
    }

    fn serial(&self, done: &mut Vec<bool>, store: &Store) -> bool {
        if (0..done.len()).all(|one| done[one] || !self.operations[one].is_ok()) {
            return true;
        }
        (0..done.len()).any(|one| {
            let blocked =
                done[one] || (0..done.len()).any(|other| !done[other] && self.must(other, one));
            let Some(after) = (!blocked).then(|| run(self.operations[one], store)).flatten() else {
                return false;
            };
            let mut next = store.clone();
            append(&mut next, &after);
            done[one] = true;
            let explained = self.serial(done, &next);
            done[one] = false;
            explained
        })
    }

    fn must(&self, other: usize, one: usize) -> bool {
        self.before(other, one)
    }

    /// Whether some order of beginnings and commits does, where reads see what was committed before the beginning
    /// and of two that overlap and write one key only one commits.
    fn snapshot(&self) -> bool {
        self.snapshots(&mut vec![None; self.operations.len()], &mut Vec::new())
    }

    /// `begun` says how many commits a transaction saw, `committed` who committed with which writes.
    fn snapshots(
        &self,
        begun: &mut Vec<Option<usize>>,
        committed: &mut Vec<(usize, Vec<(Value, Value)>)>,
    ) -> bool {
        let is_done = |committed: &[(usize, Vec<(Value, Value)>)], one| {
            committed.iter().any(|(other, _)| *other == one)
        };
        if (0..begun.len()).all(|one| !self.operations[one].is_ok() || is_done(committed, one)) {
            return true;
        }
        (0..begun.len()).any(|one| match begun[one] {
            None => {
                let free = (0..begun.len())
                    .all(|other| !self.before(other, one) || is_done(committed, other));
                begun[one] = Some(committed.len());
                let explained = free && self.snapshots(begun, committed);
                begun[one] = None;
                explained
            }
            Some(_) if is_done(committed, one) => false,
            Some(seen) => {
                let mut store = Store::new();
                committed[..seen].iter().for_each(|(_, writes)| append(&mut store, writes));
                let Some(writes) = run(self.operations[one], &store) else { return false };
                let clash = committed[seen..].iter().any(|(_, other)| {
                    other.iter().any(|(key, _)| writes.iter().any(|(own, _)| own == key))
                });
                if clash {
                    return false;
                }
                committed.push((one, writes));
                let explained = self.snapshots(begun, committed);
                committed.pop();
                explained
            }
        })
    }
}

fn append(store: &mut Store, writes: &[(Value, Value)]) {
    for (key, value) in writes {
        store.entry(key.clone()).or_default().push(value.clone());
    }
}

/// What an operation writes, if it can have read what it says from this store.
fn run(operation: &Operation, store: &Store) -> Option<Vec<(Value, Value)>> {
    let completion = operation.completion.as_ref().filter(|_| operation.is_ok());
    let (value, known) =
        completion.map_or((&operation.input, false), |completion| (&completion.output, true));
    let Value::List(steps) = value else { return None };
    let (mut store, mut writes) = (store.clone(), Vec::new());
    for step in steps.iter() {
        let Value::List(parts) = step else { return None };
        let list = store.entry(parts[1].clone()).or_default();
        match (&parts[0], &parts[2]) {
            (Value::Str(f), value) if f != "r" => {
                list.push(value.clone());
                writes.push((parts[1].clone(), value.clone()));
            }
            (_, Value::List(read)) if known && **read != **list => return None,
            (_, Value::Int(_) | Value::Nil)
                if known && *list.last().unwrap_or(&Value::Nil) != parts[2] =>
            {
                return None;
            }
            _ => {}
        }
    }
    Some(writes)
}

/// How a database goes wrong.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// Every micro-operation by itself, whenever it comes.
    Interleaved,
    /// Reads from a snapshot, writes at the end.
    Snapshot,
    /// Some reads are of the past.
    Stale,
    /// Some lists are not what they were.
    Garbled,
}

/// A history of a database that goes wrong now and then.
pub(super) fn wrong(seed: u64, transactions: usize) -> History {
    let mut draw = Draw(seed);
    let wrong =
        [Wrong::Interleaved, Wrong::Snapshot, Wrong::Stale, Wrong::Garbled][draw.below(4) as usize];
    let plans: Vec<Vec<(u64, Option<i64>)>> = (0..transactions)
        .map(|txn| {
            let length = 1 + draw.below(3);
            (0..length)
                .map(|step| {
                    let write = draw.below(2) == 0;
                    (draw.below(2), write.then_some((10 * txn as u64 + step) as i64))
                })
                .collect()
        })
        .collect();
    Run { draw, wrong, plans, past: vec![Default::default()], events: Vec::new() }.history()
}

struct Run {
    draw: Draw,
    wrong: Wrong,
    plans: Vec<Vec<(u64, Option<i64>)>>,
    /// Every state there was.
    past: Vec<[Vec<i64>; 2]>,
    events: Vec<Event>,
}

/// A transaction under way: how far it is, its answers, and how many states there were when it began.
struct Doing {
    txn: usize,
    answers: Vec<Value>,
    began: usize,
    fate: u64,
}

impl Run {
    fn history(mut self) -> History {
        let mut clients: Vec<Option<Doing>> = (0..3).map(|_| None).collect();
        let mut numbers = [0, 1, 2];
        let mut next = 0;
        while next < self.plans.len() || clients.iter().any(Option::is_some) {
            let client = self.draw.below(3) as usize;
            match clients[client].take() {
                None if next < self.plans.len() => {
                    let (began, fate) = (self.past.len() - 1, self.draw.below(10));
                    self.push(numbers[client], Kind::Invoke, next, None);
                    clients[client] = Some(Doing { txn: next, answers: Vec::new(), began, fate });
                    next += 1;
                }
                None => {}
                Some(mut doing) if doing.answers.len() < self.plans[doing.txn].len() => {
                    self.step(&mut doing);
                    clients[client] = Some(doing);
                }
                Some(doing) => {
                    let kind = match doing.fate {
                        0 => Kind::Fail,
                        1 => Kind::Info,
                        _ => Kind::Ok,
                    };
                    self.push(numbers[client], kind, doing.txn, Some(doing.answers));
                    if kind == Kind::Info {
                        numbers[client] += 3;
                    }
                }
            }
        }
        History::new(self.events).expect("well-formed")
    }

    fn step(&mut self, doing: &mut Doing) {
        let plan = self.plans[doing.txn].clone();
        let (key, write) = plan[doing.answers.len()];
        // A failed transaction seldom leaves something behind.
        let silent = doing.fate == 0 && self.draw.below(4) > 0;
        let late = matches!(self.wrong, Wrong::Snapshot);
        let answer = match write {
            Some(number) => {
                if !late && !silent {
                    self.write(key, number);
                }
                Value::Int(number)
            }
            None => self.read(key, doing, &plan),
        };
        doing.answers.push(answer);
        if late && doing.answers.len() == plan.len() && !silent {
            plan.iter()
                .for_each(|(key, write)| write.iter().for_each(|number| self.write(*key, *number)));
        }
    }

    fn write(&mut self, key: u64, number: i64) {
        let mut state = self.past[self.past.len() - 1].clone();
        state[key as usize].push(number);
        self.past.push(state);
    }

    fn read(&mut self, key: u64, doing: &Doing, plan: &[(u64, Option<i64>)]) -> Value {
        let now = self.past.len() - 1;
        let own = plan[..doing.answers.len()]
            .iter()
            .filter(|(other, _)| *other == key)
            .filter_map(|(_, write)| *write);
        let mut list = match self.wrong {
            Wrong::Snapshot => {
                self.past[doing.began][key as usize].iter().copied().chain(own).collect()
            }
            Wrong::Stale if self.draw.below(3) == 0 => {
                let then = self.draw.below(now as u64 + 1) as usize;
                self.past[then][key as usize].clone()
            }
            _ => self.past[now][key as usize].clone(),
        };
        if matches!(self.wrong, Wrong::Garbled) && list.len() > 1 && self.draw.below(4) == 0 {
            let (one, other) =
                (self.draw.below(list.len() as u64), self.draw.below(list.len() as u64));
            match self.draw.below(3) {
                0 => list.swap(one as usize, other as usize),
                1 => drop(list.remove(one as usize)),
                _ => list.push(list[one as usize]),
            }
        }
        Value::List(list.into_iter().map(Value::Int).collect())
    }

    fn push(&mut self, process: u64, kind: Kind, txn: usize, answers: Option<Vec<Value>>) {
        let step = |(place, (key, write)): (usize, &(u64, Option<i64>))| {
            let f = if write.is_some() { "append" } else { "r" };
            let asked = write.map_or(Value::Nil, Value::Int);
            let told =
                answers.as_ref().filter(|_| kind == Kind::Ok).map(|answers| answers[place].clone());
            Value::from(vec![Value::from(f), Value::Int(*key as i64), told.unwrap_or(asked)])
        };
        let value = Value::List(self.plans[txn].iter().enumerate().map(step).collect());
        let index = self.events.len() as u64;
        let (process, f) = (Process::Client(process), "txn".into());
        self.events.push(Event {
            index,
            time: index,
            kind,
            process,
            f,
            value,
            node: None,
            error: None,
        });
    }
}

#[track_caller]
fn same(history: &History, level: &str, holds: bool) {
    let verdict = lists_at(history, level);
    if verdict.message.contains("nothing to judge") {
        return;
    }
    let validity = if holds { Validity::Valid } else { Validity::Invalid };
    let text = || crate::history::edn::write(history);
    assert_eq!(verdict.validity, validity, "{level}: {}\n{}", verdict.message, text());
}

/// Whether reads show the order of all that was appended, but for the last transaction of each key.
fn recovered(history: &History) -> bool {
    let steps = |operation: &Operation| match operation.completion.as_ref().map(|done| &done.output)
    {
        Some(Value::List(steps)) if operation.is_ok() => steps.to_vec(),
        _ => Vec::new(),
    };
    let (mut seen, mut unseen) = (std::collections::BTreeSet::new(), BTreeMap::new());
    for step in history.operations().iter().flat_map(steps) {
        if let Value::List(parts) = step
            && let Value::List(read) = &parts[2]
        {
            seen.extend(read.iter().map(|element| (parts[1].clone(), element.clone())));
        }
    }
    for (number, operation) in history.operations().iter().enumerate() {
        for step in steps(operation) {
            let Value::List(parts) = step else { continue };
            let is_append = parts[0] == Value::from("append");
            if is_append && !seen.contains(&(parts[1].clone(), parts[2].clone())) {
                let writers =
                    unseen.entry(parts[1].clone()).or_insert_with(std::collections::BTreeSet::new);
                writers.insert(number);
            }
        }
    }
    unseen.values().all(|writers| writers.len() < 2)
}

/// Compares everything that lists can be asked for.
fn compare(seed: u64, transactions: usize) {
    let history = wrong(seed, transactions);
    for (order, serializable, snapshot) in [
        (Order::Any, "serializable", "snapshot-isolation"),
        (Order::Process, "strong-session-serializable", "strong-session-snapshot-isolation"),
        (Order::Realtime, "strict-serializable", "strong-snapshot-isolation"),
    ] {
        let twin = Twin::new(&history, order);
        same(&history, serializable, twin.serializable());
        if transactions <= 4 {
            let holds = twin.snapshot();
            if holds || recovered(&history) {
                same(&history, snapshot, holds);
            }
        }
    }
    let single = registers(&history);
    if Twin::new(&single, Order::Realtime).serializable() {
        for inference in [Inference::default(), ALL] {
            let verdict = registers_by(&single, inference);
            assert_eq!(names(&verdict), "", "{}", verdict.message);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn verdicts_are_those_of_the_definitions(seed in any::<u64>(), transactions in 1..6_usize) {
        compare(seed, transactions);
    }
}

#[test]
fn twins_have_both_answers_often() {
    let mut valid = 0;
    for seed in 0..1000 {
        valid += usize::from(Twin::new(&wrong(seed, 4), Order::Realtime).serializable());
    }
    assert!((200..800).contains(&valid), "{valid} of 1000 are valid");
}
