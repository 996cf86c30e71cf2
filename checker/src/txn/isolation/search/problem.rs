//! States the search problem: which points must be ordered, and what each choice implies.

use rustc_hash::FxHashMap;

use super::super::facts::Facts;
use crate::finding::Finding;

/// The number of points of a transaction in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Points {
    /// It reads and writes at one point (serializable).
    One,
    /// It reads at one point and writes at a later one (snapshot isolation).
    Two,
}

/// Two writers of a key, `one` before `other`.
#[derive(Clone, Copy, Debug)]
pub(super) struct WriterPair {
    pub(super) key: u32,
    pub(super) one: u32,
    pub(super) other: u32,
}

/// The constant part of the search.
pub(super) struct SearchProblem<'f, 'l, 'h> {
    pub(super) facts: &'f Facts<'l, 'h>,
    pub(super) points: Points,
    /// The readers of each (key, writer).
    pub(super) readers: FxHashMap<(u32, u32), Vec<u32>>,
    pub(super) choices: Vec<WriterPair>,
}

impl<'f, 'l, 'h> SearchProblem<'f, 'l, 'h> {
    pub(super) fn of(facts: &'f Facts<'l, 'h>, points: Points) -> Self {
        let mut readers: FxHashMap<(u32, u32), Vec<u32>> = FxHashMap::default();
        for (node, reads) in facts.reads.iter().enumerate() {
            for read in reads {
                let all = readers.entry((read.key, read.source)).or_default();
                if all.last() != Some(&(node as u32)) {
                    all.push(node as u32);
                }
            }
        }
        let mut writers: Vec<Vec<u32>> = vec![Vec::new(); facts.table.keys.len()];
        for (node, keys) in facts.writes.iter().enumerate() {
            keys.iter().for_each(|key| writers[*key as usize].push(node as u32));
        }
        let mut choices = Vec::new();
        for (key, writers) in writers.iter().enumerate() {
            for (place, one) in writers.iter().enumerate() {
                let others = writers[place + 1..].iter();
                choices.extend(others.map(|other| WriterPair {
                    key: key as u32,
                    one: *one,
                    other: *other,
                }));
            }
        }
        Self { facts, points, readers, choices }
    }

    /// The number of points.
    pub(super) fn point_count(&self) -> usize {
        match self.points {
            Points::One => self.facts.len(),
            Points::Two => 2 * self.facts.len(),
        }
    }

    /// The point at which a transaction reads.
    pub(super) fn read_point(&self, node: u32) -> usize {
        match self.points {
            Points::One => node as usize,
            Points::Two => 2 * node as usize,
        }
    }

    /// The point at which a transaction writes.
    pub(super) fn write_point(&self, node: u32) -> usize {
        match self.points {
            Points::One => node as usize,
            Points::Two => 2 * node as usize + 1,
        }
    }

    /// The edges of every order: session order, read dependencies, and reads of the initial state
    /// before all writes of the key.
    pub(super) fn forced_edges(&self) -> Vec<(usize, usize)> {
        let facts = self.facts;
        let mut edges = Vec::new();
        for node in 0..facts.len() as u32 {
            if self.points == Points::Two {
                edges.push((self.read_point(node), self.write_point(node)));
            }
            let before = facts.before[node as usize];
            if (before as usize) < facts.len() {
                edges.push((self.write_point(before), self.read_point(node)));
            }
            for read in facts.reads[node as usize].iter().filter(|it| it.source != facts.start()) {
                edges.push((self.write_point(read.source), self.read_point(node)));
            }
            for key in &facts.writes[node as usize] {
                let fresh = self.readers.get(&(*key, facts.start())).into_iter().flatten();
                let fresh = fresh.filter(|reader| **reader != node);
                edges
                    .extend(fresh.map(|reader| (self.read_point(*reader), self.write_point(node))));
            }
        }
        edges
    }

