//! Derives commit-order edges: a transaction that the reader must have observed, and that wrote the
//! key of a read, commits before the writer of the version that was read.
//!
//! Read committed and read atomic examine pairs of a transaction and one it read from, and iterate
//! over the smaller of the latter's writes and the former's reads: at most n√n steps for n
//! operations. Causal consistency looks up, for each read and each session that wrote its key, the
//! latest observed write: n·k steps for k sessions. Vector clocks are dropped after their last use.

use rustc_hash::FxHashMap;

use super::super::table::NONE;
use super::facts::{ExternalRead, Facts};
use super::failure::Failure;
use crate::verdict::Limits;

/// `from` commits before `to`, because `reader` observed `from` and read `key` from `to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CommitEdge {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) reader: u32,
    pub(super) key: u32,
}

/// The edges of read committed: a read observes the sources of the transaction's earlier reads.
pub(super) fn read_committed_edges(facts: &Facts<'_, '_>) -> Vec<CommitEdge> {
    let mut edges = Vec::new();
    for reader in 0..facts.len() as u32 {
        let reads = &facts.reads[reader as usize];
        let places = read_places(reads);
        for (first, known) in read_sources(facts, reads) {
            for_each_shared_key(facts, known, &places, |key, at| {
                for place in at.iter().filter(|place| **place > first) {
                    let to = reads[*place].source;
                    add_edge(&mut edges, CommitEdge { from: known, to, reader, key });
                }
            });
        }
    }
    edges
}

/// The edges of read atomic: every read observes all sources of the transaction and the earlier
/// transactions of its session.
pub(super) fn read_atomic_edges(facts: &Facts<'_, '_>) -> Vec<CommitEdge> {
    let mut edges = Vec::new();
    let mut latest: FxHashMap<(u32, u32), u32> = FxHashMap::default();
    for reader in 0..facts.len() as u32 {
        let reads = &facts.reads[reader as usize];
        let places = read_places(reads);
        for (_, known) in read_sources(facts, reads) {
            for_each_shared_key(facts, known, &places, |key, at| {
                for place in at {
                    let to = reads[*place].source;
                    add_edge(&mut edges, CommitEdge { from: known, to, reader, key });
                }
            });
        }
        let session = facts.session[reader as usize];
        for ExternalRead { key, source } in reads {
            if let Some(from) = latest.get(&(session, *key)) {
                add_edge(&mut edges, CommitEdge { from: *from, to: *source, reader, key: *key });
            }
        }
        for key in &facts.writes[reader as usize] {
            latest.insert((session, *key), reader);
        }
    }
    edges
}

fn add_edge(edges: &mut Vec<CommitEdge>, edge: CommitEdge) {
    if edge.from != edge.to {
        edges.push(edge);
    }
}

/// The positions of the reads of each key.
fn read_places(reads: &[ExternalRead]) -> FxHashMap<u32, Vec<usize>> {
    let mut places: FxHashMap<u32, Vec<usize>> = FxHashMap::default();
    for (place, read) in reads.iter().enumerate() {
        places.entry(read.key).or_default().push(place);
    }
    places
}

/// The transactions that a transaction read from, with the position of the first such read.
fn read_sources(facts: &Facts<'_, '_>, reads: &[ExternalRead]) -> Vec<(usize, u32)> {
    let mut first: FxHashMap<u32, usize> = FxHashMap::default();
    for (place, read) in reads.iter().enumerate() {
        first.entry(read.source).or_insert(place);
    }
    let mut sources: Vec<_> = first.into_iter().map(|(source, place)| (place, source)).collect();
    sources.retain(|(_, source)| *source != facts.start());
    sources.sort_unstable();
    sources
}

/// Visits the keys that `known` wrote and that are read, iterating over the smaller set.
fn for_each_shared_key(
    facts: &Facts<'_, '_>,
    known: u32,
    places: &FxHashMap<u32, Vec<usize>>,
    mut each: impl FnMut(u32, &[usize]),
) {
    let writes = &facts.writes[known as usize];
    if writes.len() <= places.len() {
        for key in writes {
            if let Some(at) = places.get(key) {
                each(*key, at);
            }
        }
    } else {
        let mut keys: Vec<_> = places.iter().filter(|(key, _)| facts.wrote(known, **key)).collect();
        keys.sort_unstable();
        keys.into_iter().for_each(|(key, at)| each(*key, at));
    }
}

/// The edges of causal consistency: a transaction observes everything that happened before it.
pub(super) fn causal_edges(
    facts: &Facts<'_, '_>,
    limits: &Limits<'_>,
) -> Result<Vec<CommitEdge>, Failure> {
    let Some(order) = topological_order(facts) else { return Ok(Vec::new()) };
    let writers = WritersByKey::of(facts);
    let mut clocks = Clocks::of(facts);
    let mut edges = Vec::new();
    for (done, node) in order.into_iter().enumerate() {
        let bytes = edges.len().saturating_mul(size_of::<CommitEdge>());
        if (done % 1024 == 1023 && (limits.expired)()) || bytes > limits.memory_bytes / 2 {
            let all = facts.len();
            let why = format!("budget exhausted after {done} of {all} transactions");
            return Err(Failure::BudgetExceeded(why));
        }
        let clock = clocks.compute_clock(facts, node);
        let mut seen = Vec::new();
        for read in &facts.reads[node as usize] {
            if seen.contains(&(read.key, read.source)) {
                continue;
            }
            seen.push((read.key, read.source));
            writers.for_each_latest_writer(read.key, &clock, |session, place, from| {
                if from != read.source && !clocks.includes(facts, read.source, session, place) {
                    edges.push(CommitEdge { from, to: read.source, reader: node, key: read.key });
                }
            });
        }
        clocks.store_clock(facts, node, clock);
    }
    Ok(edges)
}

