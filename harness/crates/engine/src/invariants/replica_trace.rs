//! Replays the trace of one replica: what its log held at each moment, and what of it was durable.

use super::trace_line::{EntryId, Event};

/// The log of a replica as its trace tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct ReplayedLog {
    /// The log begins after this index; everything before was committed.
    base: u64,
    entries: Vec<EntryId>,
    /// Writes that are not durable yet.
    pending: Vec<PendingWrite>,
    /// The last index that was durable and that no later write replaces.
    durable_end: u64,
    /// The term in which it leads, if it does.
    pub(super) leads: Option<u64>,
}

/// A write that may be lost in a crash.
#[derive(Clone, Copy, Debug)]
struct PendingWrite {
    sequence: u64,
    /// The first index that it replaced.
    from: u64,
    /// The last index after it.
    to: u64,
}

impl ReplayedLog {
    /// The index of the last entry.
    pub(super) fn last_index(&self) -> u64 {
        self.base + self.entries.len() as u64
    }

    /// The index after which the log begins.
    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// The entry at an index after [`Self::base`].
    pub(super) fn entry_at(&self, index: u64) -> Option<EntryId> {
        let offset = index.checked_sub(self.base)?.checked_sub(1)?;
        self.entries.get(usize::try_from(offset).ok()?).copied()
    }

    /// Takes an event in the order of the file. Returns the last durable index that recovery did
    /// not find, and what it found instead.
    pub(super) fn apply_event(&mut self, event: &Event) -> Option<LostEnd> {
        match event {
            Event::Start { to, of } => return self.restart(*to, *of),
            Event::Append { from, entries, sequence } => self.append(*from, entries, *sequence),
            Event::Rewrite { base, entries, sequence } => {
                (self.base, self.entries) = (*base, entries.clone());
                let write = PendingWrite { sequence: *sequence, from: *base + 1, to: 0 };
                self.pending.push(PendingWrite { to: self.last_index(), ..write });
            }
            Event::Durable { sequence } => self.make_durable(*sequence),
            _ => {}
        }
        None
    }

    fn append(&mut self, from: u64, entries: &[EntryId], sequence: u64) {
        let before = from.saturating_sub(1);
        if before < self.base || before > self.last_index() {
            // The trace does not tell what stands before: the log is known from here on.
            (self.base, self.entries) = (before, Vec::new());
        } else {
            self.entries.truncate(usize::try_from(before - self.base).unwrap_or(usize::MAX));
        }
        self.entries.extend_from_slice(entries);
        let to = self.last_index();
        self.pending.push(PendingWrite { sequence, from, to });
    }

    fn make_durable(&mut self, sequence: u64) {
        for write in self.pending.iter().filter(|write| write.sequence <= sequence) {
            self.durable_end = write.to;
        }
        self.pending.retain(|write| write.sequence > sequence);
    }

    /// Compares what recovery found with what was durable.
    fn restart(&mut self, to: u64, of: u64) -> Option<LostEnd> {
        // A write that was under way may have removed what it was to replace.
        let sure = self.pending.iter().map(|write| write.from.saturating_sub(1)).min();
        let promised = sure.map_or(self.durable_end, |sure| sure.min(self.durable_end));
        let lost = (to < promised).then_some(LostEnd { durable: promised, found: to });
        if self.entry_at(to).is_some_and(|entry| entry.term == of) {
            self.entries.truncate(usize::try_from(to - self.base).unwrap_or(usize::MAX));
        } else {
            (self.base, self.entries) = (to, Vec::new());
        }
        self.pending.clear();
        self.durable_end = to;
        self.leads = None;
        lost
    }
}

/// A log that was shorter after a restart than what had been durable before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LostEnd {
    /// The last index that had been durable.
    pub(super) durable: u64,
    /// The last index that recovery found.
    pub(super) found: u64,
}
