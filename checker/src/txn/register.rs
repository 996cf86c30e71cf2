//! Infers what is certain of registers whose values are written once: nothing shows the order of their versions.
//!
//! Certain is: nil comes first; who reads one value and writes another puts the second after the first; and what was
//! written after another write was over comes later, if the store is strict. A reader of a version comes before
//! everybody who wrote a later one.

use super::graph::{Graph, PROCESS, RW, RW_REALTIME, WR};
use super::read::{Micro, Txn};
use super::{Anomalies, Inferred, World};
use crate::history::{Kind, Value};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What is known of one key.
#[derive(Default)]
struct Key<'h> {
    /// Who wrote each value, and whether it was its last to that key.
    writers: FxHashMap<&'h Value, (u32, bool)>,
    /// What each transaction read before it wrote.
    reads: Vec<(&'h Value, u32)>,
    /// Who wrote another value after it had read this one.
    updates: FxHashMap<&'h Value, Vec<u32>>,
    /// Who wrote a final value and committed, or was seen: beginning, end, who.
    writes: Vec<(u64, u64, u32)>,
}

/// Infers the order of transactions.
pub(super) fn infer<'h, 't>(txns: &'t [Txn<'h>], world: World) -> Result<Inferred<'t>, String>
where
    'h: 't,
{
    let mut found = Anomalies::default();
    let mut keys: BTreeMap<&Value, Key<'_>> = BTreeMap::new();
    writes(txns, &mut keys)?;
    reads(txns, &mut keys, &mut found);
    let mut graph = Graph::default();
    for (key, known) in &mut keys {
        known.writes.sort_unstable();
        check((txns, world), key, known, &mut found);
        edges(txns, known, &mut graph);
    }
    let why = Box::new(move |from: u32, to: u32, kind: u8| {
        let (one, other) = (txns[from as usize].name(), txns[to as usize].name());
        let reason = keys.iter().find_map(|(key, known)| {
            let read = |by: u32| known.reads.iter().filter(move |(_, who)| *who == by);
            let wrote = |value, who| known.writers.get(value).is_some_and(|(by, _)| *by == who);
            let writes = known.writers.values().any(|(by, _)| *by == to);
            match kind {
                WR => read(to).find(|(value, _)| wrote(*value, from)).map(|(value, _)| {
                    format!("{other} read {value} from {key}, which {one} wrote")
                }),
                RW => read(from)
                    .find(|(value, _)| {
                        known.updates.get(value).is_some_and(|all| all.contains(&to))
                    })
                    .map(|(value, _)| {
                        format!("{one} read {value} from {key}, which {other} replaced")
                    }),
                RW_REALTIME => read(from).next().filter(|_| writes).map(|(value, _)| {
                    format!("{one} read {value} from {key}, and {other} wrote it later")
                }),
                _ => None,
            }
        });
        reason.unwrap_or_else(|| super::graph::order_in_words(kind == PROCESS))
    });
    Ok(Inferred { graph, found, why })
}

fn writes<'h>(txns: &[Txn<'h>], keys: &mut BTreeMap<&'h Value, Key<'h>>) -> Result<(), String> {
    for (number, txn) in (0..).zip(txns) {
        let mut latest: FxHashMap<&Value, &Value> = FxHashMap::default();
        for micro in &txn.micros {
            let Micro::Write(key, value) = *micro else { continue };
            let known = keys.entry(key).or_default();
            if let Some((other, _)) = known.writers.insert(value, (number, true)) {
                return Err(format!(
                    "operation {}: {value} is written to {key} a second time, after operation {}: \
                     which of the two a read saw cannot be told",
                    txn.invoked, txns[other as usize].invoked
                ));
            }
            if let Some(before) = latest.insert(key, value)
                && let Some(writer) = known.writers.get_mut(before)
            {
                writer.1 = false;
            }
        }
        if let (true, Some(end)) = (txn.is_committed(), txn.completed) {
            for key in latest.keys() {
                if let Some(known) = keys.get_mut(*key) {
                    known.writes.push((txn.invoked, end, number));
                }
            }
        }
    }
    Ok(())
}

