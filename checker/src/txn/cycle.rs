//! Finds in each tangle of transactions the worst kind of cycle, and a shortest one of it.
//!
//! A component is named by the first of these that it has: a cycle of `ww` alone (G0), with `wr` (G1c), with one `rw`
//! (G-single), with several of which no two are adjacent (G-nonadjacent), with several (G2-item); then the same with
//! the order of processes and of real time. One cycle is told for each component.

use std::collections::VecDeque;

use super::Anomalies;
use super::graph::{Finished, PROCESS, REALTIME, RW, RW_REALTIME, WR, WW};
use super::read::Txn;
use crate::check::Limits;
use crate::finding::Step;
use rustc_hash::FxHashMap;

/// How many edges one search for a shortest cycle may look at.
const PATIENCE: usize = 2_000_000;

/// One kind of cycle: an edge of `first`, and back over `rest`.
struct Shape {
    name: &'static str,
    first: u8,
    rest: u8,
    /// No two `rw` next to each other.
    apart: bool,
}

const fn shape(name: &'static str, first: u8, rest: u8, apart: bool) -> Shape {
    Shape { name, first, rest, apart }
}

const ANTI: u8 = RW | RW_REALTIME;
const P: u8 = PROCESS;
const R: u8 = PROCESS | REALTIME;

const SHAPES: [Shape; 15] = [
    shape("G0", WW, WW, false),
    shape("G1c", WR, WW | WR, false),
    shape("G-single", RW, WW | WR, false),
    shape("G-nonadjacent", RW, WW | WR | RW, true),
    shape("G2-item", RW, WW | WR | RW, false),
    shape("G0-process", WW, WW | P, false),
    shape("G1c-process", WR, WW | WR | P, false),
    shape("G-single-process", RW, WW | WR | P, false),
    shape("G-nonadjacent-process", RW, WW | WR | RW | P, true),
    shape("G2-item-process", RW, WW | WR | RW | P, false),
    shape("G0-realtime", WW, WW | R, false),
    shape("G1c-realtime", WR, WW | WR | R, false),
    shape("G-single-realtime", ANTI, WW | WR | R, false),
    shape("G-nonadjacent-realtime", ANTI, WW | WR | ANTI | R, true),
    shape("G2-item-realtime", ANTI, WW | WR | ANTI | R, false),
];

/// Tells a cycle of each component; false, if time was up first.
pub(super) fn find(
    graph: &Finished,
    txns: &[Txn<'_>],
    why: &dyn Fn(u32, u32, u8) -> String,
    limits: &Limits<'_>,
    found: &mut Anomalies,
) -> bool {
    for component in graph.components(u8::MAX) {
        if (limits.expired)() {
            return false;
        }
        let inside: FxHashMap<u32, ()> = component.iter().map(|node| (*node, ())).collect();
        let search = Search { graph, inside: &inside };
        let worst = SHAPES.iter().find_map(|shape| Some((shape, search.cycle(&component, shape)?)));
        if let Some((shape, cycle)) = worst {
            tell(shape, &cycle, txns, why, found);
        }
    }
    true
}

/// A cycle: each edge's beginning and kind; the last leads back to the first.
type Cycle = Vec<(u32, u8)>;

/// A transaction, and whether it was reached by `rw`.
type Place = (u32, bool);

/// From where each place was reached, and by what kind of edge.
type Came = FxHashMap<Place, (Place, u8)>;

struct Search<'a> {
    graph: &'a Finished,
    inside: &'a FxHashMap<u32, ()>,
}

