//! Decides isolation levels of transactions on registers exactly.
//!
//! Every value is written once, so each read identifies its write. A level holds if *some* commit
//! order explains all reads.
//!
//! Levels are those of Biswas and Enea (*On the Complexity of Checking Transactional Consistency*,
//! OOPSLA 2019): a total commit order that contains session order and read dependencies, in which
//! no transaction reads a version overwritten by a transaction that it must have observed. The
//! level defines which ones those are: those the transaction had read from before (read committed);
//! those it reads from and the earlier ones of its session (read atomic); their transitive closure
//! (causal); or all earlier ones in commit order (serializable). Under snapshot isolation a
//! transaction reads at one point and writes at a later one, with no other write to its keys in
//! between. Real time plays no part.
//!
//! The first three levels follow from closures ([`order`], after AWDIT: Møldrup and Pavlogiannis,
//! PLDI 2025). The last two need a search, after all forced edges are known ([`search`]). First,
//! each read must be consistent by itself: it must be of a committed transaction, of its last write
//! to the key, and of the reader's own write if there is one. An indeterminate transaction counts
//! as committed if another one read from it.

mod cycle;
mod facts;
mod failure;
mod order;
mod search;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::facts::Facts;
use self::failure::Failure;
use super::options::DataType;
use super::table;
use crate::history::{History, Kind, Value};
use crate::verdict::{Algorithm, Check, Limits, Stats, Validity, Verdict};

/// Transactions on registers with distinct values.
pub struct Isolation;

/// The isolation levels, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum IsolationLevel {
    ReadCommitted,
    ReadAtomic,
    Causal,
    SnapshotIsolation,
    Serializable,
}

const LEVELS: [(IsolationLevel, &str); 5] = [
    (IsolationLevel::ReadCommitted, "read-committed"),
    (IsolationLevel::ReadAtomic, "read-atomic"),
    (IsolationLevel::Causal, "causal"),
    (IsolationLevel::SnapshotIsolation, "snapshot-isolation"),
    (IsolationLevel::Serializable, "serializable"),
];

impl Check for Isolation {
    fn name(&self) -> &'static str {
        "isolation"
    }

    fn doc(&self) -> &'static str {
        "transactions on registers, with every value written once, have the isolation level in \
         `--consistency` (serializable): decided exactly from sessions and reads, without real time"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        let wanted = limits.consistency.unwrap_or("serializable");
        let verdict = match LEVELS.iter().find(|(_, name)| *name == wanted) {
            Some((level, name)) => check_isolation(history, *level, name, limits),
            None => Verdict::unknown(format!("unknown isolation level {wanted:?}")),
        };
        Verdict { check: self.name().to_owned(), ..verdict }
    }

    fn levels(&self) -> Vec<&'static str> {
        LEVELS.iter().map(|(_, name)| *name).collect()
    }
}

fn check_isolation(
    history: &History,
    level: IsolationLevel,
    name: &str,
    limits: &Limits<'_>,
) -> Verdict {
    if history.initial().is_some() {
        let why = "the history has an initial state, but transactions must start from an empty one";
        return Verdict::unknown(why.to_owned());
    }
    let table =
        match table::read_transactions(history.operations(), DataType::Registers, limits.expired) {
            Ok(Some(table)) => table,
            Ok(None) => {
                return Verdict::unknown(
                    "time limit exceeded while parsing the \
                transactions"
                        .to_owned(),
                );
            }
            Err(bad) => return Verdict::unknown(bad.to_string()),
        };
    if table.txns.iter().all(|txn| txn.kind != Kind::Ok) {
        let why = "no transaction committed, so there is nothing to check";
        return Verdict::unknown(why.to_owned());
    }
    let (facts, wrong) = Facts::of(&table, history.operations());
    let outcome = if wrong.is_empty() { decide_level(&facts, level, limits) } else { Ok(()) };
    let stats = Stats {
        operations: facts.len(),
        keys: table.keys.len(),
        algorithm: Algorithm::Graph,
        ..Stats::default()
    };
    let measured = BTreeMap::from([("consistency".to_owned(), Value::from(name))]);
    let (validity, findings, message) = match outcome {
        _ if !wrong.is_empty() => {
            let message = format!("not {name}, nor any weaker level: {}", wrong[0].message);
            (Validity::Invalid, wrong, message)
        }
        Ok(()) => {
            let message = format!("{name}: a commit order explains every read");
            (Validity::Valid, Vec::new(), message)
        }
        Err(Failure::Violation(finding)) => {
            let message = format!("not {name}: {}", finding.message);
            (Validity::Invalid, vec![finding], message)
        }
        Err(Failure::BudgetExceeded(why)) => {
            (Validity::Unknown, Vec::new(), format!("{name} is undecided: {why}"))
        }
    };
    Verdict { validity, findings, measured, stats, ..Verdict::unknown(message) }
}

fn decide_level(
    facts: &Facts<'_, '_>,
    level: IsolationLevel,
    limits: &Limits<'_>,
) -> Result<(), Failure> {
    let edges = match level {
        IsolationLevel::ReadCommitted => order::read_committed_edges(facts),
        IsolationLevel::ReadAtomic => order::read_atomic_edges(facts),
        IsolationLevel::Causal
        | IsolationLevel::SnapshotIsolation
        | IsolationLevel::Serializable => order::causal_edges(facts, limits)?,
    };
    if let Some(finding) = cycle::find_cycle(facts, &edges) {
        return Err(Failure::Violation(finding));
    }
    match level {
        IsolationLevel::SnapshotIsolation => {
            search::search_commit_order(facts, &edges, search::Points::Two, limits)
        }
        IsolationLevel::Serializable => {
            search::search_commit_order(facts, &edges, search::Points::One, limits)
        }
        _ => Ok(()),
    }
}
