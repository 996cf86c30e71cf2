//! Stores the dependency graph in dense arrays, and finds its strongly connected components without
//! recursion.
//!
//! Nodes are transactions, then *hubs*, then *barriers*. A hub stands for a set of transactions, so
//! that many readers before many writers cost one edge each instead of one per pair. Barriers carry
//! the real-time order: there is one wherever an invocation follows a completion. Transactions that
//! completed before a barrier have an edge to it; the barrier has edges to the transactions invoked
//! between it and the next barrier, and to the next barrier. The latter are not stored:
//! transactions are numbered in order of invocation, so the targets are a range.

use super::table::NONE;

/// The kind of dependency of a transaction on an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Relation {
    /// Write dependency: the later transaction overwrote a version of the earlier.
    Ww = 1,
    /// Read dependency: the later transaction read a version of the earlier.
    Wr = 2,
    /// Anti-dependency: the later transaction overwrote a version that the earlier read.
    Rw = 4,
    /// The later transaction is the next one of the same process.
    Process = 8,
    /// The earlier transaction completed before the later was invoked.
    Realtime = 16,
    /// An edge from a hub or a barrier, which continues another edge.
    Via = 32,
}

impl Relation {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ww => "ww",
            Self::Wr => "wr",
            Self::Rw => "rw",
            Self::Process => "process",
            Self::Realtime => "realtime",
            Self::Via => "via",
        }
    }

    pub(super) const fn bit(self) -> u8 {
        self as u8
    }
}

/// A stored edge.
#[derive(Clone, Copy)]
pub(super) struct DependencyEdge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) relation: Relation,
}

/// The dependency graph.
pub(super) struct DependencyGraph {
    txns: u32,
    /// Transactions and hubs.
    stored: u32,
    offsets: Vec<u32>,
    targets: Vec<u32>,
    relations: Vec<Relation>,
    time: RealTimeOrder,
}

/// The real-time order.
#[derive(Default)]
pub(super) struct RealTimeOrder {
    /// The first transaction after each barrier.
    pub(super) begins: Vec<u32>,
    /// The first barrier after the completion of each transaction, or [`NONE`].
    pub(super) before: Vec<u32>,
}

impl RealTimeOrder {
    /// Draws barriers. Transactions come in order of invocation as (invoked, completed); without a
    /// completion that counts, `u64::MAX`.
    pub(super) fn of(spans: impl Iterator<Item = (u64, u64)>) -> Self {
        let spans: Vec<_> = spans.collect();
        let mut ends: Vec<(u64, u32)> = spans
            .iter()
            .enumerate()
            .filter(|(_, (_, completed))| *completed != u64::MAX)
            .map(|(txn, (_, completed))| (*completed, txn as u32))
            .collect();
        ends.sort_unstable();
        let mut time = Self { begins: Vec::new(), before: vec![NONE; spans.len()] };
        let mut ends = ends.into_iter().peekable();
        for (txn, (invoked, _)) in spans.iter().enumerate() {
            let barrier = time.begins.len() as u32;
            let mut drawn = false;
            while let Some((_, ended)) = ends.next_if(|(completed, _)| completed < invoked) {
                time.before[ended as usize] = barrier;
                drawn = true;
            }
            if drawn {
                time.begins.push(txn as u32);
            }
        }
        time
    }
}

impl DependencyGraph {
    pub(super) fn new(txns: u32, hubs: u32, edges: &[DependencyEdge], time: RealTimeOrder) -> Self {
        let stored = txns + hubs;
        let mut offsets = vec![0_u32; stored as usize + 1];
        for edge in edges {
            offsets[edge.from as usize + 1] += 1;
        }
        for node in 0..stored as usize {
            offsets[node + 1] += offsets[node];
        }
        let mut next = offsets.clone();
        let mut targets = vec![0; edges.len()];
        let mut relations = vec![Relation::Via; edges.len()];
        for edge in edges {
            let place = &mut next[edge.from as usize];
            targets[*place as usize] = edge.to;
            relations[*place as usize] = edge.relation;
            *place += 1;
        }
        Self { txns, stored, offsets, targets, relations, time }
    }

    /// The number of nodes.
    pub(super) fn len(&self) -> usize {
        self.stored as usize + self.time.begins.len()
    }

