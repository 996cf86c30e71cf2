//! Holds what is known of the transactions so far: versions, their readers and writers, and the
//! dependency graph without cycles.
//!
//! The real-time order is drawn with barriers, as in [`super::super::graph`]. A transaction joins
//! the graph when it commits, so most edges agree with the order of the nodes. An edge between
//! transactions of which one completed before the other began is left out.

use rustc_hash::FxHashMap;

use super::super::table::NONE;
use super::topology::TopologicalOrder;
use crate::history::Value;

/// Why the check of an event ends.
pub(super) enum CheckEnd {
    /// The event proves this violation.
    Violation(String),
    /// The history is not one of transactions.
    Refused,
}

/// A transaction.
pub(super) struct OnlineTxn {
    pub(super) invoked: u64,
    /// The index of its completion, if it is ok; else `u64::MAX`.
    pub(super) completed: u64,
    pub(super) failed: bool,
    /// Whether it is ok, or a committed transaction observed one of its writes.
    committed: bool,
    node: u32,
    /// The last barrier before its invocation.
    barrier: u32,
    /// The versions that it writes, in order.
    pub(super) writes: Vec<u32>,
}

/// A written value of a key, or its initial state.
pub(super) struct OnlineVersion {
    pub(super) key: u32,
    pub(super) value: Value,
    pub(super) writer: u32,
    /// Whether its own writer overwrote it.
    pub(super) intermediate: bool,
    /// The version of the key that its writer wrote before it.
    pub(super) before: u32,
    /// The transactions that read it, in order of completion.
    pub(super) readers: Vec<u32>,
    /// A transaction that read it and then wrote the key.
    pub(super) updater: u32,
}

struct OnlineKey {
    value: Value,
    versions: FxHashMap<Value, u32>,
    initial: u32,
}

/// The transactions, versions and dependencies so far.
pub(super) struct OnlineGraph {
    pub(super) txns: Vec<OnlineTxn>,
    pub(super) versions: Vec<OnlineVersion>,
    keys: Vec<OnlineKey>,
    names: FxHashMap<Value, u32>,
    order: TopologicalOrder,
    /// The transaction of each node; [`NONE`] for a barrier.
    node_txns: Vec<u32>,
    barrier: u32,
    /// The nodes of the transactions that completed since the last barrier.
    completed: Vec<u32>,
    /// The approximate memory of keys and versions, in bytes.
    held: usize,
}

impl OnlineGraph {
    pub(super) fn new() -> Self {
        Self {
            txns: Vec::new(),
            versions: Vec::new(),
            keys: Vec::new(),
            names: FxHashMap::default(),
            order: TopologicalOrder::default(),
            node_txns: Vec::new(),
            barrier: NONE,
            completed: Vec::new(),
            held: 0,
        }
    }

    /// Adds a transaction that is invoked now.
    pub(super) fn begin(&mut self, invoked: u64) -> Result<u32, CheckEnd> {
        if !self.completed.is_empty() {
            let barrier = self.add_node(NONE);
            for node in std::mem::take(&mut self.completed) {
                self.add_node_edge(node, barrier)?;
            }
            if self.barrier != NONE {
                self.add_node_edge(self.barrier, barrier)?;
            }
            self.barrier = barrier;
        }
        self.txns.push(OnlineTxn {
            invoked,
            completed: u64::MAX,
            failed: false,
            committed: false,
            node: NONE,
            barrier: self.barrier,
            writes: Vec::new(),
        });
        Ok(self.txns.len() as u32 - 1)
    }

    /// The number of a key.
    pub(super) fn key(&mut self, value: &Value) -> u32 {
        if let Some(key) = self.names.get(value) {
            return *key;
        }
        let key = self.keys.len() as u32;
        let initial = self.add_version(key, Value::Nil);
        self.keys.push(OnlineKey { value: value.clone(), versions: FxHashMap::default(), initial });
        self.names.insert(value.clone(), key);
        self.held += size_of::<OnlineKey>() + 2 * value.approximate_bytes();
        key
    }

    /// The version of a key with this value; nil is the initial state.
    pub(super) fn version(&mut self, key: u32, value: &Value) -> u32 {
        let known = &self.keys[key as usize];
        if *value == Value::Nil {
            return known.initial;
        }
        if let Some(version) = known.versions.get(value) {
            return *version;
        }
        let version = self.add_version(key, value.clone());
        self.keys[key as usize].versions.insert(value.clone(), version);
        version
    }

    fn add_version(&mut self, key: u32, value: Value) -> u32 {
        self.held += size_of::<OnlineVersion>() + 2 * value.approximate_bytes() + 16;
        let (readers, intermediate) = (Vec::new(), false);
        let [writer, before, updater] = [NONE; 3];
        self.versions.push(OnlineVersion {
            key,
            value,
            writer,
            intermediate,
            before,
            readers,
            updater,
        });
        self.versions.len() as u32 - 1
    }

