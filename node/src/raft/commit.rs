//! Decides what is committed: an entry of the leader's own term that is durable on a majority, and
//! with it everything before (paper §5.4.2).
//!
//! The commit index only grows, and each entry is handed over once. A step hands over a slice: a
//! server that starts with a long log goes on hearing its clock and its peers meanwhile.

use super::role::State;
use super::{Bug, Effect, Index, Raft, Token};
use alloc::vec::Vec;

/// The most entries that one step hands over.
pub(super) const SLICE: Index = 1024;

impl Raft {
    /// As leader: counts how far a majority has come.
    pub(super) fn advance_commit(&mut self) {
        let State::Leader(leading) = &self.state else { return };
        let own = self.disk.durable_index();
        let me = self.config.id;
        let index = self.log.membership().reached(|id| match leading.peers.get(&id) {
            Some(progress) => progress.matched(),
            None if id == me => own,
            None => 0,
        });
        if self.log.term(index) == Some(self.term()) || self.config.has(Bug::CommitOldTerm) {
            self.commit_to(index);
            self.start_round();
            self.follow_up_change();
        }
    }

    /// Notes that everything up to `index` is committed.
    pub(super) fn commit_to(&mut self, index: Index) {
        let last = index.min(self.log.last().index);
        if last > self.commit_index {
            if let State::Leader(leading) = &mut self.state {
                let weight = self.log.weight(self.commit_index.saturating_add(1), last);
                leading.uncommitted = leading.uncommitted.saturating_sub(weight);
            }
            self.commit_index = last;
            self.hand_over();
        }
    }

    /// Hands over what is committed and was not yet, as much as one step may, and answers the
    /// proposals among it.
    pub(super) fn hand_over(&mut self) {
        let upto = self.commit_index.min(self.handed_over.saturating_add(self.allowance));
        let entries = self.log.range(self.handed_over.saturating_add(1), upto).to_vec();
        if let Some(last) = entries.last() {
            self.allowance = self.allowance.saturating_sub(last.index - self.handed_over);
            self.compaction.count(self.log.weight(self.handed_over + 1, last.index));
            self.handed_over = last.index;
            self.effects.push(Effect::Commit { entries });
            self.acknowledge();
        }
    }

    /// Whether committed entries wait for the next input to be handed over.
    pub fn has_more(&self) -> bool {
        self.handed_over < self.commit_index
    }

    fn acknowledge(&mut self) {
        let State::Leader(leading) = &mut self.state else { return };
        let later = leading.proposals.split_off(&self.handed_over.saturating_add(1));
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
