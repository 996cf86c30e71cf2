//! Keeps who comes before whom: edges by kind, real time sparsely, and the strongly connected components.
//!
//! Transactions are numbered densely; a finished graph is one array of edges and one of offsets.

use super::read::Txn;
use crate::history::Process;
use rustc_hash::FxHashMap;

/// The second overwrote the first's version.
pub(super) const WW: u8 = 1;
/// The second read the first's version.
pub(super) const WR: u8 = 2;
/// The second overwrote what the first had read.
pub(super) const RW: u8 = 4;
/// One process did the first, then the second.
pub(super) const PROCESS: u8 = 8;
/// The first was over before the second began.
pub(super) const REALTIME: u8 = 16;
/// As [`RW`], if versions follow each other as in real time.
pub(super) const RW_REALTIME: u8 = 32;

/// Edges as they are found.
#[derive(Default)]
pub(super) struct Graph {
    edges: Vec<(u32, u32, u8)>,
}

/// Edges by where they begin.
pub(super) struct Finished {
    offsets: Vec<usize>,
    edges: Vec<(u32, u8)>,
}

impl Graph {
    /// `from` comes before `to`; nothing comes before itself.
    pub(super) fn add(&mut self, from: u32, to: u32, kind: u8) {
        if from != to {
            self.edges.push((from, to, kind));
        }
    }

    /// Adds the order of processes and of real time.
    ///
    /// At any moment a few completed transactions have no completed successor; whatever begins follows those, and
    /// so all before them. There are never more of them than processes.
    pub(super) fn order(&mut self, txns: &[Txn<'_>]) {
        let mut moments: Vec<(u64, u32, bool)> = Vec::with_capacity(2 * txns.len());
        for (number, txn) in (0..).zip(txns) {
            moments.push((txn.invoked, number, false));
            moments.extend(txn.completed.map(|at| (at, number, true)));
        }
        moments.sort_unstable();
        let mut frontier: Vec<u32> = Vec::new();
        let mut before: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        let mut last: FxHashMap<Process, u32> = FxHashMap::default();
        for (_, number, is_over) in moments {
            if is_over {
                let earlier = before.remove(&number).unwrap_or_default();
                frontier.retain(|other| !earlier.contains(other));
                frontier.push(number);
                last.insert(txns[number as usize].process, number);
            } else {
                frontier.iter().for_each(|other| self.add(*other, number, REALTIME));
                if let Some(earlier) = last.get(&txns[number as usize].process) {
                    self.add(*earlier, number, PROCESS);
                }
                before.insert(number, frontier.clone());
            }
        }
    }

    /// Sorts the edges; several between the same two become one of several kinds.
    pub(super) fn finish(mut self, count: usize) -> Finished {
        self.edges.sort_unstable();
        let mut offsets = vec![0; count + 1];
        let mut edges: Vec<(u32, u8)> = Vec::with_capacity(self.edges.len());
        let mut before = None;
        for (from, to, kind) in self.edges {
            if before == Some((from, to))
                && let Some(last) = edges.last_mut()
            {
                last.1 |= kind;
                continue;
            }
            before = Some((from, to));
            edges.push((to, kind));
            offsets[from as usize + 1] = edges.len();
        }
        for place in 1..offsets.len() {
            offsets[place] = offsets[place].max(offsets[place - 1]);
        }
        Finished { offsets, edges }
    }
}

impl Finished {
    /// The edges that begin at a transaction.
    pub(super) fn from(&self, node: u32) -> &[(u32, u8)] {
        &self.edges[self.offsets[node as usize]..self.offsets[node as usize + 1]]
    }

    /// The components of more than one node over edges of these kinds, each in order of node (Tarjan 1972, without
    /// recursion: real time makes paths as long as the history).
    pub(super) fn components(&self, kinds: u8) -> Vec<Vec<u32>> {
        let mut search = Tarjan::new(self.offsets.len() - 1);
        for root in 0..self.offsets.len() as u32 - 1 {
            search.visit(self, root, kinds);
        }
        search.found.sort_unstable();
        search.found
    }
}

struct Tarjan {
    /// When a node was first met, from 1; 0: not yet.
    met: Vec<u32>,
    low: Vec<u32>,
    open: Vec<bool>,
    stack: Vec<u32>,
    time: u32,
    found: Vec<Vec<u32>>,
}

impl Tarjan {
    fn new(count: usize) -> Self {
        let (met, low, open) = (vec![0; count], vec![0; count], vec![false; count]);
        Self { met, low, open, stack: Vec::new(), time: 0, found: Vec::new() }
    }

    fn enter(&mut self, node: u32) {
        self.time += 1;
        self.met[node as usize] = self.time;
        self.low[node as usize] = self.time;
        self.open[node as usize] = true;
        self.stack.push(node);
    }

    fn visit(&mut self, graph: &Finished, root: u32, kinds: u8) {
        if self.met[root as usize] != 0 {
            return;
        }
        self.enter(root);
        let mut path = vec![(root, 0)];
        while let Some((node, next)) = path.last_mut() {
            let (node, edge) = (*node, graph.from(*node).get(*next));
            *next += 1;
            match edge {
                Some((_, kind)) if kind & kinds == 0 => {}
                Some((to, _)) if self.met[*to as usize] == 0 => {
                    self.enter(*to);
                    path.push((*to, 0));
                }
                Some((to, _)) if self.open[*to as usize] => {
                    self.low[node as usize] = self.low[node as usize].min(self.met[*to as usize]);
                }
                Some(_) => {}
                None => {
                    path.pop();
                    if let Some((parent, _)) = path.last() {
                        let low = self.low[node as usize];
                        self.low[*parent as usize] = self.low[*parent as usize].min(low);
                    }
                    self.close(node);
                }
            }
        }
    }

    fn close(&mut self, node: u32) {
        if self.low[node as usize] != self.met[node as usize] {
            return;
        }
        let from = self.stack.iter().rposition(|it| *it == node).unwrap_or(0);
        let mut component = self.stack.split_off(from);
        component.iter().for_each(|it| self.open[*it as usize] = false);
        if component.len() > 1 {
            component.sort_unstable();
            self.found.push(component);
        }
    }
}

/// Why one comes before another where no key says so.
pub(super) fn order_in_words(by_process: bool) -> String {
    let words = if by_process {
        "one process did both, in this order"
    } else {
        "it was over before the other began"
    };
    words.to_owned()
}
