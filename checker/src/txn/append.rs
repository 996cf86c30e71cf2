//! Recovers the versions of lists: the longest read of a key shows in which order its elements were appended.
//!
//! Every other read must be a beginning of that one. Elements that nobody read have no known place and make no edge.

use super::graph::{Graph, PROCESS, RW, WR, WW};
use super::read::{Micro, Txn};
use super::{Anomalies, Inferred};
use crate::history::{Kind, Value};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeMap;

/// What is known of one key.
#[derive(Default)]
struct Key<'h> {
    /// The longest list that was read.
    versions: &'h [Value],
    /// Who read it: where the longest came from.
    reader: u32,
    /// What each transaction first saw, without what itself had appended by then, and who.
    reads: Vec<(&'h [Value], u32)>,
    /// Every list that was read, whole.
    shown: Vec<(&'h [Value], u32)>,
}

/// Who appended what, and whether it was its last to that key.
type Writers<'h> = FxHashMap<(&'h Value, &'h Value), (u32, bool)>;

/// Infers the order of transactions.
pub(super) fn infer<'h, 't>(txns: &'t [Txn<'h>]) -> Result<Inferred<'t>, String>
where
    'h: 't,
{
    let mut found = Anomalies::default();
    let writers = writers(txns)?;
    let keys = keys(txns, &mut found)?;
    let mut graph = Graph::default();
    for (key, known) in &keys {
        let history = Lists { txns, writers: &writers, key };
        history.check(known, &mut found);
        history.edges(known, &mut graph);
    }
    lost_updates(txns, &keys, &mut found);
    let why = Box::new(move |from: u32, to: u32, kind: u8| {
        let lists = |key| Lists { txns, writers: &writers, key };
        let reason = keys.iter().find_map(|(key, known)| lists(key).why(known, from, to, kind));
        reason.unwrap_or_else(|| super::graph::order_in_words(kind == PROCESS))
    });
    Ok(Inferred { graph, found, why })
}

fn list<'h>(txn: &Txn<'_>, value: &'h Value) -> Result<&'h [Value], String> {
    match value {
        Value::List(elements) => Ok(elements),
        Value::Nil => Ok(&[]),
        other => Err(format!("operation {}: it read {other}, which is no list", txn.invoked)),
    }
}

fn writers<'h>(txns: &[Txn<'h>]) -> Result<Writers<'h>, String> {
    let mut writers = Writers::default();
    for (number, txn) in (0..).zip(txns) {
        let mut latest: FxHashMap<&Value, &Value> = FxHashMap::default();
        for micro in &txn.micros {
            let Micro::Write(key, element) = *micro else { continue };
            if let Some((other, _)) = writers.insert((key, element), (number, true)) {
                return Err(format!(
                    "operation {}: {element} is appended to {key} a second time, after operation {}: \
                     which of the two a read saw cannot be told",
                    txn.invoked, txns[other as usize].invoked
                ));
            }
            if let Some(before) = latest.insert(key, element)
                && let Some(writer) = writers.get_mut(&(key, before))
            {
                writer.1 = false;
            }
        }
    }
    Ok(writers)
}

/// Collects reads by key, and checks each transaction against itself.
fn keys<'h>(
    txns: &[Txn<'h>],
    found: &mut Anomalies,
) -> Result<BTreeMap<&'h Value, Key<'h>>, String> {
    let mut keys: BTreeMap<&Value, Key<'_>> = BTreeMap::new();
    for (number, txn) in (0..).zip(txns).filter(|(_, txn)| txn.is_committed()) {
        let mut own: FxHashMap<&Value, Own<'_>> = FxHashMap::default();
        for micro in &txn.micros {
            match *micro {
                Micro::Write(key, element) => own.entry(key).or_default().appended.push(element),
                Micro::Read(key, value) => {
                    let read = list(txn, value)?;
                    let own = own.entry(key).or_default();
                    if !own.explains(read) {
                        found.add("internal", &[txn.invoked], || {
                            format!(
                                "{} read {value} from {key}, against what itself had seen and done",
                                txn.name()
                            )
                        });
                        continue;
                    }
                    let known = keys.entry(key).or_default();
                    let base = &read[..read.len() - own.appended.len()];
                    if own.base.is_none() {
                        known.reads.push((base, number));
                    }
                    known.shown.push((read, number));
                    if read.len() > known.versions.len() {
                        (known.versions, known.reader) = (read, number);
                    }
                    own.base = Some(base);
                }
            }
        }
    }
    Ok(keys)
}

/// What a transaction knows of a key by its own doing.
#[derive(Default)]
struct Own<'h> {
    base: Option<&'h [Value]>,
    appended: Vec<&'h Value>,
}

impl Own<'_> {
    fn explains(&self, read: &[Value]) -> bool {
        let Some(before) = read.len().checked_sub(self.appended.len()) else { return false };
        let (base, end) = read.split_at(before);
        self.base.is_none_or(|known| known == base) && end.iter().eq(self.appended.iter().copied())
    }
}

/// The lists of one key.
struct Lists<'a, 'h> {
    txns: &'a [Txn<'h>],
    writers: &'a Writers<'h>,
    key: &'h Value,
}

