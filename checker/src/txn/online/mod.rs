//! Checks transactions for strict serializability while a history is recorded.
//!
//! Each completed transaction adds its dependencies to a graph that is kept in topological order;
//! the edge that closes a cycle is a violation, and so is each anomaly that needs no cycle. Every
//! dependency is final. A longer read only refines the order of versions. A transaction that
//! commits because a write of it was read may still fail, but that makes the read an aborted one,
//! which is a violation, too.

mod graph;
mod lists;
mod registers;
mod rules;
mod topology;

#[cfg(test)]
mod tests;

use rustc_hash::FxHashMap;

use self::graph::{CheckEnd, OnlineGraph};
use self::lists::ListRules;
use self::registers::RegisterRules;
use self::rules::VersionRules;
use super::options::DataType;
use super::table::{Access, NONE, ParsedOp, find_contradiction, micro_ops_of, parse_micro_op};
use crate::history::{Event, Kind, Operation, Value};
use crate::online::{Anomaly, OnlineCheck, OpenOperations, PairedEvent};

/// Checks transactions that append to lists and read them.
pub(crate) fn check_lists_online() -> Box<dyn OnlineCheck> {
    Box::new(OnlineTransactions::new(DataType::Lists, ListRules::default()))
}

/// Checks transactions over registers without unknown writers.
pub(crate) fn check_registers_online() -> Box<dyn OnlineCheck> {
    Box::new(OnlineTransactions::new(DataType::Registers, RegisterRules::default()))
}

struct OnlineTransactions<R> {
    data_type: DataType,
    clients: OpenOperations,
    /// The open transactions by the index of their invocation.
    open: FxHashMap<u64, u32>,
    graph: OnlineGraph,
    rules: R,
    refused: bool,
}

impl<R: VersionRules> OnlineTransactions<R> {
    fn new(data_type: DataType, rules: R) -> Self {
        let (clients, open) = (OpenOperations::default(), FxHashMap::default());
        Self { data_type, clients, open, graph: OnlineGraph::new(), rules, refused: false }
    }

    fn check_event(&mut self, event: &Event) -> Result<(), CheckEnd> {
        match self.clients.pair(event).map_err(|_| CheckEnd::Refused)? {
            None => Ok(()),
            Some(PairedEvent::Invoked(operation)) => {
                let invoked = operation.invoked.index;
                let steps = parse_steps(operation, self.data_type)?;
                let txn = self.graph.begin(invoked)?;
                let mut keys = Vec::with_capacity(steps.len());
                for step in steps {
                    let key = self.graph.key(step.key);
                    keys.push(key);
                    if step.write {
                        self.graph.add_write(txn, key, step.value)?;
                    }
                }
                keys.sort_unstable();
                keys.dedup();
                self.rules.begin(&self.graph, txn, &keys);
                self.open.insert(invoked, txn);
                Ok(())
            }
            Some(PairedEvent::Completed(operation)) => self.complete(&operation),
        }
    }

