//! Orders the versions of each key, as far as the history shows.
//!
//! The successors of a version are those that certainly come later, with no known version in
//! between. Only committed versions are ordered: those of transactions that are `ok`, and of
//! indeterminate ones of which a write was read. A version that was read although it was aborted or
//! never written has successors, but is no successor.

use super::table::{NONE, TxnTable};
use crate::history::Kind;

/// The known successors of each version.
pub(super) struct Versions {
    /// Whether each transaction committed.
    pub(super) committed: Vec<bool>,
    offsets: Vec<u32>,
    next: Vec<u32>,
}

impl Versions {
    /// The order with these (version, successor) pairs.
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

    /// The known direct successors of a version.
    pub(super) fn next(&self, version: u32) -> &[u32] {
        let version = version as usize;
        &self.next[self.offsets[version] as usize..self.offsets[version + 1] as usize]
    }

    /// The writer of a version, if it committed.
    pub(super) fn writer(&self, table: &TxnTable<'_>, version: u32) -> Option<u32> {
        let writer = table.writer(version);
        (writer != NONE && self.committed[writer as usize]).then_some(writer)
    }
}

/// Which transactions committed: those that are ok, and the indeterminate ones whose writes were
/// read.
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

/// The version order of lists: each key's longest read, followed by the elements that were appended
/// but never read.
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
    // The last version of a key with incompatible reads is unknown.
    let doubtful: rustc_hash::FxHashSet<_> =
        table.incompatible_reads.iter().map(|odd| odd.key).collect();
    for (number, element) in table.elements.iter().enumerate() {
        let took_place = element.writer != NONE && committed[element.writer as usize];
        if !chain.placed[number] && took_place && !doubtful.contains(&element.key) {
            let later = &mut unread[element.key as usize];
            // One edge to each transaction suffices.
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
    /// Uncommitted versions since the last committed one.
    uncommitted: Vec<u32>,
}

impl VersionChain {
    /// Appends an element after the last committed one; returns the new last one.
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
