//! Collects the sessions, reads and writes of committed transactions, and the reads that no commit
//! order explains.

use rustc_hash::FxHashMap;

use super::super::table::{NONE, TxnTable};
use crate::finding::Finding;
use crate::history::{Kind, Operation};

/// A read of another transaction's write, or of the initial state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExternalRead {
    pub(super) key: u32,
    /// The node that wrote it; [`Facts::start`] for the initial state.
    pub(super) source: u32,
}

/// Committed transactions, numbered from 0 in order of invocation.
pub(super) struct Facts<'l, 'h> {
    pub(super) table: &'l TxnTable<'h>,
    pub(super) operations: &'h [Operation],
    /// The transaction of each node, by its number in the table.
    pub(super) txns: Vec<u32>,
    /// The session of each node.
    pub(super) session: Vec<u32>,
    /// The position in its session, from 1.
    pub(super) place: Vec<u32>,
    /// The node before it in its session, or [`NONE`].
    pub(super) before: Vec<u32>,
    /// Its reads of other transactions, in order.
    pub(super) reads: Vec<Vec<ExternalRead>>,
    /// The keys it wrote, sorted.
    pub(super) writes: Vec<Vec<u32>>,
    /// The number of sessions.
    pub(super) sessions: usize,
}

impl<'l, 'h> Facts<'l, 'h> {
    /// The facts, and the anomalies of single reads.
    pub(super) fn of(table: &'l TxnTable<'h>, operations: &'h [Operation]) -> (Self, Vec<Finding>) {
        let mut wrong = ReadValidator { table, operations, findings: Vec::new() };
        let outer: Vec<_> =
            (0..table.txns.len() as u32).map(|txn| wrong.collect_outer_reads(txn)).collect();
        let node = number_nodes(table, &outer);
        let count = node.iter().filter(|node| **node != NONE).count();
        let mut facts = Self {
            table,
            operations,
            txns: Vec::with_capacity(count),
            session: Vec::with_capacity(count),
            place: Vec::with_capacity(count),
            before: Vec::with_capacity(count),
            reads: Vec::with_capacity(count),
            writes: Vec::with_capacity(count),
            sessions: 0,
        };
        let mut last: FxHashMap<u32, u32> = FxHashMap::default();
        let mut sessions: FxHashMap<u32, u32> = FxHashMap::default();
        for (txn, reads) in outer.into_iter().enumerate() {
            if node[txn] == NONE {
                continue;
            }
            let process = table.txns[txn].process;
            let fresh = sessions.len() as u32;
            let session = *sessions.entry(process).or_insert(fresh);
            let before = last.insert(session, node[txn]).unwrap_or(NONE);
            let place = facts.place.get(before as usize).map_or(1, |place| place + 1);
            let source =
                |writer: u32| if writer == NONE { count as u32 } else { node[writer as usize] };
            let read = |(key, writer): (u32, u32)| ExternalRead { key, source: source(writer) };
            facts.txns.push(txn as u32);
            facts.session.push(session);
            facts.place.push(place);
            facts.before.push(before);
            facts.reads.push(reads.into_iter().map(read).collect());
            facts.writes.push(written(table, txn as u32));
        }
        facts.sessions = sessions.len();
        (facts, wrong.findings)
    }

    /// The number of committed transactions.
    pub(super) fn len(&self) -> usize {
        self.txns.len()
    }

    /// The node that stands for the writer of the initial state.
    pub(super) fn start(&self) -> u32 {
        self.len() as u32
    }

    /// Whether a node wrote a key.
    pub(super) fn wrote(&self, node: u32, key: u32) -> bool {
        self.writes.get(node as usize).is_some_and(|keys| keys.binary_search(&key).is_ok())
    }

    /// The index of the invocation of a node's transaction.
    pub(super) fn invoked(&self, node: u32) -> u64 {
        let txn = self.txns.get(node as usize);
        txn.map_or(0, |txn| self.table.txns[*txn as usize].invoked)
    }

    /// The name of a key.
    pub(super) fn key(&self, key: u32) -> String {
        self.table.keys[key as usize].value.to_string()
    }

