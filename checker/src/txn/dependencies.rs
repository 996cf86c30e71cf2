//! Builds the dependency graph of transactions from the version order: ww, wr and rw edges.
//!
//! The number of edges is linear in reads, writes and known pairs of versions: between many readers
//! of a version and many writers of its successors, hub nodes replace the complete bipartite graph.
//! A reader may itself have written one of the successors and must not get an edge to itself, so
//! there are two chains of hubs: one for each prefix of the writers, and one for each suffix.

use rustc_hash::FxHashMap;

use super::graph::{DependencyEdge, DependencyGraph, RealTimeOrder, Relation};
use super::table::{NONE, TxnTable};
use super::versions::Versions;
use crate::history::Kind;

/// Hubs replace direct edges beyond this many edges per reader and writer.
const DENSE: usize = 8;

/// Builds the graph of all transactions.
pub(super) fn build_graph(table: &TxnTable<'_>, versions: &Versions) -> DependencyGraph {
    let txns = table.txns.len() as u32;
    let mut builder = GraphBuilder {
        table,
        versions,
        edges: Vec::with_capacity(table.accesses.len() * 2),
        hubs: txns,
        hub_chains: FxHashMap::default(),
    };
    builder.add_hubs();
    builder.add_ww_edges();
    builder.add_read_edges();
    let GraphBuilder { edges, hubs, .. } = builder;
    let spans = table.txns.iter().map(|txn| {
        let completed = if txn.kind == Kind::Ok { txn.completed } else { u64::MAX };
        (txn.invoked, completed)
    });
    DependencyGraph::new(txns, hubs - txns, &edges, RealTimeOrder::of(spans))
}

/// The writers of a version's successors, and the first hub of the two chains before them.
struct HubChains {
    writers: Vec<u32>,
    hub: u32,
}

struct GraphBuilder<'l, 'h> {
    table: &'l TxnTable<'h>,
    versions: &'l Versions,
    edges: Vec<DependencyEdge>,
    hubs: u32,
    hub_chains: FxHashMap<u32, HubChains>,
}

impl GraphBuilder<'_, '_> {
    fn add_edge(&mut self, from: u32, to: u32, relation: Relation) {
        if from != to {
            self.edges.push(DependencyEdge { from, to, relation });
        }
    }

    /// Adds hubs where direct edges from each reader to each writer would be too many.
    fn add_hubs(&mut self) {
        let many = |version: u32| self.versions.next(version).len() > DENSE;
        let crowded: Vec<_> =
            (0..self.table.versions() as u32).filter(|version| many(*version)).collect();
        if crowded.is_empty() {
            return;
        }
        let mut readers = vec![0_usize; self.table.versions()];
        for (_, version) in read_versions(self.table) {
            readers[version as usize] += 1;
        }
        for version in crowded {
            let (reads, next) = (readers[version as usize], self.versions.next(version).len());
            if reads * next > DENSE * (reads + next) {
                self.add_hub_chains(version);
            }
        }
    }

    fn add_hub_chains(&mut self, version: u32) {
        let next = self.versions.next(version).iter();
        let mut writers: Vec<_> =
            next.filter_map(|next| self.versions.writer(self.table, *next)).collect();
        writers.sort_unstable();
        writers.dedup();
        let (hub, count) = (self.hubs, writers.len() as u32);
        self.hubs += 2 * count;
        for (place, writer) in (0..count).zip(&writers) {
            let (beginning, end) = (hub + place, hub + count + place);
            self.add_edge(beginning, *writer, Relation::Via);
            self.add_edge(end, *writer, Relation::Via);
            if place > 0 {
                self.add_edge(beginning, beginning - 1, Relation::Via);
                self.add_edge(end - 1, end, Relation::Via);
            }
        }
        self.hub_chains.insert(version, HubChains { writers, hub });
    }

    fn add_ww_edges(&mut self) {
        for version in 0..self.table.elements.len() as u32 {
            let Some(writer) = self.versions.writer(self.table, version) else { continue };
            for next in self.versions.next(version) {
                if let Some(other) = self.versions.writer(self.table, *next) {
                    self.add_edge(writer, other, Relation::Ww);
                }
            }
        }
    }

    fn add_read_edges(&mut self) {
        for (txn, version) in read_versions(self.table) {
            if let Some(writer) = self.versions.writer(self.table, version) {
                self.add_edge(writer, txn, Relation::Wr);
            }
            match self.hub_chains.get(&version) {
                None => {
                    for next in self.versions.next(version) {
                        if let Some(writer) = self.versions.writer(self.table, *next) {
                            self.add_edge(txn, writer, Relation::Rw);
                        }
                    }
                }
                Some(row) => {
                    let (count, hub) = (row.writers.len() as u32, row.hub);
                    let (before, after) = match row.writers.binary_search(&txn) {
                        Ok(own) => (own as u32, own as u32 + 1),
                        Err(_) => (count, NONE),
                    };
                    if before > 0 {
                        self.add_edge(txn, hub + before - 1, Relation::Rw);
                    }
                    if after < count {
                        self.add_edge(txn, hub + count + after, Relation::Rw);
                    }
                }
            }
        }
    }
}

/// The versions that committed transactions read, as (transaction, version).
pub(super) fn read_versions<'l>(table: &'l TxnTable<'_>) -> impl Iterator<Item = (u32, u32)> + 'l {
    let txns =
        (0..table.txns.len() as u32).filter(|txn| table.txns[*txn as usize].kind == Kind::Ok);
    txns.flat_map(move |txn| {
        let reads = table.accesses(txn).iter().filter(|access| !access.write);
        reads.map(move |read| (txn, table.version(*read)))
    })
}
