//! Infers the version order of registers by the enabled rules.
//!
//! A register does not show its earlier versions. Without rules, only the read dependencies are
//! certain; a rule derives that one version precedes another. If rules contradict each other, the
//! order of a key is cyclic: such keys are reported, and none of their order is used.

use rustc_hash::{FxHashMap, FxHashSet};

use super::options::Inference;
use super::table::{Access, NONE, TxnTable};
use super::versions::{Versions, committed};
use crate::history::Kind;

/// The order, and one cycle of versions for each key whose order is cyclic.
pub(super) fn infer_register_order(
    table: &TxnTable<'_>,
    inference: Inference,
) -> (Versions, Vec<Vec<u32>>) {
    let mut rules = OrderInference {
        table,
        committed: committed(table),
        pairs: FxHashSet::default(),
        order: Vec::new(),
    };
    if inference.initial_first {
        rules.order_initial_first();
    }
    let needs =
        inference.writes_follow_reads || inference.sequential_keys || inference.linearizable_keys;
    if needs {
        rules.order_by_transactions(inference);
    }
    let OrderInference { committed, order, .. } = rules;
    let versions = Versions::new(table, committed, &order);
    let cyclic = find_cyclic_versions(table, &versions);
    if cyclic.is_empty() {
        return (versions, cyclic);
    }
    let wrong: FxHashSet<_> = cyclic.iter().map(|cycle| key_of(table, cycle[0])).collect();
    let kept: Vec<_> =
        order.into_iter().filter(|(before, _)| !wrong.contains(&key_of(table, *before))).collect();
    (Versions::new(table, versions.committed, &kept), cyclic)
}

fn key_of(table: &TxnTable<'_>, version: u32) -> u32 {
    table
        .element(version)
        .map_or_else(|| version - table.elements.len() as u32, |element| element.key)
}

/// The versions of a key at the beginning and at the end of a transaction.
#[derive(Clone, Copy)]
struct KeyAccess {
    key: u32,
    /// The version it read before it wrote.
    read: Option<u32>,
    /// The version it wrote last.
    wrote: Option<u32>,
}

impl KeyAccess {
    fn first_version(self) -> Option<u32> {
        self.read.or(self.wrote)
    }

    fn last_version(self) -> Option<u32> {
        self.wrote.or(self.read)
    }
}

struct OrderInference<'l, 'h> {
    table: &'l TxnTable<'h>,
    committed: Vec<bool>,
    pairs: FxHashSet<(u32, u32)>,
    order: Vec<(u32, u32)>,
}

impl OrderInference<'_, '_> {
    fn add_pair(&mut self, before: u32, after: u32) {
        if before != after && self.pairs.insert((before, after)) {
            self.order.push((before, after));
        }
    }

    /// Orders nil before all other versions of a key. Each pair occurs once, so it needs no lookup.
    fn order_initial_first(&mut self) {
        for (number, element) in self.table.elements.iter().enumerate() {
            if element.writer != NONE
                && self.committed[element.writer as usize]
                && !element.intermediate
            {
                self.order.push((self.table.initial(element.key), number as u32));
            }
        }
    }

    fn order_by_transactions(&mut self, inference: Inference) {
        let mut sessions = FxHashMap::default();
        let mut open: FxHashMap<u32, Vec<CompletedAccess>> = FxHashMap::default();
        for txn in 0..self.table.txns.len() as u32 {
            if !self.committed[txn as usize] {
                continue;
            }
            for access in key_accesses(self.table, txn) {
                if inference.writes_follow_reads
                    && let (Some(read), Some(wrote)) = (access.read, access.wrote)
                {
                    self.add_pair(read, wrote);
                }
                if inference.sequential_keys {
                    self.order_by_process(txn, access, &mut sessions);
                }
                if inference.linearizable_keys {
                    self.order_by_real_time(txn, access, open.entry(access.key).or_default());
                }
            }
        }
    }

    fn order_by_process(
        &mut self,
        txn: u32,
        access: KeyAccess,
        sessions: &mut FxHashMap<(u32, u32), u32>,
    ) {
        let (Some(enter), Some(leave)) = (access.first_version(), access.last_version()) else {
            return;
        };
        let process = self.table.txns[txn as usize].process;
        if let Some(before) = sessions.insert((process, access.key), leave) {
            self.add_pair(before, enter);
        }
    }

