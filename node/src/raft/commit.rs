//! Decides what is committed: an entry of the leader's own term that is durable on a majority, and
//! with it everything before (paper §5.4.2).
//!
//! The commit index only grows, and each entry is handed over once. A step hands over a slice: a
//! server that starts with a long log goes on hearing its clock and its peers meanwhile.

use super::role::RoleState;
use super::{Bug, Effect, Index, Raft, Token};
use alloc::vec::Vec;

/// The most entries that one step hands over.
pub(super) const MAX_DELIVERED_PER_STEP: Index = 1024;

impl Raft {
    /// As leader: counts how far a majority has come.
    pub(super) fn advance_commit(&mut self) {
        let RoleState::Leader(leading) = &self.state else { return };
        let own = self.writes.durable_index();
        let me = self.config.id;
        let index = self.log.membership().quorum_index(|id| match leading.peers.get(&id) {
            Some(progress) => progress.matched(),
            None if id == me => own,
            None => 0,
        });
        if self.log.term(index) == Some(self.term()) || self.config.has(Bug::CommitOldTerm) {
            self.commit_to(index);
            self.start_read_round();
            self.continue_change();
        }
    }

    /// Notes that everything up to `index` is committed.
    pub(super) fn commit_to(&mut self, index: Index) {
        let last = index.min(self.log.last().index);
        if last > self.commit_index {
            if let RoleState::Leader(leading) = &mut self.state {
                let weight = self.log.byte_size(self.commit_index.saturating_add(1), last);
                leading.uncommitted_bytes = leading.uncommitted_bytes.saturating_sub(weight);
            }
            self.commit_index = last;
            self.deliver_committed();
        }
    }

    /// Hands over what is committed and was not yet, as much as one step may, and answers the
    /// proposals among it.
    pub(super) fn deliver_committed(&mut self) {
        let upto = self.commit_index.min(self.delivered.saturating_add(self.delivery_budget));
        let entries = self.log.range(self.delivered.saturating_add(1), upto).to_vec();
        if let Some(last) = entries.last() {
            self.delivery_budget = self.delivery_budget.saturating_sub(last.index - self.delivered);
            self.snapshots.add_bytes(self.log.byte_size(self.delivered + 1, last.index));
            self.delivered = last.index;
            self.effects.push(Effect::Commit { entries });
            self.acknowledge_proposals();
        }
    }

    /// Whether committed entries wait for the next input to be handed over.
    pub fn has_undelivered(&self) -> bool {
        self.delivered < self.commit_index
    }

    fn acknowledge_proposals(&mut self) {
        let RoleState::Leader(leading) = &mut self.state else { return };
        let later = leading.proposals.split_off(&self.delivered.saturating_add(1));
        let done = core::mem::replace(&mut leading.proposals, later);
        let answers = done.into_iter().map(|(index, token)| acknowledged(token, index));
        self.effects.extend(answers.collect::<Vec<_>>());
    }

    /// Whether everything is committed here that any earlier leader committed: an entry of the
    /// leader's own term is (thesis §6.4, step 1).
    pub(super) fn has_committed_in_term(&self) -> bool {
        self.log.term(self.commit_index) == Some(self.term()) || self.config.has(Bug::CommitOldTerm)
    }
}

fn acknowledged(token: Token, index: Index) -> Effect {
    Effect::Acknowledge { token, index }
}
