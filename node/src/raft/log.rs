//! Holds the log: entry `i` stands at place `i - 1`, without gaps, and terms never fall along it.

use super::{Entry, Index, Payload, Position, Term};
use alloc::vec::Vec;

/// The most entries of one message.
const BATCH_ENTRIES: usize = 64;
/// The most bytes of commands in one message; a single entry may be larger and then travels alone.
const BATCH_BYTES: usize = 256 * 1024;

/// The replicated log of one server.
#[derive(Debug)]
pub(super) struct Log {
    entries: Vec<Entry>,
}

impl Log {
    /// A log that holds these entries.
    pub(super) fn new(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    /// Everything.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Its end.
    pub(super) fn last(&self) -> Position {
        self.position(self.entries.len() as Index)
    }

    /// The term of an entry; 0 before the log, `None` after it.
    pub(super) fn term(&self, index: Index) -> Option<Term> {
        match index.checked_sub(1) {
            None => Some(0),
            Some(place) => self.entries.get(usize::try_from(place).ok()?).map(|entry| entry.term),
        }
    }

    /// The place of an entry; the place before the log if there is no such entry.
    pub(super) fn position(&self, index: Index) -> Position {
        self.term(index).map_or(Position::default(), |term| Position { term, index })
    }

    /// Whether this place is in the log, or just before it.
    pub(super) fn has(&self, place: Position) -> bool {
        self.term(place.index) == Some(place.term)
    }

    /// The last place that may also be in a log which has `other`: not after it, and of no later term.
    ///
    /// Both sides of a conflict ask this of the other's last word, so each exchange skips a whole term
    /// of one of them (paper §5.3, end).
    pub(super) fn last_that_could_match(&self, other: Position) -> Position {
        let upto = self.entries.len().min(usize::try_from(other.index).unwrap_or(usize::MAX));
        let head = self.entries.get(..upto).unwrap_or_default();
        self.position(head.partition_point(|entry| entry.term <= other.term) as Index)
    }

    /// The entries of `from ..= to`, as far as they exist.
    pub(super) fn range(&self, from: Index, to: Index) -> &[Entry] {
        let start = usize::try_from(from.saturating_sub(1)).unwrap_or(usize::MAX);
        let end = self.entries.len().min(usize::try_from(to).unwrap_or(usize::MAX));
        self.entries.get(start..end).unwrap_or_default()
    }

    /// The entries from an index on that fit into one message.
    pub(super) fn batch(&self, from: Index) -> Vec<Entry> {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += size(entry);
            bytes <= BATCH_BYTES || bytes == size(entry)
        };
        self.range(from, Index::MAX).iter().take(BATCH_ENTRIES).take_while(fits).cloned().collect()
    }

    /// Adds an entry at the end.
    pub(super) fn push(&mut self, term: Term, payload: Payload) -> Entry {
        let entry = Entry { term, index: self.last().index + 1, payload };
        self.entries.push(entry.clone());
        entry
    }

    /// Makes the log contain these entries, whose predecessor it has, and returns those that were new.
    ///
    /// Only a real conflict cuts the log (paper §5.3): a late message about entries that are all here
    /// must not take away what came after them.
    pub(super) fn merge(&mut self, mut entries: Vec<Entry>) -> Vec<Entry> {
        let known = |entry: &Entry| self.term(entry.index) == Some(entry.term);
        let fresh = entries.iter().position(|entry| !known(entry)).unwrap_or(entries.len());
        let new = entries.split_off(fresh);
        if let Some(first) = new.first() {
            let keep = first.index.saturating_sub(1);
            self.entries.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
            self.entries.extend_from_slice(&new);
        }
        new
    }
}

fn size(entry: &Entry) -> usize {
    match &entry.payload {
        Payload::Noop => 0,
        Payload::Command(command) => command.len(),
    }
}
