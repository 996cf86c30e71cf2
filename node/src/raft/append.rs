//! Takes entries from the leader: a follower's log follows its leader's, and it answers for exactly
//! what the message spoke of, once that is durable (paper §5.3).

use super::role::RoleState;
use super::{Content, Effect, Entry, Index, Position, Raft, ServerId};
use alloc::vec::Vec;

/// The parts of [`Content::AppendEntries`].
pub(super) struct AppendRequest {
    pub(super) previous: Position,
    pub(super) entries: Vec<Entry>,
    pub(super) commit: Index,
    pub(super) round: u64,
}

impl AppendRequest {
    /// The last entry that this speaks of; `None` if its entries do not follow one another.
    fn last_index(&self) -> Option<Index> {
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
    pub(super) fn on_append(&mut self, from: ServerId, append: AppendRequest) {
        if matches!(self.state, RoleState::Leader(_)) {
            return; // Two leaders in one term: only a seeded bug gets here, and it keeps its log.
        }
        self.become_follower(Some(from));
        self.reset_election_timer();
        self.withhold_votes();
        if self.log.matches(append.previous) {
            self.accept_append(from, append);
        } else {
            let AppendRequest { previous, round, .. } = append;
            let hint = self.log.find_conflict_by_term(previous);
            self.send(from, Content::AppendRejected { rejected: previous.index, hint, round }, 0);
        }
    }

    fn accept_append(&mut self, from: ServerId, append: AppendRequest) {
        let Some(last) = append.last_index() else { return };
        let mut entries = append.entries;
        let new = entries.split_off(self.log.count_known(&entries));
        if self.would_overwrite_committed(&new) {
            return self.report_overwrite(&new);
        }
        if !new.is_empty() {
            self.log.truncate_and_append(&new);
            self.persist(None, new);
        }
        self.leader_match = self.leader_match.max(last);
        // Not the end of this log: what follows may not be the leader's (paper, figure 2).
        self.commit_to(append.commit.min(self.leader_match));
        let after = self.writes.entry_barrier(last);
        self.send(from, Content::AppendAccepted { index: last, round: append.round }, after);
    }

    /// Whether these entries would replace one that is committed: no leader can have them unless
    /// some server lost what it had promised to keep. Under a seeded bug that is the harm to show.
    fn would_overwrite_committed(&self, new: &[Entry]) -> bool {
        let committed = new.first().is_some_and(|first| first.index <= self.commit_index);
        committed && self.config.unsafe_bugs.is_empty()
    }

    /// Says what is wrong and answers nothing: whoever gave up the entry must not be helped.
    fn report_overwrite(&mut self, new: &[Entry]) {
        let Some(new) = new.first().map(|entry| Position { term: entry.term, index: entry.index })
        else {
            return;
        };
        let committed = self.log.position(new.index);
        self.effects.push(Effect::Fatal { committed, new });
    }
}
