//! Keeps the nodes of a growing graph in topological order, and finds the edge that closes a cycle.
//!
//! This is the algorithm of Pearce and Kelly (2007). An edge that agrees with the order costs
//! nothing. Another one only moves the nodes between its ends that it reaches or that reach it.

/// Stands for the end of a list of edges.
const END: u32 = u32::MAX;

/// A graph without cycles.
#[derive(Default)]
pub(super) struct TopologicalOrder {
    /// The position of each node.
    ranks: Vec<u32>,
    outgoing: EdgeLists,
    incoming: EdgeLists,
    /// The last search that reached each node, and the node before it.
    reached: Vec<(u32, u32)>,
    searches: u32,
}

/// The edges of all nodes as linked lists.
#[derive(Default)]
struct EdgeLists {
    heads: Vec<u32>,
    /// The other end of each edge, and the next edge of the node.
    links: Vec<(u32, u32)>,
}

impl EdgeLists {
    fn add(&mut self, node: u32, other: u32) {
        let head = &mut self.heads[node as usize];
        self.links.push((other, *head));
        *head = self.links.len() as u32 - 1;
    }
}

impl TopologicalOrder {
    /// Adds a node at the end of the order.
    pub(super) fn add_node(&mut self) -> u32 {
        let node = self.ranks.len() as u32;
        self.ranks.push(node);
        self.outgoing.heads.push(END);
        self.incoming.heads.push(END);
        self.reached.push((0, END));
        node
    }

    /// Adds an edge; an error is the path from `to` to `from` that it would close to a cycle.
    pub(super) fn add_edge(&mut self, from: u32, to: u32) -> Result<(), Vec<u32>> {
        let (high, low) = (self.ranks[from as usize], self.ranks[to as usize]);
        if low <= high {
            let (mut ahead, closed) = self.search(to, &|rank| rank <= high, true, from);
            if closed {
                return Err(self.trace_path(from));
            }
            let (mut behind, _) = self.search(from, &|rank| rank >= low, false, END);
            self.reorder(&mut behind, &mut ahead);
        }
        self.outgoing.add(from, to);
        self.incoming.add(to, from);
        Ok(())
    }

    /// The number of nodes and edges, for an estimate of the memory held.
    pub(super) fn len(&self) -> usize {
        self.ranks.len() + self.outgoing.links.len()
    }

    /// The nodes reached from a node over nodes within bounds, and whether `goal` is one of them.
    fn search(
        &mut self,
        begin: u32,
        within: &dyn Fn(u32) -> bool,
        forward: bool,
        goal: u32,
    ) -> (Vec<u32>, bool) {
        self.searches += 1;
        self.reached[begin as usize] = (self.searches, END);
        let (mut found, mut next) = (vec![begin], 0);
        while let Some(node) = found.get(next).copied() {
            next += 1;
            if node == goal {
                return (found, true);
            }
            let lists = if forward { &self.outgoing } else { &self.incoming };
            let mut link = lists.heads[node as usize];
            while link != END {
                let (other, following) = lists.links[link as usize];
                link = following;
                let reached = &mut self.reached[other as usize];
                if reached.0 != self.searches && within(self.ranks[other as usize]) {
                    *reached = (self.searches, node);
                    found.push(other);
                }
            }
        }
        (found, false)
    }

    /// The path of the last search that ends in this node.
    fn trace_path(&self, end: u32) -> Vec<u32> {
        let before = |node: &u32| Some(self.reached[*node as usize].1).filter(|it| *it != END);
        let mut path: Vec<_> = std::iter::successors(Some(end), before).collect();
        path.reverse();
        path
    }

    /// Gives the positions of all these nodes first to those behind the edge, then to those ahead.
    fn reorder(&mut self, behind: &mut Vec<u32>, ahead: &mut [u32]) {
        behind.sort_unstable_by_key(|node| self.ranks[*node as usize]);
        ahead.sort_unstable_by_key(|node| self.ranks[*node as usize]);
        behind.extend_from_slice(ahead);
        let mut ranks: Vec<_> = behind.iter().map(|node| self.ranks[*node as usize]).collect();
        ranks.sort_unstable();
        for (node, rank) in behind.iter().zip(ranks) {
            self.ranks[*node as usize] = rank;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TopologicalOrder;
    use crate::bench::Draw;
    use petgraph::algo::has_path_connecting;
    use petgraph::graph::DiGraph;

    #[test]
    fn an_edge_is_refused_if_and_only_if_it_closes_a_cycle() {
        let (mut refused, mut taken) = (0, 0);
        for seed in 0..300 {
            let mut draw = Draw(seed);
            let (mut order, mut graph) = (TopologicalOrder::default(), DiGraph::<(), ()>::new());
            let nodes: Vec<_> = (0..12).map(|_| (order.add_node(), graph.add_node(()))).collect();
            for _ in 0..40 {
                let [one, other] = [draw.below(12), draw.below(12)];
                if one == other {
                    continue;
                }
                let ((from, from_node), (to, to_node)) =
                    (nodes[one as usize], nodes[other as usize]);
                let closes = has_path_connecting(&graph, to_node, from_node, None);
                match order.add_edge(from, to) {
                    Ok(()) => {
                        assert!(!closes, "seed {seed}: {from} to {to}");
                        graph.add_edge(from_node, to_node, ());
                        taken += 1;
                    }
                    Err(path) => {
                        assert!(closes, "seed {seed}: {from} to {to}");
                        assert_eq!((path.first(), path.last()), (Some(&to), Some(&from)));
                        let step =
                            |pair: &[u32]| (nodes[pair[0] as usize].1, nodes[pair[1] as usize].1);
                        let known = |pair: &[u32]| {
                            let (one, other) = step(pair);
                            graph.contains_edge(one, other)
                        };
                        assert!(path.windows(2).all(known), "seed {seed}: {path:?}");
                        refused += 1;
                    }
                }
            }
        }
        assert!(refused > 1000 && taken > 1000, "{refused} refused, {taken} taken");
    }
}
