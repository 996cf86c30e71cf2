//! Orders the versions of each key, as far as the history shows how they followed each other.
//!
//! `next` of a version are versions that certainly came later, with nothing known in between. Only what was
//! committed is in that order: transactions that are `ok`, and those of unknown outcome of which something was
//! read. A version that was read though it was aborted, or though nobody wrote it, has a next, but is none.

use super::table::{NONE, TxnTable};
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
    pub(super) fn new(table: &TxnTable<'_>, committed: Vec<bool>, pairs: &[(u32, u32)]) -> Self {
        let mut offsets = vec![0_u32; table.versions() + 1];
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
    pub(super) fn writer(&self, table: &TxnTable<'_>, version: u32) -> Option<u32> {
        let writer = table.writer(version);
        (writer != NONE && self.committed[writer as usize]).then_some(writer)
    }
}

/// Which transactions took place: of those of unknown outcome, the ones that a read shows.
pub(super) fn committed(table: &TxnTable<'_>) -> Vec<bool> {
    let mut committed: Vec<_> = table.txns.iter().map(|txn| txn.kind == Kind::Ok).collect();
    let mut shows = |element: u32| {
        let writer = table.elements.get(element as usize).map_or(NONE, |element| element.writer);
        if writer != NONE && table.txns[writer as usize].kind != Kind::Fail {
            committed[writer as usize] = true;
        }
    };
    for key in &table.keys {
        key.order.iter().copied().for_each(&mut shows);
    }
    table.incompatible_reads.iter().flat_map(|odd| &odd.elements).copied().for_each(&mut shows);
    let reads = table.accesses.iter().filter(|access| !access.write);
    reads.for_each(|access| shows(access.element));
    committed
}

/// The order of lists: each key's longest read, and after it whatever was appended and never read.
pub(super) fn order_lists(table: &TxnTable<'_>) -> Versions {
    let committed = committed(table);
    let mut chain = VersionChain {
        pairs: Vec::with_capacity(table.elements.len()),
        placed: vec![false; table.elements.len()],
        uncommitted: Vec::new(),
    };
    let mut unread: Vec<Vec<u32>> = Vec::new();
    let mut ends = Vec::with_capacity(table.keys.len());
    for (number, key) in table.keys.iter().enumerate() {
        let mut last = table.initial(number as u32);
        for element in &key.order {
            last = chain.push(table, &committed, last, *element);
        }
        ends.push((last, std::mem::take(&mut chain.uncommitted)));
        unread.push(Vec::new());
    }
    // Of a key whose reads contradict each other nobody knows what came last.
    let doubtful: rustc_hash::FxHashSet<_> =
        table.incompatible_reads.iter().map(|odd| odd.key).collect();
    for (number, element) in table.elements.iter().enumerate() {
        let took_place = element.writer != NONE && committed[element.writer as usize];
        if !chain.placed[number] && took_place && !doubtful.contains(&element.key) {
            let later = &mut unread[element.key as usize];
            // One arrow to each transaction will do.
            if later.last().is_none_or(|last| table.writer(*last) != element.writer) {
                later.push(number as u32);
            }
        }
    }
    for ((last, uncommitted), unread) in ends.iter().zip(&unread) {
        let ends = std::iter::once(last).chain(uncommitted);
        chain.pairs.extend(ends.flat_map(|end| unread.iter().map(|element| (*end, *element))));
    }
    Versions::new(table, committed, &chain.pairs)
}

struct VersionChain {
    pairs: Vec<(u32, u32)>,
    placed: Vec<bool>,
    /// Versions since the last one that took place, and that did not.
    uncommitted: Vec<u32>,
}

impl VersionChain {
    /// Puts an element after the last one, and says which is the last then.
    fn push(&mut self, table: &TxnTable<'_>, committed: &[bool], last: u32, element: u32) -> u32 {
        if std::mem::replace(&mut self.placed[element as usize], true) {
            return last;
        }
        let writer = table.writer(element);
        if writer == NONE || !committed[writer as usize] {
            self.uncommitted.push(element);
            return last;
        }
        self.pairs.push((last, element));
        self.pairs.extend(self.uncommitted.drain(..).map(|uncommitted| (uncommitted, element)));
        element
    }
}
