//! Advances the commit index and delivers committed entries. An entry of the leader's own term is
//! committed once it is durable on a majority, and with it every entry before it (paper §5.4.2).
//!
//! One step delivers a bounded slice: a server that starts with a long log still handles its clock
//! and its peers in time.

use super::effect::Effect;
use super::progress::Progress;
use super::quorum;
use super::role::RoleState;
use super::server::Raft;
use super::types::{Index, Token};
use crate::bug::{Bug, Variation};
use alloc::vec::Vec;

/// The most entries that one step delivers.
const MAX_DELIVERED_PER_STEP: Index = 1024;

impl Raft {
    /// Advances a leader's commit index to what a majority holds durably.
    pub(super) fn advance_commit(&mut self) {
        let RoleState::Leader(leading) = &self.state else { return };
        // The leader counts itself like a follower: only as far as its own disk is durable
        // (thesis §10.2.1). Otherwise its crash takes back an entry that a minority holds.
        let unsynced = self.config.has_bug(Bug::CountUnsynced);
        let last = self.log.last_position().index;
        let own = if unsynced { last } else { self.writes.durable_index() };
        let me = self.config.id;
        // A majority of each set in a joint configuration (thesis §4.3). A leader that is not a
        // voter is not asked, so it does not count itself (thesis §4.2.2).
        let bugs = self.config.bugs;
        let mut index =
            self.log.membership().quorum_index(bugs, |id| match leading.peers.get(&id) {
                Some(progress) => progress.match_index(),
                None if id == me => own,
                None => 0,
            });
        if self.config.has_bug(Bug::CountLearnerAcks) {
            let acknowledged = leading.peers.values().map(Progress::match_index).chain([own]);
            let majority = quorum::majority_size(self.log.membership().voters.len(), bugs);
            index = quorum::nth_greatest(acknowledged.collect(), majority);
        }
        // Seeded bug: the search for what can be committed ends at the first older entry.
        let next = self.commit_index.saturating_add(1);
        let is_old = self.log.term_at(next).is_some_and(|term| term < self.term());
        if is_old && self.config.has_bug(Bug::StopAtOldTerm) {
            return;
        }
        // Counting replicas commits only entries of the leader's own term. An older entry on a
        // majority can still be overwritten by a later leader (paper, figure 8; removed by
        // --unsafe commit-old-term).
        if self.log.term_at(index) == Some(self.term()) || self.config.has_bug(Bug::CommitOldTerm) {
            self.commit_to(index);
            self.start_read_round();
            self.continue_change();
        }
    }

    /// Raises the commit index.
    pub(super) fn commit_to(&mut self, index: Index) {
        // A follower's leader may be further than this log reaches.
        let last = index.min(self.log.last_position().index);
        // The commit index never falls, as delivered entries cannot be taken back: a delayed
        // heartbeat carries an older one.
        if last > self.commit_index {
            if let RoleState::Leader(leading) = &mut self.state {
                let bytes = self.log.byte_size(self.commit_index.saturating_add(1), last);
                leading.uncommitted_bytes = leading.uncommitted_bytes.saturating_sub(bytes);
            }
            self.commit_index = last;
            self.deliver_committed();
        }
    }

    /// Allows the current step to deliver a full slice.
    pub(super) fn reset_delivery_budget(&mut self) {
        let singly = self.config.varies(Variation::DeliverSingly);
        self.delivery_budget = if singly { 1 } else { MAX_DELIVERED_PER_STEP };
    }

    /// Delivers committed entries within the step's budget, and acknowledges their proposals.
    pub(super) fn deliver_committed(&mut self) {
        let upto = self.commit_index.min(self.delivered.saturating_add(self.delivery_budget));
        let entries = self.log.entries_between(self.delivered.saturating_add(1), upto).to_vec();
        if let Some(last) = entries.last() {
            self.delivery_budget = self.delivery_budget.saturating_sub(last.index - self.delivered);
            self.snapshots.add_bytes(self.log.byte_size(self.delivered + 1, last.index));
            self.delivered = last.index;
            self.effects.push(Effect::Commit { entries });
            self.acknowledge_proposals();
        }
    }

    /// Whether committed entries wait for the next input to be delivered.
    pub fn has_undelivered(&self) -> bool {
        self.delivered < self.commit_index
    }

    /// Acknowledges the proposals up to the last delivered entry: the reply needs the result of
    /// applying it, so it follows in the same step.
    fn acknowledge_proposals(&mut self) {
        let RoleState::Leader(leading) = &mut self.state else { return };
        let later = leading.proposals.split_off(&self.delivered.saturating_add(1));
        let done = core::mem::replace(&mut leading.proposals, later);
        let acknowledged = |(index, token): (Index, Token)| Effect::Acknowledge { token, index };
        self.effects.extend(done.into_iter().map(acknowledged).collect::<Vec<_>>());
    }

    /// Whether an entry of the leader's own term is committed. Only then does its commit index
    /// cover everything that earlier leaders committed (thesis §6.4, step 1).
    pub(super) fn has_committed_in_term(&self) -> bool {
        self.log.term_at(self.commit_index) == Some(self.term())
            || self.config.has_bug(Bug::CommitOldTerm)
    }
}
