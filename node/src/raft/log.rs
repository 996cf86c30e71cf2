//! Holds the log: entries follow one another from just after `start`, without gaps, and their terms
//! never decrease.
//!
//! Entries up to `start` are in a snapshot, so they were committed: a position before `start`
//! matches every leader's log. The entry at `start` itself can still be compared.

use super::entry::{Entry, Payload};
use super::membership::Membership;
use super::types::{Index, Position, Term};
use crate::bug::{Bug, BugSet};
use alloc::{vec, vec::Vec};

/// The most entries of one message.
const MAX_BATCH_ENTRIES: usize = 64;
/// The most bytes of commands in one message; a larger entry is sent alone.
const MAX_BATCH_BYTES: usize = 256 * 1024;
/// The bytes that an entry counts for besides its command.
const ENTRY_OVERHEAD: usize = 64;

/// The replicated log of one server.
#[derive(Debug)]
pub(super) struct Log {
    start: Position,
    entries: Vec<Entry>,
    /// The configurations and their indices: first a committed one, which no entry can replace,
    /// then those of later entries.
    memberships: Vec<(Index, Membership)>,
    /// How often the configuration in force has changed.
    revision: u64,
}

impl Log {
    /// Creates a log with these entries after `start`; `base` is the configuration at a committed
    /// index.
    pub(super) fn new(start: Position, entries: Vec<Entry>, base: (Index, Membership)) -> Self {
        let mut log = Self { start, entries: Vec::new(), memberships: vec![base], revision: 0 };
        log.index_memberships(&entries);
        log.entries = entries;
        log
    }

    /// Returns the configuration in force: the last one, committed or not. A server that used the
    /// last committed one could decide by a majority that the leader no longer asks (thesis §4.1).
    pub(super) fn membership(&self) -> &Membership {
        let (_, last) = self.memberships.last().expect("the first is never removed");
        last
    }

    /// Returns how often the configuration in force has changed.
    pub(super) fn revision(&self) -> u64 {
        self.revision
    }

    /// Returns the index of the configuration in force.
    pub(super) fn membership_index(&self) -> Index {
        self.memberships.last().map_or(0, |(index, _)| *index)
    }

    /// Returns the configuration that was in force at a committed index.
    pub(super) fn membership_at(&self, index: Index) -> &Membership {
        let upto = self.memberships.partition_point(|(at, _)| *at <= index);
        &self.memberships[upto.saturating_sub(1)].1
    }

    /// Returns the configuration that was in force at a committed index, and all later ones.
    pub(super) fn memberships_from(&self, index: Index) -> impl Iterator<Item = &Membership> {
        let upto = self.memberships.partition_point(|(at, _)| *at <= index);
        self.memberships.iter().skip(upto.saturating_sub(1)).map(|(_, membership)| membership)
    }

    fn index_memberships(&mut self, entries: &[Entry]) {
        for entry in entries {
            // Entries up to the base repeat it or are older: an old one must not come into force
            // again after a snapshot.
            if let Payload::Membership(membership) = &entry.payload
                && entry.index > self.membership_index()
            {
                self.memberships.push((entry.index, membership.clone()));
                self.revision += 1;
            }
        }
    }

    /// Returns the position up to which the log was compacted.
    pub(super) fn start_position(&self) -> Position {
        self.start
    }

    /// Returns the entries after `start`.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the position of the last entry; of the snapshot, if no entry follows it. A log that
    /// reported term 0 after compaction would lose every comparison of logs.
    pub(super) fn last_position(&self) -> Position {
        self.entries
            .last()
            .map_or(self.start, |entry| Position { term: entry.term, index: entry.index })
    }

    /// Returns the term of an entry; 0 before the first, `None` if unknown: after the log, and
    /// before its start.
    pub(super) fn term_at(&self, index: Index) -> Option<Term> {
        match index.checked_sub(self.start.index) {
            _ if index == 0 => Some(0),
            None => None,
            Some(0) => Some(self.start.term),
            Some(_) => self.entries.get(self.offset_of(index)).map(|entry| entry.term),
        }
    }

