//! Searches one strongly connected component for cycles, the worst anomaly first.
//!
//! The existence of each anomaly is decided exactly, with one exception: G-single may need a search
//! from each anti-dependency, which has a budget. If the budget is exhausted, the anomaly is
//! [`ComponentCycles::undecided`]. Whether a cycle without two adjacent anti-dependencies exists
//! (G-nonadjacent) is decided by the components of a graph with two nodes per transaction:
//! anti-dependencies enter the second one, and none leaves it.
//!
//! A cycle with process or real-time edges is only searched for if the same anomaly does not occur
//! without them.

use std::collections::{BTreeMap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, EdgeIndex, NodeIndex};
use petgraph::visit::{EdgeFiltered, EdgeRef};

use super::graph::{DependencyGraph, Relation};
use super::level;
use super::table::{NONE, TxnTable};

/// The number of edges that may be followed to shrink a cycle of one anomaly, or to rule it out.
const WORK: usize = 2_000_000;

/// A cycle of transactions, each of which must precede the next.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cycle {
    /// The number of transactions: the shortest cycle sorts first.
    length: usize,
    /// Each transaction and the kind of its edge to the next.
    pub(super) links: Vec<(u32, Relation)>,
}

/// The anomalies of a component.
#[derive(Default)]
pub(super) struct ComponentCycles {
    /// One cycle per anomaly, by name.
    pub(super) cycles: BTreeMap<&'static str, Cycle>,
    /// Anomalies that could not be ruled out within the budget.
    pub(super) undecided: Vec<&'static str>,
}