impl Search<'_> {
    /// A shortest cycle of that shape.
    fn cycle(&self, component: &[u32], shape: &Shape) -> Option<Cycle> {
        let mut best: Option<Cycle> = None;
        let mut patience = PATIENCE;
        for from in component {
            for (to, kind) in self.graph.from(*from) {
                if kind & shape.first == 0 || !self.inside.contains_key(to) {
                    continue;
                }
                let longest = best.as_ref().map_or(usize::MAX, Vec::len);
                if let Some(back) = self.path((*to, *from), shape, longest, &mut patience) {
                    let mut cycle = vec![(*from, kind & shape.first)];
                    cycle.extend(back);
                    if cycle.len() < longest {
                        best = Some(cycle);
                    }
                }
                if patience == 0 {
                    return best;
                }
            }
        }
        best
    }

    /// A shortest way from `start` to `end`, with fewer edges than `longest` less one.
    fn path(
        &self,
        (start, end): (u32, u32),
        shape: &Shape,
        longest: usize,
        patience: &mut usize,
    ) -> Option<Cycle> {
        // Where `rw` must be apart, a node is another one when it was reached by `rw`.
        let begin = (start, shape.apart);
        let mut came = Came::default();
        let mut queue = VecDeque::from([(begin, 1)]);
        while let Some(((node, by_rw), length)) = queue.pop_front() {
            if length + 1 >= longest {
                return None;
            }
            for (to, kinds) in self.graph.from(node) {
                *patience = patience.checked_sub(1)?;
                let Some(kind) = allowed(kinds & shape.rest, shape, by_rw) else { continue };
                let next = (*to, shape.apart && kind & ANTI != 0);
                // Back at the start over `rw`, the first edge would be adjacent.
                let closes = *to == end && !next.1;
                if !self.inside.contains_key(to) || next == begin || came.contains_key(&next) {
                    continue;
                }
                came.insert(next, ((node, by_rw), kind));
                if closes {
                    return Some(walk(&came, begin, next));
                }
                queue.push_back((next, length + 1));
            }
        }
        None
    }
}

/// The kind of edge that is taken, the most telling one.
fn allowed(kinds: u8, shape: &Shape, by_rw: bool) -> Option<u8> {
    let kinds = if shape.apart && by_rw { kinds & !ANTI } else { kinds };
    [WW, WR, PROCESS, REALTIME, RW, RW_REALTIME].into_iter().find(|kind| kinds & kind != 0)
}

fn walk(came: &Came, begin: Place, end: Place) -> Cycle {
    let mut cycle = Vec::new();
    let mut at = end;
    while at != begin {
        let Some((before, kind)) = came.get(&at) else { break };
        cycle.push((before.0, *kind));
        at = *before;
    }
    cycle.reverse();
    cycle
}

fn tell(
    shape: &Shape,
    cycle: &Cycle,
    txns: &[Txn<'_>],
    why: &dyn Fn(u32, u32, u8) -> String,
    found: &mut Anomalies,
) {
    let operations: Vec<u64> = cycle.iter().map(|(node, _)| txns[*node as usize].invoked).collect();
    found.add(shape.name, &operations, || {
        let names: Vec<String> =
            cycle.iter().map(|(node, _)| format!("T{}", txns[*node as usize].invoked)).collect();
        format!("{} < {}: no transaction comes before itself", names.join(" < "), names[0])
    });
    let Some(finding) = found.0.get_mut(shape.name).filter(|it| it.steps.is_empty()) else {
        return;
    };
    for (place, (from, kind)) in cycle.iter().enumerate() {
        let to = cycle[(place + 1) % cycle.len()].0;
        let (first, second) = (&txns[*from as usize], &txns[to as usize]);
        let end = if place + 1 == cycle.len() { ": a contradiction" } else { "" };
        finding.steps.push(Step {
            from: first.invoked,
            to: second.invoked,
            relation: relation(*kind).to_owned(),
            sentence: format!(
                "{} < {}, because {}{end}",
                first.name(),
                second.name(),
                why(*from, to, *kind)
            ),
        });
    }
}

fn relation(kind: u8) -> &'static str {
    match kind {
        WW => "ww",
        WR => "wr",
        PROCESS => "process",
        REALTIME => "realtime",
        _ => "rw",
    }
}