/// The nodes in an order that contains session order and read dependencies; `None` if those are
/// cyclic, which the search for cycles reports.
fn topological_order(facts: &Facts<'_, '_>) -> Option<Vec<u32>> {
    let count = facts.len();
    let mut open = vec![0_u32; count];
    let mut later: Vec<Vec<u32>> = vec![Vec::new(); count];
    for (node, open) in open.iter_mut().enumerate() {
        let sources = facts.reads[node].iter().map(|read| read.source);
        for source in sources.chain([facts.before[node]]) {
            if let Some(later) = later.get_mut(source as usize) {
                later.push(node as u32);
                *open += 1;
            }
        }
    }
    let mut order: Vec<u32> = (0..count as u32).filter(|node| open[*node as usize] == 0).collect();
    let mut at = 0;
    while let Some(node) = order.get(at).copied() {
        at += 1;
        for next in &later[node as usize] {
            open[*next as usize] -= 1;
            if open[*next as usize] == 0 {
                order.push(*next);
            }
        }
    }
    (order.len() == count).then_some(order)
}

/// The writers of each key by session, in session order.
struct WritersByKey {
    by_key: Vec<Vec<SessionWriters>>,
}

/// A session and its writers of a key, as (position, node).
type SessionWriters = (u32, Vec<(u32, u32)>);

impl WritersByKey {
    fn of(facts: &Facts<'_, '_>) -> Self {
        let mut by_key: Vec<FxHashMap<u32, Vec<(u32, u32)>>> =
            vec![FxHashMap::default(); facts.table.keys.len()];
        for node in 0..facts.len() {
            for key in &facts.writes[node] {
                let sessions = by_key[*key as usize].entry(facts.session[node]).or_default();
                sessions.push((facts.place[node], node as u32));
            }
        }
        let sorted = |sessions: FxHashMap<u32, Vec<(u32, u32)>>| {
            let mut sessions: Vec<_> = sessions.into_iter().collect();
            sessions.sort_unstable_by_key(|(session, _)| *session);
            sessions
        };
        Self { by_key: by_key.into_iter().map(sorted).collect() }
    }

    /// Visits the latest writer of a key in each session that a clock includes.
    fn for_each_latest_writer(&self, key: u32, clock: &[u32], mut each: impl FnMut(u32, u32, u32)) {
        for (session, writers) in &self.by_key[key as usize] {
            let known = clock[*session as usize];
            if known < writers[0].0 {
                continue;
            }
            let upto = writers.partition_point(|(place, _)| *place <= known);
            if let Some((place, node)) = upto.checked_sub(1).and_then(|last| writers.get(last)) {
                each(*session, *place, *node);
            }
        }
    }
}

/// The vector clock of each transaction: its last observed position in each session.
struct Clocks {
    known: Vec<Option<Box<[u32]>>>,
    /// The number of remaining uses of each clock.
    uses: Vec<u32>,
}

impl Clocks {
    fn of(facts: &Facts<'_, '_>) -> Self {
        let mut uses = vec![0; facts.len()];
        let sources = facts.reads.iter().flatten().map(|read| read.source);
        for node in sources.chain(facts.before.iter().copied()) {
            if let Some(uses) = uses.get_mut(node as usize) {
                *uses += 1;
            }
        }
        Self { known: vec![None; facts.len()], uses }
    }

    /// The clock of a transaction: the maximum of its predecessors' clocks and positions.
    fn compute_clock(&mut self, facts: &Facts<'_, '_>, node: u32) -> Box<[u32]> {
        let before = facts.before[node as usize];
        let mut clock = match self.known.get_mut(before as usize) {
            Some(known) if self.uses[before as usize] == 1 => known.take().unwrap_or_default(),
            Some(known) => known.clone().unwrap_or_default(),
            None => vec![0; facts.sessions].into_boxed_slice(),
        };
        if let Some(place) = facts.place.get(before as usize) {
            clock[facts.session[before as usize] as usize] = *place;
        }
        for read in &facts.reads[node as usize] {
            let Some(Some(other)) = self.known.get(read.source as usize) else { continue };
            for (own, other) in clock.iter_mut().zip(other) {
                *own = (*own).max(*other);
            }
            let session = facts.session[read.source as usize] as usize;
            clock[session] = clock[session].max(facts.place[read.source as usize]);
        }
        clock
    }

    /// Whether a node's clock includes this position of a session; that of the initial state is
    /// empty.
    fn includes(&self, facts: &Facts<'_, '_>, node: u32, session: u32, place: u32) -> bool {
        let Some(Some(clock)) = self.known.get(node as usize) else { return false };
        let own = facts.session[node as usize] == session && facts.place[node as usize] > place;
        own || clock[session as usize] >= place
    }

    /// Stores a clock that will be used, and drops those that will not.
    fn store_clock(&mut self, facts: &Facts<'_, '_>, node: u32, clock: Box<[u32]>) {
        let sources = facts.reads[node as usize].iter().map(|read| read.source);
        for used in sources.chain([facts.before[node as usize]]) {
            if used == NONE || used == facts.start() {
                continue;
            }
            let uses = &mut self.uses[used as usize];
            *uses -= 1;
            if *uses == 0 {
                self.known[used as usize] = None;
            }
        }
        if self.uses[node as usize] > 0 {
            self.known[node as usize] = Some(clock);
        }
    }
}
