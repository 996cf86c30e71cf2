//! Tracks which writes are not durable yet, so that no message promises what a crash can take back.
//!
//! A write is identified by its sequence number, never by the index it reaches. When a suffix of
//! the log is replaced, completion of the old write must not mark the new entries as durable (the
//! ABA race of etcd-raft's `async_storage_writes_append_aba_race`).

use super::entry::Entry;
use super::types::Index;
use crate::bug::{Bug, BugSet};
use alloc::collections::VecDeque;

/// The writes in progress and what is durable.
#[derive(Debug)]
pub(super) struct WriteTracker {
    /// The last write that was begun.
    sequence: u64,
    /// The last durable write.
    durable: u64,
    /// The last write that contained a term and vote.
    hard_state: u64,
    /// Up to where the log is durable.
    durable_index: Index,
    /// The writes of entries that are not durable: sequence number, and the last of their entries
    /// that is still in the log. Both are in ascending order.
    pending: VecDeque<(u64, Index)>,
    bugs: BugSet,
}

impl WriteTracker {
    /// Creates a tracker for a disk that holds the log up to `last`.
    pub(super) fn new(last: Index, bugs: BugSet) -> Self {
        let pending = VecDeque::new();
        Self { sequence: 0, durable: 0, hard_state: 0, durable_index: last, pending, bugs }
    }

    /// Begins a write; returns its sequence number.
    pub(super) fn begin_write(&mut self, hard_state: bool, entries: &[Entry]) -> u64 {
        self.sequence += 1;
        if hard_state {
            self.hard_state = self.sequence;
        }
        if let [first, .., last] | [first @ last] = entries {
            self.truncate(first.index.saturating_sub(1));
            self.pending.push_back((self.sequence, last.index));
        }
        self.sequence
    }

    /// Begins a write that repeats the log, without its compacted front: durable entries stay
    /// durable.
    pub(super) fn begin_checkpoint(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Begins a write that replaces the whole log by a snapshot up to `last`. Nothing counts as
    /// durable until it is done.
    pub(super) fn begin_restore(&mut self, last: Index) -> u64 {
        self.sequence += 1;
        self.truncate(0);
        self.pending.push_back((self.sequence, last));
        self.sequence
    }

    /// Forgets what was durable after `last`: those entries are being replaced.
    fn truncate(&mut self, last: Index) {
        if self.bugs.contains(Bug::DurableByIndex) {
            return;
        }
        self.durable_index = self.durable_index.min(last);
        let beyond = |(_, reaches): &&mut (u64, Index)| *reaches > last;
        for (_, reaches) in self.pending.iter_mut().rev().take_while(beyond) {
            *reaches = last;
        }
    }

    /// Records that every write up to this one is durable.
    pub(super) fn record_durable(&mut self, sequence: u64) {
        // Never beyond the last write, and never back: reports may come late.
        self.durable = self.durable.max(sequence.min(self.sequence));
        while let Some((_, reaches)) = self.pending.pop_front_if(|(n, _)| *n <= self.durable) {
            self.durable_index = self.durable_index.max(reaches);
        }
    }

    /// Returns up to where this server's own log is durable.
    pub(super) fn durable_index(&self) -> Index {
        self.durable_index
    }

    /// Returns the write that a message depending on term or vote waits for; 0: none.
    pub(super) fn hard_state_barrier(&self) -> u64 {
        if self.hard_state <= self.durable { 0 } else { self.hard_state }
    }

    /// Returns the write that an acknowledgement of entry `index` in this term waits for; 0: none.
    pub(super) fn entry_barrier(&self, index: Index) -> u64 {
        let first = self.pending.partition_point(|(_, reaches)| *reaches < index);
        let entry = match self.pending.get(first) {
            Some((sequence, _)) if index > self.durable_index => *sequence,
            _ => 0,
        };
        // The term too: a server that forgot it could acknowledge an older leader's entries.
        entry.max(self.hard_state_barrier())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::entry::Payload;
    use alloc::vec::Vec;

    fn make_entries(indices: core::ops::RangeInclusive<Index>) -> Vec<Entry> {
        indices.map(|index| Entry { term: 1, index, payload: Payload::Noop }).collect()
    }

    #[test]
    fn an_entry_waits_for_the_write_that_holds_it() {
        let mut tracker = WriteTracker::new(2, BugSet::default());
        tracker.begin_write(false, &make_entries(3..=4));
        tracker.begin_write(false, &make_entries(5..=5));
        assert_eq!([2, 3, 4, 5].map(|index| tracker.entry_barrier(index)), [0, 1, 1, 2]);
        tracker.record_durable(1);
        assert_eq!(
            (tracker.durable_index(), tracker.entry_barrier(4), tracker.entry_barrier(5)),
            (4, 0, 2)
        );
    }

    #[test]
    fn completion_of_a_replaced_suffix_does_not_cover_its_successor() {
        let mut tracker = WriteTracker::new(1, BugSet::default());
        tracker.begin_write(false, &make_entries(2..=4));
        tracker.begin_write(false, &make_entries(3..=3));
        tracker.record_durable(1);
        assert_eq!((tracker.durable_index(), tracker.entry_barrier(3)), (2, 2));
        tracker.record_durable(2);
        assert_eq!((tracker.durable_index(), tracker.entry_barrier(3)), (3, 0));
    }

    #[test]
    fn replaced_entries_are_not_durable_any_more() {
        let mut tracker = WriteTracker::new(5, BugSet::default());
        tracker.begin_write(false, &make_entries(3..=3));
        assert_eq!(
            (tracker.durable_index(), tracker.entry_barrier(2), tracker.entry_barrier(3)),
            (2, 0, 1)
        );
    }

    #[test]
    fn an_acknowledgement_waits_for_the_term_too() {
        let mut tracker = WriteTracker::new(5, BugSet::default());
        tracker.begin_write(true, &[]);
        assert_eq!((tracker.entry_barrier(2), tracker.hard_state_barrier()), (1, 1));
        tracker.record_durable(9);
        assert_eq!((tracker.entry_barrier(2), tracker.hard_state_barrier()), (0, 0));
        tracker.begin_write(true, &[]);
        assert_eq!(tracker.hard_state_barrier(), 2);
    }
}