/// The names of an anomaly: plain, with process edges, with real-time edges.
type VariantNames = [&'static str; 3];
const G0: VariantNames = ["G0", "G0-process", "G0-realtime"];
const G1C: VariantNames = ["G1c", "G1c-process", "G1c-realtime"];
const SINGLE: VariantNames = ["G-single", "G-single-process", "G-single-realtime"];
const NONADJACENT: VariantNames =
    ["G-nonadjacent", "G-nonadjacent-process", "G-nonadjacent-realtime"];
const G2: VariantNames = ["G2-item", "G2-item-process", "G2-item-realtime"];

const WW: u8 = Relation::Ww.bit();
const WR: u8 = Relation::Wr.bit();
const RW: u8 = Relation::Rw.bit();
const EXTRA: VariantBits = [0, Relation::Process.bit(), Relation::Realtime.bit()];
type VariantBits = [u8; 3];

/// Searches a component. `local` has an entry for every node of the graph, all [`NONE`] before and
/// after.
pub(super) fn search_component(
    graph: &DependencyGraph,
    nodes: &[u32],
    table: &TxnTable<'_>,
    local: &mut [u32],
) -> ComponentCycles {
    let component = Component::of(graph, nodes, table, local);
    let mut found = ComponentCycles::default();
    for variant in 0..EXTRA.len() {
        component.find_cycles_of_writes(&mut found, variant);
        component.find_anti_dependency_cycles(&mut found, variant);
    }
    found
}

struct Component {
    /// The weight of a node is its number in the whole graph.
    graph: DiGraph<u32, Relation>,
    /// The number of transactions; they are the first nodes.
    txns: usize,
}

impl Component {
    fn of(whole: &DependencyGraph, nodes: &[u32], table: &TxnTable<'_>, local: &mut [u32]) -> Self {
        let mut graph = DiGraph::with_capacity(nodes.len(), nodes.len() * 4);
        for node in nodes {
            local[*node as usize] = graph.add_node(*node).index() as u32;
        }
        let txns = nodes.partition_point(|node| whole.is_txn(*node));
        for (from, node) in nodes.iter().enumerate() {
            let edges = (0..).map_while(|number| whole.successor(*node, number));
            for (to, relation) in edges {
                if local[to as usize] != NONE {
                    graph.add_edge(
                        NodeIndex::new(from),
                        NodeIndex::new(local[to as usize] as usize),
                        relation,
                    );
                }
            }
        }
        for node in nodes {
            local[*node as usize] = NONE;
        }
        let mut component = Self { graph, txns };
        component.add_process_order(table);
        component
    }

    /// Adds the order of each process. Transactions of a process between two of the component are
    /// in it, too.
    fn add_process_order(&mut self, table: &TxnTable<'_>) {
        let mut last = BTreeMap::new();
        for node in (0..self.txns).map(NodeIndex::new) {
            let process = table.txns[self.graph[node] as usize].process;
            if let Some(before) = last.insert(process, node) {
                self.graph.add_edge(before, node, Relation::Process);
            }
        }
    }

    /// Finds cycles without anti-dependencies: G0 and G1c.
    fn find_cycles_of_writes(&self, found: &mut ComponentCycles, variant: usize) {
        for (names, relations) in [(G0, WW), (G1C, WW | WR)] {
            if !found.covers(names[variant])
                && let Some(cycle) = self.find_small_cycle(relations | EXTRA[variant])
            {
                found.insert(names, variant, cycle);
            }
        }
    }

    /// Finds cycles with anti-dependencies: G-single, G-nonadjacent and G2-item.
    fn find_anti_dependency_cycles(&self, found: &mut ComponentCycles, variant: usize) {
        let plain = WW | WR | EXTRA[variant];
        if !found.covers(SINGLE[variant]) {
            let apart = self.separated_anti_dependencies(plain);
            let (single, cut) =
                self.close_cycles(&apart, |paths, to, from| paths.find_path(to, from, plain));
            match single {
                Some(cycle) => found.insert(SINGLE, variant, cycle),
                None if cut => found.undecided.push(SINGLE[variant]),
                None => {}
            }
            if !found.covers(NONADJACENT[variant])
                && let (Some(cycle), _) = self.close_cycles(&apart, |paths, to, from| {
                    paths.find_separated_path(to, from, plain)
                })
            {
                found.insert(NONADJACENT, variant, cycle);
            }
        }
        if !found.covers(G2[variant]) {
            let any = self.anti_dependencies_in_components(plain | RW);
            if let (Some(cycle), _) =
                self.close_cycles(&any, |paths, to, from| paths.find_path(to, from, plain | RW))
            {
                found.insert(G2, variant, cycle);
            }
        }
    }

    /// A small cycle of these relations, if one exists.
    fn find_small_cycle(&self, relations: u8) -> Option<Cycle> {
        let relations = relations | Relation::Via.bit();
        let view = EdgeFiltered::from_fn(
            &self.graph,
            |edge: petgraph::graph::EdgeReference<'_, Relation>| {
                edge.weight().bit() & relations != 0
            },
        );
        let mut paths = PathSearch::new(self);
        let mut best: Option<Cycle> = None;
        let mut components = kosaraju_scc(&view);
        components.retain(|component| component.len() > 1);
        components
            .sort_unstable_by_key(|component| (component.len(), component.iter().min().copied()));
        let begins = components.iter().flatten().filter(|node| node.index() < self.txns);
        for begin in begins {
            if paths.work > WORK && best.is_some() || best.as_ref().is_some_and(Cycle::is_least) {
                break;
            }
            if let Some(path) = paths.find_closed_path(*begin, relations) {
                best = smaller_cycle(best, self.build_cycle(path));
            }
        }
        best
    }

    /// Closes each anti-dependency with a path found by `back`: the smallest cycle, and whether the
    /// budget was exhausted.
    fn close_cycles(
        &self,
        edges: &[EdgeIndex],
        back: impl Fn(&mut PathSearch<'_>, NodeIndex, NodeIndex) -> Option<Vec<EdgeIndex>>,
    ) -> (Option<Cycle>, bool) {
        let mut paths = PathSearch::new(self);
        let mut best: Option<Cycle> = None;
        for edge in edges {
            if paths.work > WORK {
                return (best, true);
            }
            if best.as_ref().is_some_and(Cycle::is_least) {
                break;
            }
            let Some((from, to)) = self.graph.edge_endpoints(*edge) else { continue };
            if let Some(path) = back(&mut paths, to, from) {
                best = smaller_cycle(
                    best,
                    self.build_cycle(std::iter::once(*edge).chain(path).collect()),
                );
            }
        }
        (best, false)
    }

    /// The anti-dependencies within a component of these relations.
    fn anti_dependencies_in_components(&self, relations: u8) -> Vec<EdgeIndex> {
        let relations = relations | Relation::Via.bit();
        let view = EdgeFiltered::from_fn(
            &self.graph,
            |edge: petgraph::graph::EdgeReference<'_, Relation>| {
                edge.weight().bit() & relations != 0
            },
        );
        let mut part = vec![0_usize; self.graph.node_count()];
        for (number, component) in kosaraju_scc(&view).into_iter().enumerate() {
            component.into_iter().for_each(|node| part[node.index()] = number);
        }
        self.anti_dependencies()
            .filter(|(_, from, to)| part[from.index()] == part[to.index()])
            .map(|(edge, ..)| edge)
            .collect()
    }

    /// The anti-dependencies on a closed walk of these relations without two adjacent ones.
    fn separated_anti_dependencies(&self, relations: u8) -> Vec<EdgeIndex> {
        let nodes = self.graph.node_count();
        let mut twice = DiGraph::<(), ()>::with_capacity(2 * nodes, 2 * self.graph.edge_count());
        for _ in 0..2 * nodes {
            twice.add_node(());
        }
        let node = |node: NodeIndex, after: usize| NodeIndex::new(2 * node.index() + after);
        for edge in self.graph.edge_references() {
            let (from, to) = (edge.source(), edge.target());
            match *edge.weight() {
                Relation::Rw => drop(twice.add_edge(node(from, 0), node(to, 1), ())),
                Relation::Via => {
                    twice.add_edge(node(from, 0), node(to, 0), ());
                    twice.add_edge(node(from, 1), node(to, 1), ());
                }
                other if other.bit() & relations != 0 => {
                    twice.add_edge(node(from, 0), node(to, 0), ());
                    twice.add_edge(node(from, 1), node(to, 0), ());
                }
                _ => {}
            }
        }
        let mut part = vec![0_usize; 2 * nodes];
        for (number, component) in kosaraju_scc(&twice).into_iter().enumerate() {
            component.into_iter().for_each(|node| part[node.index()] = number);
        }
        self.anti_dependencies()
            .filter(|(_, from, to)| part[2 * from.index()] == part[2 * to.index() + 1])
            .map(|(edge, ..)| edge)
            .collect()
    }

    fn anti_dependencies(&self) -> impl Iterator<Item = (EdgeIndex, NodeIndex, NodeIndex)> + '_ {
        let edges = self.graph.edge_references();
        edges
            .filter(|edge| *edge.weight() == Relation::Rw)
            .map(|edge| (edge.id(), edge.source(), edge.target()))
    }

    /// The cycle of consecutive edges, rotated so that it starts at the first-invoked transaction.
    fn build_cycle(&self, edges: Vec<EdgeIndex>) -> Cycle {
        let ends =
            |edge: &EdgeIndex| self.graph.edge_endpoints(*edge).map(|(from, _)| self.graph[from]);
        let mut links: Vec<_> = edges
            .iter()
            .filter(|edge| self.graph[**edge] != Relation::Via)
            .filter_map(|edge| ends(edge).map(|from| (from, self.graph[*edge])))
            .collect();
        let first =
            links.iter().enumerate().min_by_key(|(_, (txn, _))| *txn).map_or(0, |(place, _)| place);
        links.rotate_left(first);
        Cycle { length: links.len(), links }
    }
}

