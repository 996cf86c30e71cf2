//! Infers the order of a register's versions, by the rules that were asked for.
//!
//! A register does not show what it held before. What is certain without any rule is who read whose write; the
//! rules say when one version must have come before another. Two rules that contradict each other make versions
//! that come before themselves: those keys are told apart as cyclic, and none of their order is used.

use rustc_hash::{FxHashMap, FxHashSet};

use super::log::{Log, Micro, NONE};
use super::versions::{Versions, committed};
use crate::history::Kind;

/// What may be taken for granted about the order of a register's versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inference {
    /// nil comes before everything that is written.
    pub initial_first: bool,
    /// What a transaction read comes before what it wrote to the same key.
    pub writes_follow_reads: bool,
    /// Each process sees the versions of a key in order.
    pub sequential_keys: bool,
    /// Each key by itself is linearizable.
    pub linearizable_keys: bool,
}

/// Only that a register begins with nil.
impl Default for Inference {
    fn default() -> Self {
        Self {
            initial_first: true,
            writes_follow_reads: false,
            sequential_keys: false,
            linearizable_keys: false,
        }
    }
}

impl Inference {
    /// What strict serializability says of registers that begin with nil.
    pub const OF_STRICT: Self = Self {
        initial_first: true,
        writes_follow_reads: true,
        sequential_keys: true,
        linearizable_keys: true,
    };
}

/// The order, and of each key whose order goes in circles the versions in one.
pub(super) fn of_registers(log: &Log<'_>, inference: Inference) -> (Versions, Vec<Vec<u32>>) {
    let mut rules =
        Rules { log, committed: committed(log), pairs: FxHashSet::default(), order: Vec::new() };
    if inference.initial_first {
        rules.initial_first();
    }
    let needs =
        inference.writes_follow_reads || inference.sequential_keys || inference.linearizable_keys;
    if needs {
        rules.by_transactions(inference);
    }
    let Rules { committed, order, .. } = rules;
    let versions = Versions::new(log, committed, &order);
    let cyclic = circles(log, &versions);
    if cyclic.is_empty() {
        return (versions, cyclic);
    }
    let wrong: FxHashSet<_> = cyclic.iter().map(|circle| key(log, circle[0])).collect();
    let kept: Vec<_> =
        order.into_iter().filter(|(before, _)| !wrong.contains(&key(log, *before))).collect();
    (Versions::new(log, versions.committed, &kept), cyclic)
}

fn key(log: &Log<'_>, version: u32) -> u32 {
    log.element(version).map_or_else(|| version - log.elements.len() as u32, |element| element.key)
}

/// How a transaction found a key and how it left it.
#[derive(Clone, Copy)]
struct Touch {
    key: u32,
    /// What it read before it wrote.
    read: Option<u32>,
    /// What it wrote last.
    wrote: Option<u32>,
}

impl Touch {
    fn enter(self) -> Option<u32> {
        self.read.or(self.wrote)
    }

    fn leave(self) -> Option<u32> {
        self.wrote.or(self.read)
    }
}

struct Rules<'l, 'h> {
    log: &'l Log<'h>,
    committed: Vec<bool>,
    pairs: FxHashSet<(u32, u32)>,
    order: Vec<(u32, u32)>,
}

impl Rules<'_, '_> {
    fn put(&mut self, before: u32, after: u32) {
        if before != after && self.pairs.insert((before, after)) {
            self.order.push((before, after));
        }
    }

    /// Every key's nil before its other versions. Each pair comes once: there is no need to look it up.
    fn initial_first(&mut self) {
        for (number, element) in self.log.elements.iter().enumerate() {
            if element.writer != NONE
                && self.committed[element.writer as usize]
                && !element.intermediate
            {
                self.order.push((self.log.initial(element.key), number as u32));
            }
        }
    }

