//! Compares reads of several keys with their definition, and tests invariants of all guarantees.

use super::{Promise, check_session};
use crate::history::{Event, History, Kind, Operation, Process, Value};
use crate::property::tests::random::{DrawnCall, RandomDraw, end, history, numbered, oks, output};
use crate::verdict::{Keyed, Limits, Validity};

/// Two registers that are mostly correct, read alone or together.
#[derive(Default)]
struct RegisterPair {
    log: Vec<(usize, i64)>,
}

const KEYS: [&str; 2] = ["x", "y"];

impl RegisterPair {
    fn call(&mut self, draw: &mut RandomDraw) -> DrawnCall {
        let key = draw.below(2) as usize;
        let first = self.log.len() + 1;
        if draw.below(2) == 0 {
            self.log.push((key, first as i64));
            let write = Value::pair(KEYS[key], first as i64);
            return ("write", write.clone(), write);
        }
        if draw.below(2) == 0 {
            let shown = self.shown(key, draw);
            return ("read", Value::pair(KEYS[key], Value::Nil), Value::pair(KEYS[key], shown));
        }
        let both =
            KEYS.iter().enumerate().map(|(key, name)| ((*name).to_owned(), self.shown(key, draw)));
        ("read", Value::Nil, Value::map(both.collect::<Vec<_>>()))
    }

    /// The last value of a key, an older one, or an unwritten one.
    fn shown(&self, key: usize, draw: &mut RandomDraw) -> Value {
        let past = if draw.below(2) == 0 { draw.below(5) as usize } else { 0 };
        let log = &self.log[..self.log.len().saturating_sub(past)];
        let last = log.iter().rev().find(|(other, _)| *other == key);
        match (last, draw.below(40)) {
            (_, 0) => Value::Int(1000),
            (Some((_, value)), _) => Value::Int(*value),
            (None, _) => Value::Nil,
        }
    }
}

fn small(seed: u64) -> History {
    let mut store = RegisterPair::default();
    history(seed, 6 + (seed % 14) as usize, &mut |draw: &mut RandomDraw| store.call(draw))
}

/// The keys and values that a completed read returned.
fn shown(op: &Operation) -> Vec<(&str, &Value)> {
    match output(op) {
        Value::Map(entries) => entries.iter().map(|(key, value)| (key.as_str(), value)).collect(),
        counts => match counts.as_pair() {
            Some((Value::Str(key), value)) => vec![(key, value)],
            _ => panic!("no read: {counts}"),
        },
    }
}

/// The write of a value, unless it failed.
fn writer<'o>(ops: &'o [Operation], key: &str, value: &Value) -> Option<&'o Operation> {
    let pair = Value::pair(key, value.clone());
    ops.iter().find(|op| op.f == "write" && op.kind() != Kind::Fail && op.input == pair)
}

/// The index by which a value had certainly taken effect; `None` for the initial value.
fn effect(ops: &[Operation], key: &str, value: &Value) -> Option<u64> {
    let write = writer(ops, key, value)?;
    let reads = oks(ops, "read").into_iter().filter(|op| shown(op).contains(&(key, value)));
    reads.map(end).chain([end(write)]).min()
}

/// Whether a read returns an overwritten value of one key together with a value of another key that
/// was written after the overwrite had certainly taken effect.
fn is_torn(ops: &[Operation], read: &Operation, (key, value): (&str, &Value)) -> bool {
    let begun = |key: &str, value: &Value| writer(ops, key, value).map(|op| op.invoked.index);
    let hidden = |write: &&Operation| {
        write.kind() != Kind::Fail
            && write.input.as_pair().is_some_and(|(name, newer)| {
                let taken = effect(ops, key, newer);
                *name == Value::from(key)
                    && taken < Some(u64::MAX)
                    && effect(ops, key, value) < Some(write.invoked.index)
                    && shown(read).iter().any(|(other, value)| taken < begun(other, value))
            })
    };
    let from_nowhere = *value != Value::Nil && writer(ops, key, value).is_none();
    !from_nowhere && ops.iter().filter(|op| op.f == "write").any(|op| hidden(&op))
}

#[test]
fn consistent_prefix_agrees_with_its_definition() {
    let mut met = 0;
    for seed in 0..4000 {
        let history = small(seed);
        let ops = history.operations();
        let reads = oks(ops, "read").into_iter().filter(|op| shown(op).len() > 1);
        let wanted = reads
            .map(|read| shown(read).into_iter().filter(|part| is_torn(ops, read, *part)).count())
            .sum::<usize>();
        assert_eq!(count(&history, "consistent-prefix"), wanted, "seed {seed}: {history:?}");
        met += usize::from(wanted > 0);
    }
    assert!(met > 60, "{met}");
}

