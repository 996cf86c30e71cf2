//! Decides isolation levels of transactions on registers exactly: where every value is written once, the reads say
//! who read whose write, and a level holds if *some* order of commits explains them.
//!
//! Levels are those of Biswas and Enea (*On the Complexity of Checking Transactional Consistency*, OOPSLA 2019): a
//! total order of commits that contains the order of each session and who read whom, such that nobody reads a
//! version that was overwritten by something it must have known. What that is makes the level: what the same
//! transaction had read before (read committed), what it read or its session did (read atomic), all that came before
//! those (causal), or everything in commit order (serializable). Snapshot isolation lets a transaction read at one
//! moment and write at a later one, with no other write to its keys in between. Real time plays no part.
//!
//! The first three follow from closures ([`order`], after AWDIT: Møldrup and Pavlogiannis, PLDI 2025); the last two
//! are searched for, after everything that is forced is known ([`search`]). Before all of them reads must make sense
//! by themselves: of what was committed, of the last write of its transaction, of a transaction's own writes.
//! What may or may not have been committed counts if somebody read it.

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

/// Transactions on registers whose values are all different.
pub struct Isolation;

/// What can be asked for, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    ReadCommitted,
    ReadAtomic,
    Causal,
    SnapshotIsolation,
    Serializable,
}

const LEVELS: [(Level, &str); 5] = [
    (Level::ReadCommitted, "read-committed"),
    (Level::ReadAtomic, "read-atomic"),
    (Level::Causal, "causal"),
    (Level::SnapshotIsolation, "snapshot-isolation"),
    (Level::Serializable, "serializable"),
];

impl Check for Isolation {
    fn name(&self) -> &'static str {
        "isolation"
    }

    fn doc(&self) -> &'static str {
        "transactions on registers, every value written once, are isolated as `--consistency` says (serializable): \
         decided exactly, by sessions and reads, without real time"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        let wanted = limits.consistency.unwrap_or("serializable");
        let verdict = match LEVELS.iter().find(|(_, name)| *name == wanted) {
            Some((level, name)) => check_isolation(history, *level, name, limits),
            None => Verdict::unknown(format!("there is no level {wanted:?} of isolation")),
        };
        Verdict { check: self.name().to_owned(), ..verdict }
    }

    fn levels(&self) -> Vec<&'static str> {
        LEVELS.iter().map(|(_, name)| *name).collect()
    }
}

fn check_isolation(history: &History, level: Level, name: &str, limits: &Limits<'_>) -> Verdict {
    if history.initial().is_some() {
        let why = "the history says in which state it began, and transactions begin with nothing";
        return Verdict::unknown(why.to_owned());
    }
    let table =
        match table::read_transactions(history.operations(), DataType::Registers, limits.expired) {
            Ok(Some(table)) => table,
            Ok(None) => return Verdict::unknown("there was no time to look at it".to_owned()),
            Err(bad) => return Verdict::unknown(bad.to_string()),
        };
    if table.txns.iter().all(|txn| txn.kind != Kind::Ok) {
        let why = "no transaction is known to have taken place: there is nothing to judge";
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
            let message = format!("not {name}, nor anything weaker: {}", wrong[0].message);
            (Validity::Invalid, wrong, message)
        }
        Ok(()) => {
            let message = format!("{name}: an order of commits explains every read");
            (Validity::Valid, Vec::new(), message)
        }
        Err(Failure::Violation(finding)) => {
            let message = format!("not {name}: {}", finding.message);
            (Validity::Invalid, vec![finding], message)
        }
        Err(Failure::BudgetExceeded(why)) => {
            (Validity::Unknown, Vec::new(), format!("nobody knows whether it is {name}: {why}"))
        }
    };
    Verdict { validity, findings, measured, stats, ..Verdict::unknown(message) }
}

fn decide_level(facts: &Facts<'_, '_>, level: Level, limits: &Limits<'_>) -> Result<(), Failure> {
    let edges = match level {
        Level::ReadCommitted => order::read_committed_edges(facts),
        Level::ReadAtomic => order::read_atomic_edges(facts),
        Level::Causal | Level::SnapshotIsolation | Level::Serializable => {
            order::causal_edges(facts, limits)?
        }
    };
    if let Some(finding) = cycle::find_cycle(facts, &edges) {
        return Err(Failure::Violation(finding));
    }
    match level {
        Level::SnapshotIsolation => {
            search::search_commit_order(facts, &edges, search::Points::Two, limits)
        }
        Level::Serializable => {
            search::search_commit_order(facts, &edges, search::Points::One, limits)
        }
        _ => Ok(()),
    }
}