    /// Orders the final versions of the transactions that immediately precede this one in real time
    /// before the version that this transaction found.
    fn order_by_real_time(&mut self, txn: u32, access: KeyAccess, past: &mut Vec<CompletedAccess>) {
        let (Some(enter), Some(leave)) = (access.first_version(), access.last_version()) else {
            return;
        };
        let txn = &self.table.txns[txn as usize];
        let over = |past: &CompletedAccess| past.completed < txn.invoked;
        let latest =
            past.iter().filter(|past| over(past)).map(|past| past.invoked).max().unwrap_or(0);
        past.retain(|past| past.completed >= latest);
        for before in past.iter().filter(|past| over(past)) {
            self.add_pair(before.left, enter);
        }
        if txn.kind == Kind::Ok {
            past.push(CompletedAccess {
                invoked: txn.invoked,
                completed: txn.completed,
                left: leave,
            });
        }
    }
}

/// A completed transaction that accessed a key.
struct CompletedAccess {
    invoked: u64,
    completed: u64,
    left: u32,
}

/// The access of a transaction to each of its keys.
fn key_accesses(table: &TxnTable<'_>, txn: u32) -> Vec<KeyAccess> {
    let accesses = table.accesses(txn);
    let known = table.txns[txn as usize].kind == Kind::Ok;
    let mut overwritten = vec![false; accesses.len()];
    let mut key_accesses = Vec::new();
    for access in accesses {
        if access.earlier != NONE {
            overwritten[access.earlier as usize] = true;
        }
    }
    let lasts = accesses.iter().enumerate().filter(|(place, _)| !overwritten[*place]);
    for (place, last) in lasts {
        let (mut first, mut wrote) = (accesses[place], None);
        let mut record_write = |access: &Access| {
            if access.write && wrote.is_none() {
                wrote = Some(access.element);
            }
        };
        record_write(last);
        while first.earlier != NONE {
            first = accesses[first.earlier as usize];
            record_write(&first);
        }
        let read = (known && !first.write).then(|| table.version(first));
        key_accesses.push(KeyAccess { key: last.key, read, wrote });
    }
    key_accesses
}

/// One cycle of versions for each key whose order is cyclic.
fn find_cyclic_versions(table: &TxnTable<'_>, versions: &Versions) -> Vec<Vec<u32>> {
    let mut graph = petgraph::graph::DiGraph::<u32, ()>::default();
    let mut nodes: FxHashMap<u32, _> = FxHashMap::default();
    // nil has no predecessor, so its edges to versions without successors cannot be on a cycle.
    for before in 0..table.versions() as u32 {
        let outward = before >= table.elements.len() as u32;
        for after in versions.next(before) {
            if outward && versions.next(*after).is_empty() {
                continue;
            }
            let [one, other] = [before, *after]
                .map(|version| *nodes.entry(version).or_insert_with(|| graph.add_node(version)));
            graph.add_edge(one, other, ());
        }
    }
    let mut seen = FxHashSet::default();
    let mut cycles: Vec<Vec<u32>> = petgraph::algo::kosaraju_scc(&graph)
        .into_iter()
        .filter(|component| component.len() > 1)
        .map(|component| shortest_cycle(&graph, &component))
        .collect();
    cycles.sort_unstable();
    cycles.retain(|cycle| seen.insert(key_of(table, cycle[0])));
    cycles
}

/// A shortest cycle through the smallest version of a component, which comes first.
fn shortest_cycle(
    graph: &petgraph::graph::DiGraph<u32, ()>,
    component: &[petgraph::graph::NodeIndex],
) -> Vec<u32> {
    let Some(begin) = component.iter().copied().min_by_key(|node| graph[*node]) else {
        return Vec::new();
    };
    let mut from = FxHashMap::default();
    let mut open = std::collections::VecDeque::from([begin]);
    while let Some(node) = open.pop_front() {
        for next in graph.neighbors(node) {
            if next == begin {
                let mut cycle = vec![node];
                while let Some(before) = cycle.last().and_then(|node| from.get(node)) {
                    cycle.push(*before);
                }
                return cycle.into_iter().rev().map(|node| graph[node]).collect();
            }
            from.entry(next).or_insert_with(|| {
                open.push_back(next);
                node
            });
        }
    }
    Vec::new()
}