    /// The edges that follow if one writer of a key precedes another.
    pub(super) fn implied_edges(
        &self,
        key: u32,
        one: u32,
        other: u32,
    ) -> impl Iterator<Item = (usize, usize)> {
        let first = (self.write_point(one), self.read_point(other));
        let readers = self.readers.get(&(key, one)).into_iter().flatten();
        let readers = readers.filter(move |reader| **reader != other);
        [first]
            .into_iter()
            .chain(readers.map(move |it| (self.read_point(*it), self.write_point(other))))
    }

    pub(super) fn no_order_finding(&self, one: u32, other: u32, key: u32) -> Finding {
        let facts = self.facts;
        let name = facts.key(key);
        let message = format!(
            "T1 wrote {} to key {name} and T2 wrote {}, but the reads rule out both orders: T1 = \
             {}, T2 = {}",
            facts.written_value(one, key),
            facts.written_value(other, key),
            facts.describe(one),
            facts.describe(other)
        );
        let operations = [one, other].into_iter().filter(|node| *node != facts.start());
        Finding {
            name: "no-write-order".to_owned(),
            count: 1,
            message,
            operations: operations.map(|node| facts.invoked(node)).collect(),
            ..Finding::default()
        }
    }

    /// The finding for points that cannot be ordered; it names the first few transactions.
    pub(super) fn cycle_finding(&self, points: &[usize]) -> Finding {
        let facts = self.facts;
        let mut nodes: Vec<u32> =
            points.iter().map(|point| transaction_of(self, *point).0).collect();
        nodes.dedup();
        let shown = nodes
            .iter()
            .take(3)
            .zip(1..)
            .map(|(node, n)| format!("T{n} = {}", facts.describe(*node)));
        let message = format!(
            "session order, read dependencies and reads of the initial state form a cycle of {} \
             transactions, among them {}",
            nodes.len(),
            shown.collect::<Vec<_>>().join(", ")
        );
        let operations = nodes.iter().take(3).map(|node| facts.invoked(*node)).collect();
        Finding {
            name: "no-write-order".to_owned(),
            count: 1,
            message,
            operations,
            ..Finding::default()
        }
    }

    pub(super) fn exhausted_finding(&self, tried: usize) -> Finding {
        let message = format!(
            "no order of the {} transactions explains every read: all {tried} attempts to \
             order two writes end in a cycle",
            self.facts.len()
        );
        Finding { name: "no-write-order".to_owned(), count: 1, message, ..Finding::default() }
    }
}

/// The bytes of the problem and one state of the search, computed before they are allocated.
pub(super) fn required_bytes(facts: &Facts<'_, '_>, points: Points) -> usize {
    let keys = facts.table.keys.len();
    let (mut writers, mut fresh) = (vec![0_usize; keys], vec![0_usize; keys]);
    facts.writes.iter().flatten().for_each(|key| writers[*key as usize] += 1);
    let of_start = facts.reads.iter().flatten().filter(|read| read.source == facts.start());
    of_start.for_each(|read| fresh[read.key as usize] += 1);
    let pairs = writers.iter().map(|count| count.saturating_mul(*count) / 2);
    let pairs = pairs.fold(0_usize, usize::saturating_add).saturating_mul(size_of::<WriterPair>());
    let first = writers.iter().zip(&fresh).map(|(writers, fresh)| writers.saturating_mul(*fresh));
    let first = first.fold(0_usize, usize::saturating_add).saturating_mul(2 * size_of::<u64>());
    let points = if points == Points::One { facts.len() } else { 2 * facts.len() };
    let closure = points.div_ceil(64).saturating_mul(8).saturating_mul(points);
    closure.saturating_add(pairs.saturating_mul(2)).saturating_add(first)
}

/// The transaction of a point, and whether it writes at that point.
pub(super) fn transaction_of(problem: &SearchProblem<'_, '_, '_>, point: usize) -> (u32, bool) {
    match problem.points {
        Points::One => (point as u32, true),
        Points::Two => ((point / 2) as u32, point % 2 == 1),
    }
}