    /// A node as text.
    pub(super) fn describe(&self, node: u32) -> String {
        match self.txns.get(node as usize) {
            Some(txn) => describe(self.table, self.operations, *txn),
            None => "the initial state".to_owned(),
        }
    }

    /// The last value that a node wrote to a key.
    pub(super) fn written_value(&self, node: u32, key: u32) -> String {
        let Some(txn) = self.txns.get(node as usize) else { return "nil".to_owned() };
        let accesses = self.table.accesses(*txn).iter().rev();
        let last = accesses.into_iter().find(|access| access.write && access.key == key);
        last.map_or("?".to_owned(), |access| {
            self.table.elements[access.element as usize].value.to_string()
        })
    }
}

fn describe(table: &TxnTable<'_>, operations: &[Operation], txn: u32) -> String {
    let txn = &table.txns[txn as usize];
    let operation = &operations[txn.operation as usize];
    let value = match &operation.completion {
        Some(done) if txn.kind == Kind::Ok => &done.output,
        _ => &operation.input,
    };
    format!("{value} by {}", operation.actor())
}

/// The node of each transaction that is ok, or indeterminate and read by another one.
fn number_nodes(table: &TxnTable<'_>, outer: &[Vec<(u32, u32)>]) -> Vec<u32> {
    let mut counts: Vec<bool> = table.txns.iter().map(|txn| txn.kind == Kind::Ok).collect();
    for (_, writer) in outer.iter().flatten() {
        if let Some(counts) = counts.get_mut(*writer as usize) {
            *counts = true;
        }
    }
    let mut next = 0;
    let number = |counts: bool| {
        let number = if counts { next } else { NONE };
        next += u32::from(counts);
        number
    };
    counts.into_iter().map(number).collect()
}

fn written(table: &TxnTable<'_>, txn: u32) -> Vec<u32> {
    let mut keys: Vec<u32> =
        table.accesses(txn).iter().filter(|access| access.write).map(|access| access.key).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Finds reads that no commit order explains.
struct ReadValidator<'l, 'h> {
    table: &'l TxnTable<'h>,
    operations: &'h [Operation],
    findings: Vec<Finding>,
}

impl ReadValidator<'_, '_> {
    /// The keys that a transaction read from others, and the writers of the versions it read.
    fn collect_outer_reads(&mut self, txn: u32) -> Vec<(u32, u32)> {
        let table = self.table;
        if table.txns[txn as usize].kind != Kind::Ok {
            return Vec::new();
        }
        let mut own: FxHashMap<u32, u32> = FxHashMap::default();
        let mut reads = Vec::new();
        for access in table.accesses(txn) {
            if access.write {
                own.insert(access.key, access.element);
            } else if let Some(element) = own.get(&access.key) {
                if *element != access.element {
                    self.add("internal", txn, access.key, "is not its own earlier write");
                }
            } else if access.element == NONE {
                reads.push((access.key, NONE));
            } else if let Some(source) = self.source(txn, access.key, access.element) {
                reads.push((access.key, source));
            }
        }
        reads
    }

    /// The writer of a version; `None` if no transaction can have read it.
    fn source(&mut self, txn: u32, key: u32, element: u32) -> Option<u32> {
        let element = &self.table.elements[element as usize];
        let kind = self.table.txns.get(element.writer as usize).map(|txn| txn.kind);
        let (name, why) = match kind {
            None => ("unwritten-read", "was never written"),
            Some(Kind::Fail) => ("G1a", "was written by a failed transaction"),
            Some(_) if element.writer == txn => ("future-read", "is its own later write"),
            Some(_) if element.intermediate => ("G1b", "was overwritten by its own writer"),
            Some(_) => return Some(element.writer),
        };
        self.add(name, txn, key, why);
        None
    }

    fn add(&mut self, name: &str, txn: u32, key: u32, why: &str) {
        if let Some(finding) = self.findings.iter_mut().find(|finding| finding.name == name) {
            finding.count += 1;
            return;
        }
        let told = describe(self.table, self.operations, txn);
        let key = self.table.keys[key as usize].value;
        let operations = vec![self.table.txns[txn as usize].invoked];
        let message = format!("the value that T1 read from key {key} {why}: T1 = {told}");
        let name = name.to_owned();
        self.findings.push(Finding { name, count: 1, message, operations, ..Finding::default() });
    }
}