fn reads<'h>(txns: &[Txn<'h>], keys: &mut BTreeMap<&'h Value, Key<'h>>, found: &mut Anomalies) {
    for (number, txn) in (0..).zip(txns).filter(|(_, txn)| txn.is_committed()) {
        let mut own: FxHashMap<&Value, (&Value, bool)> = FxHashMap::default();
        for micro in &txn.micros {
            match *micro {
                Micro::Write(key, value) => {
                    if let Some((read, false)) = own.insert(key, (value, true)) {
                        keys.entry(key).or_default().updates.entry(read).or_default().push(number);
                    }
                }
                Micro::Read(key, value) => {
                    match own.get(key) {
                        Some((known, _)) if *known != value => {
                            found.add("internal", &[txn.invoked], || {
                            format!("{} read {value} from {key}, where itself had seen or left {known}", txn.name())
                        });
                        }
                        Some(_) => {}
                        None => {
                            own.insert(key, (value, false));
                            keys.entry(key).or_default().reads.push((value, number));
                        }
                    }
                }
            }
        }
    }
}

fn check((txns, world): (&[Txn<'_>], World), key: &Value, known: &Key<'_>, found: &mut Anomalies) {
    for (value, by) in known.reads.iter().filter(|(value, _)| **value != Value::Nil) {
        let txn = &txns[*by as usize];
        let Some((writer, is_last)) = known.writers.get(value) else {
            if world == World::Closed {
                found.add("unwritten-value", &[txn.invoked], || {
                    format!("{} read {value} from {key}, which nobody wrote", txn.name())
                });
            }
            continue;
        };
        let other = &txns[*writer as usize];
        let operations = [txn.invoked, other.invoked];
        if other.kind == Kind::Fail {
            found.add("G1a", &operations, || {
                format!(
                    "{} read {value} from {key}, which {} wrote, and that failed",
                    txn.name(),
                    other.name()
                )
            });
        } else if !is_last && writer != by {
            found.add("G1b", &operations, || {
                format!("{} read {value} from {key}, in the middle of {}", txn.name(), other.name())
            });
        }
    }
    for (value, all) in known.updates.iter().filter(|(_, all)| all.len() > 1) {
        let operations: Vec<u64> = all.iter().map(|by| txns[*by as usize].invoked).collect();
        found.add("lost-update", &operations, || {
            format!("{} transactions read {value} from {key} and replaced it", all.len())
        });
    }
}

fn edges(txns: &[Txn<'_>], known: &Key<'_>, graph: &mut Graph) {
    // The earliest end of all writes from each place on: what begins before it has nothing of them before it.
    let mut ends: Vec<u64> = known.writes.iter().map(|(_, end, _)| *end).collect();
    for place in (1..ends.len()).rev() {
        ends[place - 1] = ends[place - 1].min(ends[place]);
    }
    for (value, by) in &known.reads {
        let writer = known.writers.get(value).map(|(writer, _)| *writer);
        if let Some(writer) = writer {
            graph.add(writer, *by, WR);
        }
        for next in known.updates.get(value).into_iter().flatten() {
            graph.add(*by, *next, RW);
        }
        // Everything written after the version was: nil was there before all.
        let since = match writer {
            None if **value == Value::Nil => Some(0),
            None => None,
            Some(writer) => txns[writer as usize].completed,
        };
        let Some(since) = since else { continue };
        let first = known.writes.partition_point(|(begin, ..)| *begin < since);
        let Some(end) = ends.get(first) else { continue };
        let later = known.writes[first..].iter().take_while(|(begin, ..)| begin < end);
        later.for_each(|(_, _, next)| graph.add(*by, *next, RW_REALTIME));
    }
}