    /// Returns the offset in `entries` of an entry after `start`.
    fn offset_of(&self, index: Index) -> usize {
        let offset = index.saturating_sub(self.start.index).saturating_sub(1);
        usize::try_from(offset).unwrap_or(usize::MAX)
    }

    /// Returns the position of an entry; the position before the first if it is unknown.
    pub(super) fn position_at(&self, index: Index) -> Position {
        self.term_at(index).map_or(Position::default(), |term| Position { term, index })
    }

    /// Whether this position is in the log, or was compacted. Same index and term mean the same
    /// prefix (Log Matching, paper §5.3).
    pub(super) fn matches(&self, position: Position) -> bool {
        position.index < self.start.index || self.term_at(position.index) == Some(position.term)
    }

    /// Returns the last position that can also be in a log that contains `other`: not after it,
    /// and of no later term.
    ///
    /// Both sides of a rejected append apply this to each other's hint, so each exchange skips a
    /// whole term (paper §5.3). Backing up by one entry takes a round trip for each.
    pub(super) fn find_conflict_by_term(&self, other: Position) -> Position {
        if other < self.start || other.index < self.start.index {
            return Position::default();
        }
        let upto = self.entries.len().min(self.offset_of(other.index.saturating_add(1)));
        let head = self.entries.get(..upto).unwrap_or_default();
        let fits = head.partition_point(|entry| entry.term <= other.term);
        self.position_at(self.start.index + fits as Index)
    }

    /// Returns the entries of `from ..= to`, as far as they exist.
    pub(super) fn entries_between(&self, from: Index, to: Index) -> &[Entry] {
        let start = if from > self.start.index { self.offset_of(from) } else { usize::MAX };
        let end = self.entries.len().min(self.offset_of(to.saturating_add(1)));
        self.entries.get(start..end).unwrap_or_default()
    }

    /// Returns how many bytes the entries of `from ..= to` count for.
    pub(super) fn byte_size(&self, from: Index, to: Index) -> usize {
        self.entries_between(from, to).iter().map(|entry| entry_size(payload_size(entry))).sum()
    }

    /// Returns the entries from an index on that fit into one message.
    pub(super) fn batch_from(&self, from: Index) -> Vec<Entry> {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += payload_size(entry);
            bytes <= MAX_BATCH_BYTES || bytes == payload_size(entry)
        };
        let entries = self.entries_between(from, Index::MAX).iter();
        entries.take(MAX_BATCH_ENTRIES).take_while(fits).cloned().collect()
    }

    /// Appends an entry at the end.
    pub(super) fn append(&mut self, term: Term, payload: Payload) -> Entry {
        let entry = Entry { term, index: self.last_position().index + 1, payload };
        self.index_memberships(core::slice::from_ref(&entry));
        self.entries.push(entry.clone());
        entry
    }

    /// Returns how many of these entries, whose predecessor it contains, the log contains already.
    /// Only the first real conflict may truncate the log (paper §5.3).
    pub(super) fn count_known(&self, entries: &[Entry]) -> usize {
        let is_known = |entry: &Entry| {
            entry.index < self.start.index || self.term_at(entry.index) == Some(entry.term)
        };
        entries.iter().position(|entry| !is_known(entry)).unwrap_or(entries.len())
    }

    /// Replaces everything from the index of the first of these entries on.
    pub(super) fn truncate_and_append(&mut self, entries: &[Entry], bugs: BugSet) {
        if let Some(first) = entries.first() {
            self.entries.truncate(self.offset_of(first.index));
            // A truncated configuration is no longer in force: the previous one is again
            // (thesis §4.1).
            if !bugs.contains(Bug::KeepOverwrittenConfig) {
                let kept = self.memberships.partition_point(|(index, _)| *index < first.index);
                self.revision += (self.memberships.len() - kept.max(1)) as u64;
                self.memberships.truncate(kept.max(1));
            }
            self.index_memberships(entries);
            self.entries.extend_from_slice(entries);
        }
    }

    /// Drops everything up to a position of the log that a snapshot contains.
    pub(super) fn compact(&mut self, last: Position) {
        if last.index > self.start.index {
            let gone = self.entries.len().min(self.offset_of(last.index.saturating_add(1)));
            self.entries.drain(..gone);
            self.start = last;
            // The configuration in force at `last` stays, as no entry holds it any more.
            let older = self.memberships.partition_point(|(index, _)| *index <= last.index);
            self.memberships.drain(..older.saturating_sub(1));
        }
    }

    /// Empties the log; it continues after the end of a snapshot.
    pub(super) fn restore(&mut self, last: Position, membership: Membership) {
        let revision = self.revision + 1;
        *self = Self { revision, ..Self::new(last, Vec::new(), (last.index, membership)) };
    }
}