    fn by_transactions(&mut self, inference: Inference) {
        let mut sessions = FxHashMap::default();
        let mut open: FxHashMap<u32, Vec<Past>> = FxHashMap::default();
        for txn in 0..self.log.txns.len() as u32 {
            if !self.committed[txn as usize] {
                continue;
            }
            for touch in touches(self.log, txn) {
                if inference.writes_follow_reads
                    && let (Some(read), Some(wrote)) = (touch.read, touch.wrote)
                {
                    self.put(read, wrote);
                }
                if inference.sequential_keys {
                    self.sequential(txn, touch, &mut sessions);
                }
                if inference.linearizable_keys {
                    self.linearizable(txn, touch, open.entry(touch.key).or_default());
                }
            }
        }
    }

    fn sequential(&mut self, txn: u32, touch: Touch, sessions: &mut FxHashMap<(u32, u32), u32>) {
        let (Some(enter), Some(leave)) = (touch.enter(), touch.leave()) else { return };
        let process = self.log.txns[txn as usize].process;
        if let Some(before) = sessions.insert((process, touch.key), leave) {
            self.put(before, enter);
        }
    }

    /// Whoever was over before this transaction began, and not already before another such, left what it then
    /// found, or something earlier.
    fn linearizable(&mut self, txn: u32, touch: Touch, past: &mut Vec<Past>) {
        let (Some(enter), Some(leave)) = (touch.enter(), touch.leave()) else { return };
        let txn = &self.log.txns[txn as usize];
        let over = |past: &Past| past.completed < txn.invoked;
        let latest =
            past.iter().filter(|past| over(past)).map(|past| past.invoked).max().unwrap_or(0);
        past.retain(|past| past.completed >= latest);
        for before in past.iter().filter(|past| over(past)) {
            self.put(before.left, enter);
        }
        if txn.kind == Kind::Ok {
            past.push(Past { invoked: txn.invoked, completed: txn.completed, left: leave });
        }
    }
}

/// A transaction that touched a key.
struct Past {
    invoked: u64,
    completed: u64,
    left: u32,
}

/// How a transaction found and left each of its keys.
fn touches(log: &Log<'_>, txn: u32) -> Vec<Touch> {
    let micros = log.micros(txn);
    let known = log.txns[txn as usize].kind == Kind::Ok;
    let mut overwritten = vec![false; micros.len()];
    let mut touches = Vec::new();
    for micro in micros {
        if micro.earlier != NONE {
            overwritten[micro.earlier as usize] = true;
        }
    }
    let lasts = micros.iter().enumerate().filter(|(place, _)| !overwritten[*place]);
    for (place, last) in lasts {
        let (mut first, mut wrote) = (micros[place], None);
        let mut note = |micro: &Micro| {
            if micro.write && wrote.is_none() {
                wrote = Some(micro.element);
            }
        };
        note(last);
        while first.earlier != NONE {
            first = micros[first.earlier as usize];
            note(&first);
        }
        let read = (known && !first.write).then(|| log.version(first));
        touches.push(Touch { key: last.key, read, wrote });
    }
    touches
}

/// Versions that come before themselves: one circle for each key that has any.
fn circles(log: &Log<'_>, versions: &Versions) -> Vec<Vec<u32>> {
    let mut graph = petgraph::graph::DiGraph::<u32, ()>::default();
    let mut nodes: FxHashMap<u32, _> = FxHashMap::default();
    // nil alone has no way back, so that the rule about it costs nothing here.
    for before in 0..log.versions() as u32 {
        let outward = before >= log.elements.len() as u32;
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
    let mut circles: Vec<Vec<u32>> = petgraph::algo::kosaraju_scc(&graph)
        .into_iter()
        .filter(|component| component.len() > 1)
        .map(|component| circle(&graph, &component))
        .collect();
    circles.sort_unstable();
    circles.retain(|circle| seen.insert(key(log, circle[0])));
    circles
}

/// A shortest way from a node of a component to itself, the smallest version first.
fn circle(
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
                let mut circle = vec![node];
                while let Some(before) = circle.last().and_then(|node| from.get(node)) {
                    circle.push(*before);
                }
                return circle.into_iter().rev().map(|node| graph[node]).collect();
            }
            from.entry(next).or_insert_with(|| {
                open.push_back(next);
                node
            });
        }
    }
    Vec::new()
}
