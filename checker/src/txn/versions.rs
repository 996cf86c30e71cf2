//! Orders the versions of each key, as far as the history shows how they followed each other.
//!
//! `next` of a version are versions that certainly came later, with nothing known in between. Only what was
//! committed is in that order: transactions that are `ok`, and those of unknown outcome of which something was
//! read. A version that was read though it was aborted, or though nobody wrote it, has a next, but is none.

use super::log::{Log, NONE};
use crate::history::Kind;

/// Which versions follow which.
pub(super) struct Versions {
    /// Whether each transaction took place.
    pub(super) committed: Vec<bool>,
    offsets: Vec<u32>,
    next: Vec<u32>,
}

impl Versions {
    /// The order that these pairs make; a transaction took place if that is what `committed` says.
    pub(super) fn new(log: &Log<'_>, committed: Vec<bool>, pairs: &[(u32, u32)]) -> Self {
        let mut offsets = vec![0_u32; log.versions() + 1];
        for (before, _) in pairs {
            offsets[*before as usize + 1] += 1;
        }
        for version in 1..offsets.len() {
            offsets[version] += offsets[version - 1];
        }
        let mut place = offsets.clone();
        let mut next = vec![0; pairs.len()];
        for (before, after) in pairs {
            next[place[*before as usize] as usize] = *after;
            place[*before as usize] += 1;
        }
        Self { committed, offsets, next }
    }

    /// The versions that come right after one.
    pub(super) fn next(&self, version: u32) -> &[u32] {
        let version = version as usize;
        &self.next[self.offsets[version] as usize..self.offsets[version + 1] as usize]
    }

    /// Who wrote a version, if that took place.
    pub(super) fn writer(&self, log: &Log<'_>, version: u32) -> Option<u32> {
        let writer = log.writer(version);
        (writer != NONE && self.committed[writer as usize]).then_some(writer)
    }
}

/// Which transactions took place: of those of unknown outcome, the ones that a read shows.
pub(super) fn committed(log: &Log<'_>) -> Vec<bool> {
    let mut committed: Vec<_> = log.txns.iter().map(|txn| txn.kind == Kind::Ok).collect();
    let mut shows = |element: u32| {
        let writer = log.elements.get(element as usize).map_or(NONE, |element| element.writer);
        if writer != NONE && log.txns[writer as usize].kind != Kind::Fail {
            committed[writer as usize] = true;
        }
    };
    for key in &log.keys {
        key.order.iter().copied().for_each(&mut shows);
    }
    log.odd.iter().flat_map(|odd| &odd.elements).copied().for_each(&mut shows);
    let reads = log.micros.iter().filter(|micro| !micro.write);
    reads.for_each(|micro| shows(micro.element));
    committed
}

/// The order of lists: each key's longest read, and after it whatever was appended and never read.
pub(super) fn of_lists(log: &Log<'_>) -> Versions {
    let committed = committed(log);
    let mut chain = Chain {
        pairs: Vec::with_capacity(log.elements.len()),
        placed: vec![false; log.elements.len()],
        dead: Vec::new(),
    };
    let mut unread: Vec<Vec<u32>> = Vec::new();
    let mut ends = Vec::with_capacity(log.keys.len());
    for (number, key) in log.keys.iter().enumerate() {
        let mut last = log.initial(number as u32);
        for element in &key.order {
            last = chain.put(log, &committed, last, *element);
        }
        ends.push((last, std::mem::take(&mut chain.dead)));
        unread.push(Vec::new());
    }
    // Of a key whose reads contradict each other nobody knows what came last.
    let doubtful: rustc_hash::FxHashSet<_> = log.odd.iter().map(|odd| odd.key).collect();
    for (number, element) in log.elements.iter().enumerate() {
        let took_place = element.writer != NONE && committed[element.writer as usize];
        if !chain.placed[number] && took_place && !doubtful.contains(&element.key) {
            let later = &mut unread[element.key as usize];
            // One arrow to each transaction will do.
            if later.last().is_none_or(|last| log.writer(*last) != element.writer) {
                later.push(number as u32);
            }
        }
    }
    for ((last, dead), unread) in ends.iter().zip(&unread) {
        let ends = std::iter::once(last).chain(dead);
        chain.pairs.extend(ends.flat_map(|end| unread.iter().map(|element| (*end, *element))));
    }
    Versions::new(log, committed, &chain.pairs)
}

struct Chain {
    pairs: Vec<(u32, u32)>,
    placed: Vec<bool>,
    /// Versions since the last one that took place, and that did not.
    dead: Vec<u32>,
}

impl Chain {
    /// Puts an element after the last one, and says which is the last then.
    fn put(&mut self, log: &Log<'_>, committed: &[bool], last: u32, element: u32) -> u32 {
        if std::mem::replace(&mut self.placed[element as usize], true) {
            return last;
        }
        let writer = log.writer(element);
        if writer == NONE || !committed[writer as usize] {
            self.dead.push(element);
            return last;
        }
        self.pairs.push((last, element));
        self.pairs.extend(self.dead.drain(..).map(|dead| (dead, element)));
        element
    }
}
