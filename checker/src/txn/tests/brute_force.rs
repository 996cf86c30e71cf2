//! Compares verdicts with the definitions, by trying every order of transactions, or of their
//! beginnings and commits for snapshot isolation.
//!
//! The verdict on lists is exact, so both directions are compared; that on registers is only
//! compared where it is invalid.

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, any};
use proptest::proptest;

use super::{ALL, Inference, lists_at, names, registers, registers_by};
use crate::bench::Draw;
use crate::history::{Event, History, Kind, Operation, Process, Value};
use crate::verdict::Validity;

/// The order that a serialization must contain.
#[derive(Clone, Copy)]
enum Order {
    Any,
    Process,
    Realtime,
}

/// The operations to explain: each one that is ok must commit, an indeterminate one may.
struct SerialOrders<'h> {
    operations: Vec<&'h Operation>,
    order: Order,
}

type ListStore = BTreeMap<Value, Vec<Value>>;

impl<'h> SerialOrders<'h> {
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

    /// Whether some serial order of transactions explains every read.
    fn serializable(&self) -> bool {
        self.serial(&mut vec![false; self.operations.len()], &ListStore::new())
    }

    fn serial(&self, done: &mut Vec<bool>, store: &ListStore) -> bool {
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

    /// Whether some order of beginnings and commits does, where reads observe the commits before
    /// the beginning, and only one of two concurrent writers of a key commits.
    fn snapshot(&self) -> bool {
        self.snapshots(&mut vec![None; self.operations.len()], &mut Vec::new())
    }

    /// `begun` is the number of commits that each transaction observes, `committed` the
    /// transactions and writes committed so far.
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
                let mut store = ListStore::new();
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

fn append(store: &mut ListStore, writes: &[(Value, Value)]) {
    for (key, value) in writes {
        store.entry(key.clone()).or_default().push(value.clone());
    }
}

/// The writes of an operation, if its reads match this store.
fn run(operation: &Operation, store: &ListStore) -> Option<Vec<(Value, Value)>> {
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

/// The defect of a simulated database.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// Each micro-operation takes effect by itself, at any time.
    Interleaved,
    /// Reads from a snapshot, writes at commit without conflict detection.
    Snapshot,
    /// Some reads are stale.
    Stale,
    /// Some lists are corrupted.
    Garbled,
}

/// A history of a database with an occasional defect.
pub(in crate::txn) fn wrong(seed: u64, transactions: usize) -> History {
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
    /// All earlier states.
    past: Vec<[Vec<i64>; 2]>,
    events: Vec<Event>,
}

/// A transaction under way: how far it is, its answers, and how many states there were when it
/// began.
struct OpenTransaction {
    txn: usize,
    answers: Vec<Value>,
    began: usize,
    fate: u64,
}

impl Run {
    fn history(mut self) -> History {
        let mut clients: Vec<Option<OpenTransaction>> = (0..3).map(|_| None).collect();
        let mut numbers = [0, 1, 2];
        let mut next = 0;
        while next < self.plans.len() || clients.iter().any(Option::is_some) {
            let client = self.draw.below(3) as usize;
            match clients[client].take() {
                None if next < self.plans.len() => {
                    let (began, fate) = (self.past.len() - 1, self.draw.below(10));
                    self.push(numbers[client], Kind::Invoke, next, None);
                    clients[client] =
                        Some(OpenTransaction { txn: next, answers: Vec::new(), began, fate });
                    next += 1;
                }
                None => {}
                Some(mut open) if open.answers.len() < self.plans[open.txn].len() => {
                    self.step(&mut open);
                    clients[client] = Some(open);
                }
                Some(open) => {
                    let kind = match open.fate {
                        0 => Kind::Fail,
                        1 => Kind::Info,
                        _ => Kind::Ok,
                    };
                    self.push(numbers[client], kind, open.txn, Some(open.answers));
                    if kind == Kind::Info {
                        numbers[client] += 3;
                    }
                }
            }
        }
        History::new(self.events).expect("well-formed")
    }

    fn step(&mut self, open: &mut OpenTransaction) {
        let plan = self.plans[open.txn].clone();
        let (key, write) = plan[open.answers.len()];
        // A failed transaction rarely leaves a write behind.
        let silent = open.fate == 0 && self.draw.below(4) > 0;
        let late = matches!(self.wrong, Wrong::Snapshot);
        let answer = match write {
            Some(number) => {
                if !late && !silent {
                    self.write(key, number);
                }
                Value::Int(number)
            }
            None => self.read(key, open, &plan),
        };
        open.answers.push(answer);
        if late && open.answers.len() == plan.len() && !silent {
            plan.iter()
                .for_each(|(key, write)| write.iter().for_each(|number| self.write(*key, *number)));
        }
    }

    fn write(&mut self, key: u64, number: i64) {
        let mut state = self.past[self.past.len() - 1].clone();
        state[key as usize].push(number);
        self.past.push(state);
    }

    fn read(&mut self, key: u64, open: &OpenTransaction, plan: &[(u64, Option<i64>)]) -> Value {
        let now = self.past.len() - 1;
        let own = plan[..open.answers.len()]
            .iter()
            .filter(|(other, _)| *other == key)
            .filter_map(|(_, write)| *write);
        let mut list = match self.wrong {
            Wrong::Snapshot => {
                self.past[open.began][key as usize].iter().copied().chain(own).collect()
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
fn assert_level(history: &History, level: &str, holds: bool) {
    let verdict = lists_at(history, level);
    if verdict.message.contains("nothing to check") {
        return;
    }
    let validity = if holds { Validity::Valid } else { Validity::Invalid };
    let text = || crate::history::edn::write(history);
    assert_eq!(verdict.validity, validity, "{level}: {}\n{}", verdict.message, text());
}

/// Whether reads show the order of all appends except those of the last transaction of each key.
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

/// Compares all levels that brute force decides for lists.
fn compare(seed: u64, transactions: usize) {
    let history = wrong(seed, transactions);
    for (order, serializable, snapshot) in [
        (Order::Any, "serializable", "snapshot-isolation"),
        (Order::Process, "strong-session-serializable", "strong-session-snapshot-isolation"),
        (Order::Realtime, "strict-serializable", "strong-snapshot-isolation"),
    ] {
        let orders = SerialOrders::new(&history, order);
        assert_level(&history, serializable, orders.serializable());
        if transactions <= 4 {
            let holds = orders.snapshot();
            if holds || recovered(&history) {
                assert_level(&history, snapshot, holds);
            }
        }
    }
    let single = registers(&history);
    if SerialOrders::new(&single, Order::Realtime).serializable() {
        for inference in [Inference::default(), ALL] {
            let verdict = registers_by(&single, inference);
            assert_eq!(names(&verdict), "", "{}", verdict.message);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 4000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn verdicts_are_those_of_the_definitions(seed in any::<u64>(), transactions in 1..6_usize) {
        compare(seed, transactions);
    }
}

#[test]
fn both_outcomes_are_frequent() {
    let mut valid = 0;
    for seed in 0..1000 {
        valid += usize::from(SerialOrders::new(&wrong(seed, 4), Order::Realtime).serializable());
    }
    assert!((200..800).contains(&valid), "{valid} of 1000 are valid");
}
