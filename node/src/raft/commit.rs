//! Decides what is committed: an entry of the leader's own term that is durable on a majority, and
//! with it everything before (paper §5.4.2).
//!
//! The commit index only grows, and each entry is handed over once.

use super::role::State;
use super::{Bug, Effect, Index, Raft, Token, quorum};
use alloc::vec::Vec;

impl Raft {
    /// As leader: counts how far a majority has come.
    pub(super) fn advance_commit(&mut self) {
        let State::Leader(leading) = &self.state else { return };
        let own = self.disk.durable_index();
        let matched = leading.peers.values().map(super::progress::Progress::matched).chain([own]);
        let index = quorum::reached(matched.collect());
        if self.log.term(index) == Some(self.term()) || self.config.has(Bug::CommitOldTerm) {
            self.commit_to(index);
            self.acknowledge();
            self.start_round();
        }
    }

    /// Hands over everything up to `index` that was not handed over yet.
    pub(super) fn commit_to(&mut self, index: Index) {
        let entries = self.log.range(self.commit_index.saturating_add(1), index).to_vec();
        if let Some(last) = entries.last() {
            self.commit_index = last.index;
            self.effects.push(Effect::Commit { entries });
        }
    }

    /// Answers the proposals whose entries are committed.
    fn acknowledge(&mut self) {
        let committed = self.commit_index;
        let State::Leader(leading) = &mut self.state else { return };
        let later = leading.proposals.split_off(&committed.saturating_add(1));
        let done = core::mem::replace(&mut leading.proposals, later);
        let answers = done.into_iter().map(|(index, token)| acknowledged(token, index));
        self.effects.extend(answers.collect::<Vec<_>>());
    }

    /// Whether everything is committed here that any earlier leader committed: an entry of the
    /// leader's own term is (thesis §6.4, step 1).
    pub(super) fn knows_all_commits(&self) -> bool {
        self.log.term(self.commit_index) == Some(self.term()) || self.config.has(Bug::CommitOldTerm)
    }
}

fn acknowledged(token: Token, index: Index) -> Effect {
    Effect::Acknowledge { token, index }
}