    fn complete(&mut self, operation: &Operation) -> Result<(), CheckEnd> {
        let txn = self.open.remove(&operation.invoked.index).ok_or(CheckEnd::Refused)?;
        match operation.kind() {
            Kind::Ok => self.end(txn, operation),
            // A later read may still show the writes of an indeterminate transaction.
            Kind::Info | Kind::Invoke => Ok(()),
            Kind::Fail => {
                self.rules.forget(txn);
                self.graph.txns[txn as usize].failed = true;
                match self.graph.txns[txn as usize].writes.first() {
                    Some(version) if self.graph.is_committed(txn) => {
                        Err(self.graph.aborted_read(*version))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn end(&mut self, txn: u32, operation: &Operation) -> Result<(), CheckEnd> {
        let steps = parse_steps(operation, self.data_type)?;
        let completed = operation.completion.as_ref().map(|completion| completion.at.index);
        self.graph.txns[txn as usize].completed = completed.unwrap_or(u64::MAX);
        let accesses = self.read_accesses(txn, &steps)?;
        self.rules.commit(&mut self.graph, txn)?;
        for read in accesses.iter().filter(|access| !access.write) {
            self.add_read(txn, *read)?;
        }
        self.check_own_writes(txn, &accesses)?;
        self.rules.end(&mut self.graph, txn, &accesses)?;
        self.graph.end(txn);
        Ok(())
    }

    /// The accesses of a transaction; their elements are versions.
    fn read_accesses(&mut self, txn: u32, steps: &[ParsedOp<'_>]) -> Result<Vec<Access>, CheckEnd> {
        let values: Vec<&Value> = steps.iter().map(|step| step.value).collect();
        let mut accesses: Vec<Access> = Vec::with_capacity(steps.len());
        for (place, step) in steps.iter().enumerate() {
            let key = self.graph.key(step.key);
            let earlier = accesses.iter().rposition(|access| access.key == key);
            let earlier = earlier.map_or(NONE, |place| place as u32);
            let element = match step.write {
                true => self.graph.version(key, step.value),
                false => self.rules.observe(&mut self.graph, key, step.value)?,
            };
            accesses.push(Access { key, element, earlier, write: step.write });
            if !step.write
                && earlier != NONE
                && let Some(expected) =
                    find_contradiction(&accesses, &values[..=place], self.data_type)
            {
                let (read, index) = (step.value, self.graph.txns[txn as usize].invoked);
                return Err(CheckEnd::Violation(format!(
                    "the transaction at index {index} read {read} from key {}, but its own \
                     earlier operations imply {expected}",
                    step.key
                )));
            }
        }
        Ok(accesses)
    }

    fn add_read(&mut self, txn: u32, read: Access) -> Result<(), CheckEnd> {
        let version = &mut self.graph.versions[read.element as usize];
        if version.intermediate && version.writer != txn {
            let what = self.graph.describe(read.element);
            return Err(CheckEnd::Violation(format!(
                "{what} was read, but its writer overwrote it"
            )));
        }
        if version.readers.last() != Some(&txn) {
            version.readers.push(txn);
        }
        self.graph.add_edge_from_writer(read.element, txn)?;
        self.rules.add_read(&mut self.graph, txn, read.element)
    }

    /// Finds reads of a transaction's own later writes, and lost updates.
    fn check_own_writes(&mut self, txn: u32, accesses: &[Access]) -> Result<(), CheckEnd> {
        let index = self.graph.txns[txn as usize].invoked;
        for (place, write) in accesses.iter().enumerate().filter(|(_, access)| access.write) {
            let of_key = |access: &&Access| !access.write && access.key == write.key;
            let mut reads = accesses[..place].iter().filter(of_key);
            if reads.any(|read| self.rules.shows(read.element, write.element)) {
                let what = self.graph.describe(write.element);
                return Err(CheckEnd::Violation(format!(
                    "the transaction at index {index} read {what} before it wrote that itself"
                )));
            }
        }
        for read in accesses.iter().filter(|access| !access.write && access.earlier == NONE) {
            if !accesses.iter().any(|access| access.write && access.key == read.key) {
                continue;
            }
            let updater = &mut self.graph.versions[read.element as usize].updater;
            match std::mem::replace(updater, txn) {
                NONE => {}
                other => {
                    let other = self.graph.txns[other as usize].invoked;
                    let what = self.graph.describe(read.element);
                    return Err(CheckEnd::Violation(format!(
                        "the transactions at indices {other} and {index} both read {what} and \
                         both wrote that key: one update is lost"
                    )));
                }
            }
        }
        Ok(())
    }
}

/// The micro-operations of a transaction, if all of them are valid.
fn parse_steps(operation: &Operation, data_type: DataType) -> Result<Vec<ParsedOp<'_>>, CheckEnd> {
    let is_legal = |step: &ParsedOp<'_>| {
        step.write
            || !operation.is_ok()
            || data_type == DataType::Registers
            || matches!(step.value, Value::Nil | Value::List(_))
    };
    let steps = micro_ops_of(operation).map_err(|_| CheckEnd::Refused)?.iter();
    let parsed = steps.map(|step| parse_micro_op(step, data_type).ok().filter(is_legal));
    parsed.collect::<Option<_>>().ok_or(CheckEnd::Refused)
}

impl<R: VersionRules> OnlineCheck for OnlineTransactions<R> {
    fn add_event(&mut self, event: &Event) -> Option<Anomaly> {
        if self.refused {
            return None;
        }
        let halt = self.check_event(event).err()?;
        // One violation suffices, and the graph cannot hold its cycle.
        self.refused = true;
        match halt {
            CheckEnd::Violation(message) => Some(Anomaly::new(None, event.index, message)),
            CheckEnd::Refused => None,
        }
    }

    fn set_concurrency(&mut self, concurrency: u64) {
        self.clients.concurrency = Some(concurrency);
    }

    fn held_bytes(&self) -> usize {
        self.graph.held_bytes()
    }
}