    /// The initial state of a key.
    pub(super) fn initial(&self, key: u32) -> u32 {
        self.keys[key as usize].initial
    }

    /// Records a write of a transaction that is invoked now.
    pub(super) fn add_write(&mut self, txn: u32, key: u32, value: &Value) -> Result<(), CheckEnd> {
        let version = self.version(key, value);
        let is_own = |own: &&u32| self.versions[**own as usize].key == key;
        let before = self.txns[txn as usize].writes.iter().rev().find(is_own).copied();
        let written = &mut self.versions[version as usize];
        if *value == Value::Nil || written.writer != NONE {
            return Err(CheckEnd::Refused);
        }
        (written.writer, written.before) = (txn, before.unwrap_or(NONE));
        if let Some(before) = before {
            self.versions[before as usize].intermediate = true;
        }
        self.txns[txn as usize].writes.push(version);
        Ok(())
    }

    /// The writer of a version that was read, unless no such read is legal.
    pub(super) fn legal_writer(&self, version: u32) -> Result<u32, CheckEnd> {
        let writer = self.versions[version as usize].writer;
        if writer == NONE {
            let what = self.describe(version);
            return Err(CheckEnd::Violation(format!(
                "{what} was read, but no transaction wrote it"
            )));
        }
        if self.txns[writer as usize].failed {
            return Err(self.aborted_read(version));
        }
        Ok(writer)
    }

    /// The violation that a version of a failed transaction was read.
    pub(super) fn aborted_read(&self, version: u32) -> CheckEnd {
        let writer = self.versions[version as usize].writer;
        let (what, index) = (self.describe(version), self.txns[writer as usize].invoked);
        CheckEnd::Violation(format!(
            "{what} was read, but the transaction at index {index}, which wrote it, failed"
        ))
    }

    /// Adds a transaction to the graph; returns whether it had not been committed before.
    pub(super) fn commit(&mut self, txn: u32) -> Result<bool, CheckEnd> {
        if std::mem::replace(&mut self.txns[txn as usize].committed, true) {
            return Ok(false);
        }
        let node = self.add_node(txn);
        self.txns[txn as usize].node = node;
        let barrier = self.txns[txn as usize].barrier;
        if barrier != NONE {
            self.add_node_edge(barrier, node)?;
        }
        Ok(true)
    }

    pub(super) fn is_committed(&self, txn: u32) -> bool {
        self.txns[txn as usize].committed
    }

    /// Ends a committed transaction: those invoked from now on come later.
    pub(super) fn end(&mut self, txn: u32) {
        self.completed.push(self.txns[txn as usize].node);
    }

    /// Whether the first transaction completed before the second began.
    pub(super) fn precedes(&self, one: u32, other: u32) -> bool {
        self.txns[one as usize].completed < self.txns[other as usize].invoked
    }

    /// Adds a dependency between committed transactions.
    pub(super) fn add_edge(&mut self, from: u32, to: u32) -> Result<(), CheckEnd> {
        if from == to || self.precedes(from, to) {
            return Ok(());
        }
        self.add_node_edge(self.txns[from as usize].node, self.txns[to as usize].node)
    }

    /// Adds the dependency on the writer of a version.
    pub(super) fn add_edge_from_writer(&mut self, version: u32, to: u32) -> Result<(), CheckEnd> {
        match self.versions[version as usize].writer {
            NONE => Ok(()),
            writer => self.add_edge(writer, to),
        }
    }

    /// Adds the anti-dependencies of the readers of a version, the last one first.
    pub(super) fn add_edges_from_readers(&mut self, version: u32, to: u32) -> Result<(), CheckEnd> {
        for place in (0..self.versions[version as usize].readers.len()).rev() {
            let reader = self.versions[version as usize].readers[place];
            if self.precedes(reader, to) {
                // So do all earlier readers.
                break;
            }
            self.add_edge(reader, to)?;
        }
        Ok(())
    }

    fn add_node(&mut self, txn: u32) -> u32 {
        self.node_txns.push(txn);
        self.order.add_node()
    }

    fn add_node_edge(&mut self, from: u32, to: u32) -> Result<(), CheckEnd> {
        self.order.add_edge(from, to).map_err(|path| {
            let txns = path.iter().map(|node| self.node_txns[*node as usize]);
            let indices: Vec<_> = txns
                .filter(|txn| *txn != NONE)
                .map(|txn| self.txns[txn as usize].invoked.to_string())
                .collect();
            let indices = indices.join(", ");
            CheckEnd::Violation(format!(
                "the transactions at indices {indices} depend on each other in a cycle"
            ))
        })
    }

    /// A version as text.
    pub(super) fn describe(&self, version: u32) -> String {
        let OnlineVersion { key, value, .. } = &self.versions[version as usize];
        format!("{value} of key {}", self.keys[*key as usize].value)
    }

    /// The approximate memory held, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        self.held + self.order.len() * 32 + self.txns.len() * size_of::<OnlineTxn>()
    }
}
