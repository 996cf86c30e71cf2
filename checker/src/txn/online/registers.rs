//! Orders the versions of registers by the rules that strict serializability implies, as
//! [`super::super::register_order`] does: the initial state comes first, a transaction overwrites
//! the version that it read, and each key is linearizable.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::table::{Access, NONE};
use super::graph::{CheckEnd, OnlineGraph};
use super::rules::VersionRules;
use crate::history::Value;

/// The registers so far.
#[derive(Default)]
pub(super) struct RegisterRules {
    keys: Vec<RegisterPast>,
    /// The versions known to follow each version directly, but not the initial state.
    next: FxHashMap<u32, Vec<u32>>,
    pairs: FxHashSet<(u32, u32)>,
    /// For each transaction that may still commit: its keys, and the versions that must precede
    /// what it finds there.
    preceding: FxHashMap<u32, Vec<(u32, Vec<u32>)>>,
}

#[derive(Clone, Default)]
struct RegisterPast {
    /// The committed transactions that wrote the key.
    writers: Vec<u32>,
    /// The completed accesses that no other completed access follows.
    latest: Vec<PastAccess>,
}

/// A completed transaction's access to a key.
#[derive(Clone, Copy)]
struct PastAccess {
    invoked: u64,
    completed: u64,
    /// The version that it left.
    left: u32,
}

impl RegisterRules {
    fn register(&mut self, key: u32) -> &mut RegisterPast {
        let key = key as usize;
        if self.keys.len() <= key {
            self.keys.resize(key + 1, RegisterPast::default());
        }
        &mut self.keys[key]
    }

    /// Records that one version precedes another of the same key.
    fn add_pair(&mut self, graph: &mut OnlineGraph, one: u32, other: u32) -> Result<(), CheckEnd> {
        let [before, after] = [one, other].map(|version| graph.versions[version as usize].writer);
        // The initial state precedes all versions anyway.
        if one == other || before == NONE || after == NONE || !self.pairs.insert((one, other)) {
            return Ok(());
        }
        self.next.entry(one).or_default().push(other);
        graph.add_edge(before, after)?;
        graph.add_edges_from_readers(one, after)
    }

    /// The versions that must precede what a transaction finds in a key.
    fn preceding(&self, txn: u32, key: u32) -> Vec<u32> {
        let keys = self.preceding.get(&txn).map_or(&[][..], Vec::as_slice);
        keys.iter().find(|(known, _)| *known == key).map_or_else(Vec::new, |(_, it)| it.clone())
    }
}

impl VersionRules for RegisterRules {
    fn begin(&mut self, _: &OnlineGraph, txn: u32, keys: &[u32]) {
        let mut preceding = Vec::with_capacity(keys.len());
        for key in keys {
            let latest = &mut self.register(*key).latest;
            let last = latest.iter().map(|access| access.invoked).max().unwrap_or(0);
            latest.retain(|access| access.completed >= last);
            let mut left: Vec<_> = latest.iter().map(|access| access.left).collect();
            left.sort_unstable();
            left.dedup();
            preceding.push((*key, left));
        }
        self.preceding.insert(txn, preceding);
    }

    fn commit(&mut self, graph: &mut OnlineGraph, txn: u32) -> Result<(), CheckEnd> {
        if !graph.commit(txn)? {
            return Ok(());
        }
        for version in graph.txns[txn as usize].writes.clone() {
            let written = &graph.versions[version as usize];
            if written.intermediate {
                continue;
            }
            let key = written.key;
            self.register(key).writers.push(txn);
            graph.add_edges_from_readers(graph.initial(key), txn)?;
            for before in self.preceding(txn, key) {
                self.add_pair(graph, before, version)?;
            }
        }
        Ok(())
    }

    fn observe(
        &mut self,
        graph: &mut OnlineGraph,
        key: u32,
        value: &Value,
    ) -> Result<u32, CheckEnd> {
        let version = graph.version(key, value);
        if version != graph.initial(key) {
            let writer = graph.legal_writer(version)?;
            self.commit(graph, writer)?;
        }
        Ok(version)
    }

    fn add_read(
        &mut self,
        graph: &mut OnlineGraph,
        txn: u32,
        version: u32,
    ) -> Result<(), CheckEnd> {
        let key = graph.versions[version as usize].key;
        if version == graph.initial(key) {
            for place in (0..self.register(key).writers.len()).rev() {
                let writer = self.register(key).writers[place];
                graph.add_edge(txn, writer)?;
            }
        }
        for next in self.next.get(&version).into_iter().flatten() {
            graph.add_edge(txn, graph.versions[*next as usize].writer)?;
        }
        Ok(())
    }

    fn shows(&self, read: u32, written: u32) -> bool {
        read == written
    }

    fn end(
        &mut self,
        graph: &mut OnlineGraph,
        txn: u32,
        accesses: &[Access],
    ) -> Result<(), CheckEnd> {
        let (invoked, completed) =
            (graph.txns[txn as usize].invoked, graph.txns[txn as usize].completed);
        for first in accesses.iter().filter(|access| access.earlier == NONE) {
            let of_key = |access: &&Access| access.key == first.key && access.write;
            let wrote = accesses.iter().rev().find(of_key).map(|access| access.element);
            for before in self.preceding(txn, first.key) {
                self.add_pair(graph, before, first_version(first, wrote))?;
            }
            if let Some(wrote) = wrote.filter(|_| !first.write) {
                self.add_pair(graph, first.element, wrote)?;
            }
            let left = wrote.unwrap_or(first.element);
            self.register(first.key).latest.push(PastAccess { invoked, completed, left });
        }
        self.forget(txn);
        Ok(())
    }

    fn forget(&mut self, txn: u32) {
        self.preceding.remove(&txn);
    }
}

/// The version that a transaction found, or the one that it wrote without a read before.
fn first_version(first: &Access, wrote: Option<u32>) -> u32 {
    match wrote {
        Some(wrote) if first.write => wrote,
        _ => first.element,
    }
}