#[test]
fn unwritten_values_and_future_reads_agree_with_their_definition() {
    let mut met = [0; 2];
    for seed in 0..4000 {
        let history = small(seed);
        let ops = history.operations();
        let reads = || {
            oks(ops, "read")
                .into_iter()
                .flat_map(|op| shown(op).into_iter().map(move |it| (op, it)))
        };
        let unwritten = reads()
            .filter(|(_, (key, value))| **value != Value::Nil && writer(ops, key, value).is_none());
        let future = reads().filter(|(read, (key, value))| {
            writer(ops, key, value).is_some_and(|write| write.invoked.index > end(read))
        });
        let wanted = [unwritten.count(), future.count()];
        let got = ["unwritten-value", "future-read"].map(|kind| count(&history, kind));
        assert_eq!(got, wanted, "seed {seed}: {history:?}");
        met.iter_mut().zip(wanted).for_each(|(met, count)| *met += count);
    }
    assert!(met[0] > 100, "{met:?}");
}

fn count(history: &History, kind: &str) -> usize {
    outcome(history, &Promise::SESSION)
        .1
        .into_iter()
        .find(|(name, _)| name == kind)
        .map_or(0, |(_, count)| count)
}

fn outcome(history: &History, promise: &Promise<'_>) -> (Validity, Vec<(String, usize)>) {
    let limits = Limits { keyed: Keyed::Yes, ..Limits::default() };
    let verdict = check_session(history, &limits, promise);
    let counts = verdict.findings.into_iter().map(|finding| (finding.name, finding.count));
    (verdict.validity, counts.collect())
}

fn changed(history: &History, change: impl FnMut(Event) -> Event) -> History {
    History::new(history.events().iter().cloned().map(change).collect()).expect("well-formed")
}

/// Renames keys and values.
fn renamed(value: &Value) -> Value {
    match value {
        Value::Int(number) => Value::from(format!("it is {number}")),
        Value::Str(key) => Value::from(format!("no {}", if *key == "x" { "y" } else { "x" })),
        Value::List(items) => Value::List(items.iter().map(renamed).collect()),
        Value::Map(entries) => {
            Value::map(entries.iter().map(|(key, it)| {
                (format!("no {}", if key == "x" { "y" } else { "x" }), renamed(it))
            }))
        }
        other => other.clone(),
    }
}

const PROMISES: [Promise<'static>; 3] = [Promise::STALE, Promise::SESSION, Promise::LINEARIZABLE];

#[test]
fn times_and_names_do_not_matter() {
    for (seed, promise) in (0..3000).zip(PROMISES.iter().cycle()) {
        let history = small(seed);
        let wanted = outcome(&history, promise);
        let others = changed(&history, |event| Event {
            index: 5 * event.index + 3,
            time: event.time + 1_000_000_007,
            value: renamed(&event.value),
            process: match event.process {
                Process::Client(number) => Process::Client(1_000_000 - number),
                Process::Nemesis => Process::Nemesis,
            },
            ..event
        });
        assert_eq!(outcome(&others, promise), wanted, "seed {seed}: {history:?}");
    }
}

/// Removing a read or adding an unobserved open write removes evidence, so it adds no anomaly.
#[test]
fn removing_reads_or_adding_open_writes_adds_no_anomaly() {
    let mut tried = 0;
    for (seed, promise) in (0..6000).zip(PROMISES.iter().cycle()) {
        let history = small(seed);
        if outcome(&history, promise).0 != Validity::Valid {
            continue;
        }
        for read in oks(history.operations(), "read") {
            let gone = [read.invoked.index, end(read)];
            let left = history.events().iter().filter(|event| !gone.contains(&event.index));
            let less = History::new(left.cloned().collect()).expect("a whole operation is removed");
            assert_ne!(outcome(&less, promise).0, Validity::Invalid, "seed {seed}: {less:?}");
        }
        let mut draw = RandomDraw(seed);
        let mut events = history.events().to_vec();
        let place = draw.below(events.len() as u64 + 1) as usize;
        let value = Value::pair(KEYS[draw.below(2) as usize], 500);
        let (process, f, kind) = (Process::Client(9000), "write".into(), Kind::Invoke);
        events.insert(
            place,
            Event { index: 0, time: 0, kind, process, f, value, node: None, error: None },
        );
        let more = numbered(events);
        assert_ne!(outcome(&more, promise).0, Validity::Invalid, "seed {seed}: {more:?}");
        tried += 1;
    }
    assert!(tried > 300, "{tried}");
}