impl Cycle {
    /// Whether it has the minimal length, two.
    fn is_least(&self) -> bool {
        self.length <= 2
    }
}

fn smaller_cycle(best: Option<Cycle>, cycle: Cycle) -> Option<Cycle> {
    Some(best.map_or(cycle.clone(), |best| best.min(cycle)))
}

impl ComponentCycles {
    /// Whether this anomaly was found, or one that implies it.
    fn covers(&self, name: &str) -> bool {
        level::implied_anomalies(self.cycles.keys().copied()).contains(name)
    }

    /// A cycle with process edges is also one with real-time edges.
    fn insert(&mut self, names: VariantNames, variant: usize, cycle: Cycle) {
        if variant == 1 && !self.covers(names[2]) {
            self.cycles.insert(names[2], cycle.clone());
        }
        self.cycles.insert(names[variant], cycle);
    }
}

/// Searches shortest paths, where only edges out of transactions count.
struct PathSearch<'c> {
    component: &'c Component,
    /// For each state the round in which it was reached, its distance, and the edge and state
    /// before.
    reached: Vec<(u32, u32, EdgeIndex, u32)>,
    round: u32,
    work: usize,
}

impl<'c> PathSearch<'c> {
    fn new(component: &'c Component) -> Self {
        let states = 2 * component.graph.node_count();
        Self { component, reached: vec![(0, 0, EdgeIndex::end(), NONE); states], round: 0, work: 0 }
    }