/// Returns how many bytes an entry with a command of this size counts for.
pub(super) fn entry_size(command: usize) -> usize {
    ENTRY_OVERHEAD.saturating_add(command)
}

/// Returns the size of an entry's command.
fn payload_size(entry: &Entry) -> usize {
    match &entry.payload {
        Payload::Noop => 0,
        Payload::Command(command) => command.len(),
        Payload::Membership(membership) => {
            let contacts =
                membership.contacts.values().map(|text| ENTRY_OVERHEAD.saturating_add(text.len()));
            contacts.sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn log_of_terms(terms: &[Term]) -> Log {
        let mut log = Log::new(Position::default(), vec![], (0, Membership::default()));
        for term in terms {
            log.append(*term, Payload::Noop);
        }
        log
    }

    fn entry_terms(log: &Log) -> Vec<Term> {
        log.entries().iter().map(|entry| entry.term).collect()
    }

    #[test]
    fn a_delayed_message_truncates_nothing() {
        let mut follower = log_of_terms(&[1, 1, 2, 2]);
        assert_eq!(follower.count_known(&log_of_terms(&[1, 1, 2]).entries), 3);
        follower.truncate_and_append(&[], BugSet::default());
        assert_eq!(entry_terms(&follower), [1, 1, 2, 2]);
    }

    #[test]
    fn a_conflict_truncates_from_its_first_entry() {
        let mut follower = log_of_terms(&[1, 1, 2, 2]);
        let leader = log_of_terms(&[1, 1, 3]).entries;
        let known = follower.count_known(&leader);
        follower.truncate_and_append(&leader[known..], BugSet::default());
        assert_eq!((known, entry_terms(&follower)), (2, vec![1, 1, 3]));
    }

    #[test]
    fn positions_outside_the_log_are_unknown() {
        let log = log_of_terms(&[1]);
        assert_eq!((log.term_at(0), log.term_at(1), log.term_at(2)), (Some(0), Some(1), None));
        assert_eq!(log.term_at(Index::MAX), None);
        assert!(
            log.entries_between(3, 2).is_empty()
                && log.entries_between(Index::MAX, Index::MAX).is_empty()
        );
        assert!(log.matches(Position::default()) && !log.matches(Position { term: 2, index: 1 }));
    }

    #[test]
    fn batches_are_bounded_and_a_large_entry_is_sent_alone() {
        let mut log = Log::new(Position::default(), vec![], (0, Membership::default()));
        for size in [MAX_BATCH_BYTES * 2, MAX_BATCH_BYTES / 2, MAX_BATCH_BYTES / 2, 1] {
            log.append(1, Payload::Command(vec![0; size]));
        }
        assert_eq!([1, 2, 4, 5].map(|from| log.batch_from(from).len()), [1, 2, 1, 0]);
        (0..100).for_each(|_| drop(log.append(1, Payload::Noop)));
        assert_eq!(log.batch_from(4).len(), MAX_BATCH_ENTRIES);
    }

    /// A compacted log answers like the whole log, as far as it still can.
    #[test]
    fn compacted_entries_match_and_the_rest_is_unchanged() {
        let whole = log_of_terms(&[1, 1, 2, 2, 3]);
        for index in 0..=5 {
            let mut cut = log_of_terms(&[1, 1, 2, 2, 3]);
            let start = cut.position_at(index);
            cut.compact(start);
            assert_eq!((cut.start_position(), cut.last_position()), (start, whole.last_position()));
            assert_eq!(cut.entries(), whole.entries_between(index + 1, 5));
            for other in index..=6 {
                assert_eq!(cut.term_at(other), whole.term_at(other), "{other} after {index}");
                assert_eq!(cut.entries_between(other + 1, 4), whole.entries_between(other + 1, 4));
                for term in start.term..=4 {
                    let position = Position { term, index: other };
                    assert_eq!(cut.matches(position), whole.matches(position));
                    let could = whole.find_conflict_by_term(position);
                    assert_eq!(cut.find_conflict_by_term(position), could);
                }
            }
            for before in 1..index {
                let position = Position { term: 9, index: before };
                assert!(cut.matches(position) && cut.term_at(before).is_none());
                assert!(cut.entries_between(before, 5).is_empty());
            }
            assert_eq!(cut.count_known(whole.entries()), 5);
        }
    }

    /// Terms that never decrease, as in every log.
    fn nondecreasing_terms() -> impl Strategy<Value = Vec<Term>> {
        let sum = |steps: Vec<Term>| {
            (1..=steps.len()).map(|upto| 1 + steps[..upto].iter().sum::<Term>()).collect()
        };
        proptest::collection::vec(0u64..3, 0..12).prop_map(sum)
    }

    /// The same result as `find_conflict_by_term`, by linear search.
    fn find_linearly(log: &Log, other: Position) -> Position {
        let fits = |index: &Index| log.term_at(*index).is_some_and(|term| term <= other.term);
        let index = (1..=other.index).rev().find(fits).unwrap_or(0);
        log.position_at(index)
    }

    proptest! {
        #[test]
        fn binary_search_agrees_with_linear_search(
            terms in nondecreasing_terms(), term in 0u64..20, index in 0u64..20
        ) {
            let (log, other) = (log_of_terms(&terms), Position { term, index });
            prop_assert_eq!(log.find_conflict_by_term(other), find_linearly(&log, other));
        }

        /// Two logs that share a prefix and nothing after it: backing up never passes the prefix,
        /// ends at it or where the follower's log goes on, and takes no more exchanges than there
        /// are terms.
        #[test]
        fn backtracking_finds_the_common_prefix(
            common in nondecreasing_terms(),
            leader in nondecreasing_terms(),
            follower in nondecreasing_terms(),
        ) {
            let base = common.last().copied().unwrap_or(0);
            let tail = |terms: &[Term], parity| {
                let own = terms.iter().map(|t| base + 2 * t + parity);
                log_of_terms(&common.iter().copied().chain(own).collect::<Vec<_>>())
            };
            let (ours, theirs) = (tail(&leader, 0), tail(&follower, 1));
            let mut terms = entry_terms(&theirs);
            terms.dedup();
            let (mut position, mut exchanges) = (ours.last_position(), 1);
            while !theirs.matches(position) {
                let hint = theirs.find_conflict_by_term(position);
                let next = ours.find_conflict_by_term(hint);
                prop_assert!(next.index < position.index && next.index >= common.len() as Index);
                (position, exchanges) = (next, exchanges + 1);
            }
            prop_assert_eq!(position.index, common.len() as Index);
            prop_assert!(exchanges <= terms.len() + 2);
        }
    }
}
