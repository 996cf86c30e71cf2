//! Takes entries from the leader: a follower's log follows its leader's, and it answers for exactly
//! what the message spoke of, once that is durable (paper §5.3).

use super::role::State;
use super::{Content, Effect, Entry, Index, Position, Raft, ServerId};
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
        self.promise();
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
        let mut entries = append.entries;
        let new = entries.split_off(self.log.known(&entries));
        if self.would_overwrite_committed(&new) {
            return self.break_off(&new);
        }
        if !new.is_empty() {
            self.log.replace(&new);
            self.persist(None, new);
        }
        self.verified = self.verified.max(last);
        // Not the end of this log: what follows may not be the leader's (paper, figure 2).
        self.commit_to(append.commit.min(self.verified));
        let after = self.disk.after_entry(last);
        self.send(from, Content::Matched { index: last, round: append.round }, after);
    }

    /// Whether these entries would replace one that is committed: no leader can have them unless
    /// some server lost what it had promised to keep. Under a seeded bug that is the harm to show.
    fn would_overwrite_committed(&self, new: &[Entry]) -> bool {
        let committed = new.first().is_some_and(|first| first.index <= self.commit_index);
        committed && self.config.unsafe_bugs.is_empty()
    }

    /// Says what is wrong and answers nothing: whoever gave up the entry must not be helped.
    fn break_off(&mut self, new: &[Entry]) {
        let Some(new) = new.first().map(|entry| Position { term: entry.term, index: entry.index })
        else {
            return;
        };
        let committed = self.log.position(new.index);
        self.effects.push(Effect::Fatal { committed, new });
    }
}