impl<'h> Lists<'_, 'h> {
    fn writer(&self, element: &'h Value) -> Option<(u32, bool)> {
        self.writers.get(&(self.key, element)).copied()
    }

    fn txn(&self, number: u32) -> &Txn<'h> {
        &self.txns[number as usize]
    }

    fn check(&self, known: &Key<'h>, found: &mut Anomalies) {
        let Key { versions, reader, reads, shown } = known;
        let key = self.key;
        let mut seen = FxHashSet::default();
        for element in versions.iter().filter(|element| !seen.insert(*element)) {
            found.add("duplicate-elements", &[self.txn(*reader).invoked], || {
                format!("{} read {element} twice in {key}", self.txn(*reader).name())
            });
        }
        for (read, by) in reads {
            self.check_read(read, *by, found);
        }
        for (read, by) in shown {
            let txn = self.txn(*by);
            if !versions.starts_with(read) {
                found.add("incompatible-order", &[txn.invoked, self.txn(*reader).invoked], || {
                    let shown = |list: &[Value]| Value::List(list.to_vec());
                    format!(
                        "{} read {} from {key} and {} read {}: no list was both",
                        txn.name(),
                        shown(read),
                        self.txn(*reader).name(),
                        shown(versions)
                    )
                });
            }
        }
        self.dirty_updates(versions, found);
    }

    /// A read must show what committed, or may have, and end with somebody's last.
    fn check_read(&self, read: &'h [Value], by: u32, found: &mut Anomalies) {
        let (txn, key) = (self.txn(by), self.key);
        for element in read {
            match self.writer(element) {
                None => found.add("unwritten-value", &[txn.invoked], || {
                    format!("{} read {element} from {key}, which nobody appended", txn.name())
                }),
                Some((writer, _)) if self.txn(writer).kind == Kind::Fail => {
                    found.add("G1a", &[txn.invoked, self.txn(writer).invoked], || {
                        let aborted = self.txn(writer).name();
                        format!("{} read {element} from {key}, which {aborted} appended, and that failed", txn.name())
                    });
                }
                Some(_) => {}
            }
        }
        if let Some(last) = read.last()
            && let Some((writer, false)) = self.writer(last)
            && writer != by
        {
            found.add("G1b", &[txn.invoked, self.txn(writer).invoked], || {
                let other = self.txn(writer).name();
                format!("{} read {key} up to {last}, in the middle of {other}", txn.name())
            });
        }
    }

    /// A committed element after one that failed.
    fn dirty_updates(&self, versions: &'h [Value], found: &mut Anomalies) {
        for pair in versions.windows(2) {
            let (Some((first, _)), Some((second, _))) =
                (self.writer(&pair[0]), self.writer(&pair[1]))
            else {
                continue;
            };
            if self.txn(first).kind == Kind::Fail && self.txn(second).is_committed() {
                let operations = [self.txn(first).invoked, self.txn(second).invoked];
                found.add("dirty-update", &operations, || {
                    let (first, second) = (self.txn(first).name(), self.txn(second).name());
                    format!(
                        "{second} appended {} to {key} after {} of {first}, which failed",
                        pair[1],
                        pair[0],
                        key = self.key
                    )
                });
            }
        }
    }

    fn edges(&self, known: &Key<'h>, graph: &mut Graph) {
        let writer = |element| self.writer(element).map(|(number, _)| number);
        for pair in known.versions.windows(2) {
            if let (Some(first), Some(second)) = (writer(&pair[0]), writer(&pair[1])) {
                graph.add(first, second, WW);
            }
        }
        for (read, by) in known.reads.iter().filter(|(read, _)| known.versions.starts_with(read)) {
            if let Some(first) = read.last().and_then(writer) {
                graph.add(first, *by, WR);
            }
            if let Some(next) = known.versions.get(read.len()).and_then(writer) {
                graph.add(*by, next, RW);
            }
        }
    }

    /// Why one comes before the other by what was done to this key.
    fn why(&self, known: &Key<'h>, from: u32, to: u32, kind: u8) -> Option<String> {
        let writes = |element, number| self.writer(element).is_some_and(|(by, _)| by == number);
        let (one, other, key) = (self.txn(from).name(), self.txn(to).name(), self.key);
        let mut reads = known.reads.iter();
        match kind {
            WW => known
                .versions
                .windows(2)
                .find(|pair| writes(&pair[0], from) && writes(&pair[1], to))
                .map(|pair| {
                    format!(
                        "{other} appended {} to {key} after {one} had appended {}",
                        pair[1], pair[0]
                    )
                }),
            WR => reads
                .find(|(read, by)| *by == to && read.last().is_some_and(|last| writes(last, from)))
                .map(|(read, _)| {
                    format!("{other} saw {one}'s append of {} to {key}", read[read.len() - 1])
                }),
            RW => reads
                .filter(|(_, by)| *by == from)
                .find_map(|(read, _)| {
                    known.versions.get(read.len()).filter(|next| writes(next, to))
                })
                .map(|next| format!("{one} did not see {other}'s append of {next} to {key}")),
            _ => None,
        }
    }
}

/// Two that read the same list and both appended to it.
fn lost_updates(txns: &[Txn<'_>], keys: &BTreeMap<&Value, Key<'_>>, found: &mut Anomalies) {
    for (key, known) in keys {
        let mut updates: FxHashMap<&[Value], u32> = FxHashMap::default();
        for (read, by) in &known.reads {
            let txn = &txns[*by as usize];
            let appends = |micro: &Micro<'_>| matches!(micro, Micro::Write(to, _) if to == key);
            if !txn.micros.iter().any(appends) {
                continue;
            }
            if let Some(other) = updates.insert(read, *by).filter(|other| other != by) {
                let other = &txns[other as usize];
                found.add("lost-update", &[other.invoked, txn.invoked], || {
                    let (one, other) = (txn.name(), other.name());
                    format!("{other} and {one} both read one version of {key} and appended to it")
                });
            }
        }
    }
}
