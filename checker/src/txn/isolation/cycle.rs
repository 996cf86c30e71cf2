//! Finds a short cycle of session order, read dependencies and derived edges, and explains it.

use std::collections::VecDeque;

use super::super::table::NONE;
use super::facts::Facts;
use super::order::CommitEdge;
use crate::finding::{Finding, Step};

/// Why one commit precedes another.
#[derive(Clone, Copy)]
enum EdgeReason {
    Session,
    Read(u32),
    Derived(u32),
}

/// Finds a cycle.
pub(super) fn find_cycle(facts: &Facts<'_, '_>, edges: &[CommitEdge]) -> Option<Finding> {
    let graph = CommitGraph::of(facts, edges);
    let rest = graph.cyclic_core();
    let begin = rest.iter().position(|left| *left)?;
    let cycle = graph.shortest_cycle(&rest, graph.node_on_cycle(&rest, begin as u32))?;
    Some(build_finding(facts, edges, &cycle))
}

/// Edges, sorted by their source.
struct CommitGraph {
    begins: Vec<usize>,
    ends: Vec<(u32, EdgeReason)>,
}

impl CommitGraph {
    fn of(facts: &Facts<'_, '_>, edges: &[CommitEdge]) -> Self {
        let start = facts.start();
        let mut all: Vec<(u32, u32, EdgeReason)> = Vec::new();
        for node in 0..facts.len() as u32 {
            let before = facts.before[node as usize];
            all.push((if before == NONE { start } else { before }, node, EdgeReason::Session));
            for read in facts.reads[node as usize].iter().filter(|read| read.source != start) {
                all.push((read.source, node, EdgeReason::Read(read.key)));
            }
        }
        let derived = edges.iter().zip(0..);
        all.extend(derived.map(|(edge, number)| (edge.from, edge.to, EdgeReason::Derived(number))));
        let mut begins = vec![0; facts.len() + 2];
        for (from, ..) in &all {
            begins[*from as usize + 1] += 1;
        }
        for at in 1..begins.len() {
            begins[at] += begins[at - 1];
        }
        let mut next = begins.clone();
        let mut ends = vec![(0, EdgeReason::Session); all.len()];
        for (from, to, why) in all {
            ends[next[from as usize]] = (to, why);
            next[from as usize] += 1;
        }
        Self { begins, ends }
    }

    fn from(&self, node: u32) -> &[(u32, EdgeReason)] {
        &self.ends[self.begins[node as usize]..self.begins[node as usize + 1]]
    }

    /// The nodes that remain after repeatedly removing those without predecessors.
    fn cyclic_core(&self) -> Vec<bool> {
        let count = self.begins.len() - 1;
        let mut open = vec![0_u32; count];
        self.ends.iter().for_each(|(to, _)| open[*to as usize] += 1);
        let mut free: Vec<u32> =
            (0..count as u32).filter(|node| open[*node as usize] == 0).collect();
        let mut rest = vec![true; count];
        while let Some(node) = free.pop() {
            rest[node as usize] = false;
            for (to, _) in self.from(node) {
                open[*to as usize] -= 1;
                if open[*to as usize] == 0 {
                    free.push(*to);
                }
            }
        }
        rest
    }

    /// A node on a cycle: every remaining node has a predecessor, so a backward walk reaches a
    /// cycle.
    fn node_on_cycle(&self, rest: &[bool], begin: u32) -> u32 {
        let mut before = vec![NONE; rest.len()];
        for node in (0..rest.len() as u32).filter(|node| rest[*node as usize]) {
            for (to, _) in self.from(node) {
                before[*to as usize] = node;
            }
        }
        let (mut seen, mut node) = (vec![false; rest.len()], begin);
        while !std::mem::replace(&mut seen[node as usize], true) {
            node = before[node as usize];
        }
        node
    }

    /// A shortest cycle through a node.
    fn shortest_cycle(&self, rest: &[bool], begin: u32) -> Option<Vec<(u32, u32, EdgeReason)>> {
        let mut came: Vec<Option<(u32, EdgeReason)>> = vec![None; rest.len()];
        let mut queue = VecDeque::from([begin]);
        while let Some(node) = queue.pop_front() {
            for (to, why) in self.from(node).iter().filter(|(to, _)| rest[*to as usize]) {
                if *to == begin {
                    let mut cycle = vec![(node, *to, *why)];
                    let mut at = node;
                    while at != begin {
                        let (from, why) = came[at as usize]?;
                        cycle.push((from, at, why));
                        at = from;
                    }
                    cycle.reverse();
                    return Some(cycle);
                }
                if came[*to as usize].is_none() {
                    came[*to as usize] = Some((node, *why));
                    queue.push_back(*to);
                }
            }
        }
        None
    }
}

fn build_finding(
    facts: &Facts<'_, '_>,
    edges: &[CommitEdge],
    cycle: &[(u32, u32, EdgeReason)],
) -> Finding {
    let name = |node: u32| cycle.iter().position(|(from, ..)| *from == node).map(|at| at + 1);
    let called = |node: u32| name(node).map_or_else(|| facts.describe(node), |n| format!("T{n}"));
    let step = |(from, to, why): &(u32, u32, EdgeReason)| {
        let (one, other) = (called(*from), called(*to));
        let (relation, message) = match why {
            EdgeReason::Session if *from == facts.start() => {
                ("process", format!("{one} < {other}, as the initial state comes first"))
            }
            EdgeReason::Session => ("process", format!("{one} < {other}, by session order")),
            EdgeReason::Read(key) => {
                let (key, value) = (facts.key(*key), facts.written_value(*from, *key));
                (
                    "wr",
                    format!(
                        "{one} < {other}, as {other} read {value} from key {key}, which {one} wrote"
                    ),
                )
            }
            EdgeReason::Derived(number) => {
                let CommitEdge { reader, key, .. } = edges[*number as usize];
                let (reader, at) = (called(reader), facts.key(key));
                let (seen, read) = (facts.written_value(*from, key), facts.written_value(*to, key));
                let text = format!(
                    "{one} < {other}, as {reader} must have observed {one}, which wrote {seen} to \
                     key {at}, but read {read} from {other}"
                );
                ("ww", text)
            }
        };
        let (from, to) = (facts.invoked(*from), facts.invoked(*to));
        Step { from, to, relation: relation.to_owned(), message }
    };
    let steps: Vec<Step> = cycle.iter().map(step).collect();
    let derived = cycle.iter().any(|(.., why)| matches!(why, EdgeReason::Derived(_)));
    let all =
        cycle.iter().zip(1..).map(|((node, ..), n)| format!("T{n} = {}", facts.describe(*node)));
    let messages: Vec<_> = steps.iter().map(|step| step.message.clone()).collect();
    let message = format!(
        "{}: a contradiction, where {}",
        messages.join("; "),
        all.collect::<Vec<_>>().join(", ")
    );
    let operations = cycle.iter().filter(|(node, ..)| *node != facts.start());
    Finding {
        name: if derived { "commit-order" } else { "G1c-process" }.to_owned(),
        count: 1,
        message,
        steps,
        operations: operations.map(|(node, ..)| facts.invoked(*node)).collect(),
    }
}
