//! Judges transactions: finds the cycles and the impossible reads that no serial order in real time explains.
//!
//! From what transactions read, the order of versions of each key is recovered ([`append`]: a list shows it;
//! [`register`]: only what is certain), and from that which transaction must come before which: `ww`, `wr` and `rw`
//! (Adya 1999), the order of each process, and real time. Each edge holds in *every* serial order that explains the
//! history, so a cycle proves that there is none (Kingsbury and Alvaro, *Elle*, VLDB 2020). What nobody knows counts
//! only where it was observed. The other direction is exact for lists whose elements were all read.

mod append;
mod cycle;
mod graph;
mod read;
mod register;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::check::{Check, Limits, Stats, Validity, Verdict};
use crate::finding::Finding;
use crate::history::{History, Value};
use graph::Graph;
use read::Txn;

/// Transactions that append to lists and read them.
pub(crate) struct ListAppend;

/// Transactions that write registers and read them.
pub(crate) struct RwRegister(pub(crate) World);

/// Whether the history holds everybody who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum World {
    /// Others may have written: a value from nowhere says nothing (as in Elle).
    Open,
    /// It does, and every register was nil at first: a value from nowhere is wrong.
    Closed,
}

impl Check for ListAppend {
    fn name(&self) -> &'static str {
        "list-append"
    }

    fn doc(&self) -> &'static str {
        "transactions of [\"append\" key element] and [\"r\" key list] are strict serializable (Elle's list-append)"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        let txns = read::txns(history, "append").map_err(|why| no_history(self.name(), &why));
        let inferred = txns.as_ref().map_err(Clone::clone).and_then(|txns| append::infer(txns));
        judge(self.name(), limits, txns.as_deref().unwrap_or_default(), inferred)
    }
}

impl Check for RwRegister {
    fn name(&self) -> &'static str {
        match self.0 {
            World::Open => "rw-register",
            World::Closed => "rw-register-closed",
        }
    }

    fn doc(&self) -> &'static str {
        match self.0 {
            World::Open => {
                "transactions of [\"w\" key value] and [\"r\" key value], each value written once, are strict \
                 serializable"
            }
            World::Closed => "the same, and nobody reads what nobody wrote",
        }
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        let txns = read::txns(history, "w").map_err(|why| no_history(self.name(), &why));
        let inferred =
            txns.as_ref().map_err(Clone::clone).and_then(|txns| register::infer(txns, self.0));
        judge(self.name(), limits, txns.as_deref().unwrap_or_default(), inferred)
    }
}

/// What transactions tell: who comes before whom, and what is wrong without any cycle.
struct Inferred<'t> {
    graph: Graph,
    found: Anomalies,
    /// Why one transaction comes before another, in a sentence.
    why: Box<dyn Fn(u32, u32, u8) -> String + 't>,
}

/// Kinds of wrong and the cases of each, by name.
#[derive(Default)]
struct Anomalies(BTreeMap<&'static str, Finding>);

impl Anomalies {
    /// One more case; the first is told.
    fn add(&mut self, name: &'static str, operations: &[u64], sentence: impl FnOnce() -> String) {
        let finding = self.0.entry(name).or_insert_with(|| Finding {
            name: name.to_owned(),
            sentence: sentence(),
            operations: operations.to_vec(),
            ..Finding::default()
        });
        finding.count += 1;
    }
}

/// The weakest models that an anomaly rules out (Adya 1999; Berenson and others 1995; Elle's names).
fn broken(anomaly: &str) -> &'static str {
    match anomaly {
        "G0" => "read-uncommitted",
        "G1a" | "G1b" | "G1c" | "dirty-update" | "duplicate-elements" | "incompatible-order"
        | "unwritten-value" => "read-committed",
        "internal" => "read-atomic",
        "lost-update" => "cursor-stability",
        "G-single" => "consistent-view",
        "G-nonadjacent" => "snapshot-isolation",
        "G2-item" => "repeatable-read",
        _ if anomaly.ends_with("-process") => "strong-session-serializable",
        _ => "strict-serializable",
    }
}

fn no_history(name: &str, why: &str) -> String {
    format!("this is no {name} history: {why}")
}

fn judge(
    name: &'static str,
    limits: &Limits<'_>,
    txns: &[Txn<'_>],
    inferred: Result<Inferred<'_>, String>,
) -> Verdict {
    let verdict = |validity, sentence| Verdict {
        check: name.to_owned(),
        validity,
        ..Verdict::unknown(sentence)
    };
    let Inferred { mut graph, mut found, why } = match inferred {
        Ok(inferred) => inferred,
        Err(why) => return verdict(Validity::Unknown, why),
    };
    graph.order(txns);
    let finished = cycle::find(&graph.finish(txns.len()), txns, &*why, limits, &mut found);
    let committed = txns.iter().filter(|txn| txn.is_committed()).count();
    let stats = Stats { operations: committed, keys: 1, ..Stats::default() };
    if found.0.is_empty() {
        let (validity, sentence) = if finished {
            (Validity::Valid, format!("no cycle among {committed} transactions"))
        } else {
            (Validity::Unknown, "time is up before all cycles were looked for".to_owned())
        };
        return Verdict { stats, ..verdict(validity, sentence) };
    }
    let names: Vec<&str> = found.0.keys().copied().collect();
    let mut models: Vec<&str> = names.iter().map(|name| broken(name)).collect();
    models.sort_unstable();
    models.dedup();
    let sentence = format!("not strict serializable: {}", names.join(", "));
    let measured = BTreeMap::from([
        ("anomalies".to_owned(), counts(&found)),
        ("not".to_owned(), Value::List(models.into_iter().map(Value::from).collect())),
    ]);
    let findings = found.0.into_values().collect();
    Verdict { stats, findings, measured, ..verdict(Validity::Invalid, sentence) }
}

fn counts(found: &Anomalies) -> Value {
    let count = |(name, finding): (&&str, &Finding)| {
        ((*name).to_owned(), Value::Int(i64::try_from(finding.count).unwrap_or(i64::MAX)))
    };
    Value::map(found.0.iter().map(count))
}
