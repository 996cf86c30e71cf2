//! Takes entries from the leader: a follower's log follows its leader's, and it answers for exactly
//! what the message spoke of, once that is durable (paper §5.3).

use super::role::State;
use super::{Content, Entry, Index, Position, Raft, ServerId};
use alloc::vec::Vec;

/// The parts of [`Content::Append`].
pub(super) struct Append {
    pub(super) previous: Position,
    pub(super) entries: Vec<Entry>,
    pub(super) commit: Index,
    pub(super) round: u64,
}

impl Append {
    /// The last entry that this speaks of; `None` if its entries do not follow one another.
    fn last(&self) -> Option<Index> {
        let mut last = self.previous.index;
        for entry in &self.entries {
            last = last.checked_add(1)?;
            if entry.index != last {
                return None;
            }
        }
        Some(last)
    }
}

impl Raft {
    /// Hears the leader of the current term.
    pub(super) fn on_append(&mut self, from: ServerId, append: Append) {
        if matches!(self.state, State::Leader(_)) {
            return; // Two leaders in one term: only a seeded bug gets here, and it keeps its log.
        }
        self.follow(Some(from));
        self.restart_election_timer();
        if self.log.has(append.previous) {
            self.take(from, append);
        } else {
            let Append { previous, round, .. } = append;
            let hint = self.log.last_that_could_match(previous);
            self.send(from, Content::Conflict { rejected: previous.index, hint, round }, 0);
        }
    }

    fn take(&mut self, from: ServerId, append: Append) {
        let Some(last) = append.last() else { return };
        let new = self.log.merge(append.entries);
        if !new.is_empty() {
            self.persist(None, new);
        }
        self.verified = self.verified.max(last);
        // Not the end of this log: what follows may not be the leader's (paper, figure 2).
        self.commit_to(append.commit.min(self.verified));
        let after = self.disk.after_entry(last);
        self.send(from, Content::Matched { index: last, round: append.round }, after);
    }
}