    pub(super) fn is_txn(&self, node: u32) -> bool {
        node < self.txns
    }

    /// The edge with this number out of a node, counted from 0.
    pub(super) fn successor(&self, node: u32, number: u32) -> Option<(u32, Relation)> {
        if node >= self.stored {
            return self.barrier_successor(node - self.stored, number);
        }
        let place = self.offsets[node as usize] + number;
        let end = self.offsets[node as usize + 1];
        if place < end {
            return Some((self.targets[place as usize], self.relations[place as usize]));
        }
        let barrier = *self.time.before.get(node as usize)?;
        (place == end && barrier != NONE).then(|| (self.stored + barrier, Relation::Realtime))
    }

    fn barrier_successor(&self, barrier: u32, number: u32) -> Option<(u32, Relation)> {
        let next = self.time.begins.get(barrier as usize + 1);
        let (first, end) = (self.time.begins[barrier as usize], next.copied().unwrap_or(self.txns));
        let txn = first + number;
        if txn < end {
            return Some((txn, Relation::Via));
        }
        (txn == end && next.is_some()).then(|| (self.stored + barrier + 1, Relation::Via))
    }

    /// The strongly connected components of more than one node, each sorted.
    pub(super) fn components(&self) -> Vec<Vec<u32>> {
        let mut search = SccSearch::new(self.len());
        // Visiting late nodes first keeps the stack shallow: few of their successors are unvisited.
        for barrier in (self.stored..self.len() as u32).rev() {
            let behind = barrier - self.stored;
            let end = self.time.begins.get(behind as usize + 1).copied().unwrap_or(self.txns);
            for txn in (self.time.begins[behind as usize]..end).rev() {
                search.visit(self, txn);
            }
            search.visit(self, barrier);
        }
        for node in (0..self.stored).rev() {
            search.visit(self, node);
        }
        search.found.sort_unstable_by_key(|component| component[0]);
        search.found
    }
}

/// Pearce's search for strongly connected components, with a stack of its own.
struct SccSearch {
    /// 0: not visited. Else the smallest place that is reached; of a finished component a number
    /// above all places.
    reach: Vec<u32>,
    place: u32,
    done: u32,
    waiting: Vec<u32>,
    path: Vec<(u32, u32, bool)>,
    found: Vec<Vec<u32>>,
}

impl SccSearch {
    fn new(nodes: usize) -> Self {
        let reach = vec![0; nodes];
        let (waiting, path, found) = (Vec::new(), Vec::new(), Vec::new());
        Self { reach, place: 1, done: u32::MAX, waiting, path, found }
    }

    fn enter(&mut self, node: u32) {
        self.reach[node as usize] = self.place;
        self.place += 1;
        self.path.push((node, 0, true));
    }

    fn visit(&mut self, graph: &DependencyGraph, root: u32) {
        if self.reach[root as usize] != 0 {
            return;
        }
        self.enter(root);
        while let Some((node, number, is_root)) = self.path.last_mut() {
            let from = *node as usize;
            match graph.successor(*node, *number) {
                // A node entered from here is examined again when the search leaves it.
                Some((to, _)) if self.reach[to as usize] == 0 => self.enter(to),
                Some((to, _)) => {
                    *number += 1;
                    if self.reach[to as usize] < self.reach[from] {
                        self.reach[from] = self.reach[to as usize];
                        *is_root = false;
                    }
                }
                None => {
                    let (node, is_root) = (*node, *is_root);
                    self.path.pop();
                    self.leave(node, is_root);
                }
            }
        }
    }

    fn leave(&mut self, node: u32, is_root: bool) {
        if !is_root {
            return self.waiting.push(node);
        }
        let least = self.reach[node as usize];
        let mut component = Vec::new();
        while let Some(other) = self.waiting.pop_if(|other| self.reach[*other as usize] >= least) {
            self.reach[other as usize] = self.done;
            component.push(other);
        }
        self.reach[node as usize] = self.done;
        self.place -= component.len() as u32 + 1;
        self.done -= 1;
        if !component.is_empty() {
            component.push(node);
            component.sort_unstable();
            self.found.push(component);
        }
    }
}