    /// A path from one node to another by these relations.
    fn find_path(
        &mut self,
        from: NodeIndex,
        to: NodeIndex,
        relations: u8,
    ) -> Option<Vec<EdgeIndex>> {
        let relations = relations | Relation::Via.bit();
        if from == to {
            return Some(Vec::new());
        }
        self.search_paths(2 * from.index() as u32, 2 * to.index() as u32, |relation, _| {
            (relation.bit() & relations != 0).then_some(0)
        })
    }

    /// A path from a node to itself.
    fn find_closed_path(&mut self, node: NodeIndex, relations: u8) -> Option<Vec<EdgeIndex>> {
        let begin = 2 * node.index() as u32;
        // The path ends in the other state of the node.
        self.search_paths(begin, begin + 1, |relation, to| {
            (relation.bit() & relations != 0).then_some(u32::from(to == node))
        })
    }

    /// A path that begins after an anti-dependency, ends before one, and has no two adjacent ones.
    fn find_separated_path(
        &mut self,
        from: NodeIndex,
        to: NodeIndex,
        relations: u8,
    ) -> Option<Vec<EdgeIndex>> {
        let (begin, end) = (2 * from.index() as u32 + 1, 2 * to.index() as u32);
        let after = std::cell::Cell::new(0);
        self.search_states(begin, end, &after, |relation, _| match relation {
            Relation::Rw => (after.get() == 0).then_some(1),
            Relation::Via => Some(after.get()),
            other => (other.bit() & relations != 0).then_some(0),
        })
    }

    fn search_paths(
        &mut self,
        begin: u32,
        end: u32,
        allowed: impl Fn(Relation, NodeIndex) -> Option<u32>,
    ) -> Option<Vec<EdgeIndex>> {
        self.search_states(begin, end, &std::cell::Cell::new(0), allowed)
    }

    /// Searches over states, which are twice a node's number plus 0 or 1. `allowed` returns which
    /// of the two states an edge leads to, `after` holds that of the current state.
    fn search_states(
        &mut self,
        begin: u32,
        end: u32,
        after: &std::cell::Cell<u32>,
        allowed: impl Fn(Relation, NodeIndex) -> Option<u32>,
    ) -> Option<Vec<EdgeIndex>> {
        self.round += 1;
        self.reached[begin as usize] = (self.round, 0, EdgeIndex::end(), NONE);
        let mut open = VecDeque::from([(begin, 0)]);
        while let Some((state, far)) = open.pop_front() {
            if self.reached[state as usize].1 < far {
                continue;
            }
            if state == end {
                return Some(self.trace_path(begin, end));
            }
            after.set(state % 2);
            for edge in self.component.graph.edges(NodeIndex::new(state as usize / 2)) {
                self.work += 1;
                let Some(into) = allowed(*edge.weight(), edge.target()) else { continue };
                let via = *edge.weight() == Relation::Via;
                let (next, far) = (2 * edge.target().index() as u32 + into, far + u32::from(!via));
                let reached = &mut self.reached[next as usize];
                if reached.0 == self.round && reached.1 <= far {
                    continue;
                }
                *reached = (self.round, far, edge.id(), state);
                if via {
                    open.push_front((next, far));
                } else {
                    open.push_back((next, far));
                }
            }
        }
        None
    }

    fn trace_path(&self, begin: u32, end: u32) -> Vec<EdgeIndex> {
        let (mut path, mut state) = (Vec::new(), end);
        while state != begin {
            let (_, _, edge, before) = self.reached[state as usize];
            path.push(edge);
            state = before;
        }
        path.reverse();
        path
    }
}
