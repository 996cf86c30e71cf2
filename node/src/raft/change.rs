//! Changes the membership, as leader: newcomers first catch up as learners, then a joint
//! configuration decides, then the new one alone (thesis §4.2.1, §4.3).
//!
//! Every step is a log entry and follows from the log alone, so a new leader continues a change
//! that its predecessor began. A step begins only when the previous one is committed.

use super::effect::Effect;
use super::entry::Payload;
use super::membership::{ChangeError, Membership, MembershipChange};
use super::message::Content;
use super::progress::Progress;
use super::role::{LeaderState, RoleState};
use super::server::Raft;
use super::types::{Index, ServerId, Token};
use crate::bug::Bug;
use alloc::vec::Vec;

/// How many entries a newcomer may lack when it becomes a voter: about one message of them.
const MAX_PROMOTION_LAG: Index = 64;

impl Raft {
    /// Handles a client's request to change the membership.
    pub(super) fn change_membership(&mut self, token: Token, change: &MembershipChange) {
        // Only a leader may append (paper §5.3).
        if !matches!(self.state, RoleState::Leader(_)) {
            return self.effects.push(Effect::Refused { token, leader: self.leader });
        }
        let next = match self.can_change_membership() {
            true => self.log.membership().begin_change(change),
            false => Err(ChangeError::Busy),
        };
        let next = next.map(|next| self.skip_joint_if_seeded(next));
        match next {
            Ok(next) => {
                let joint = next.is_joint();
                let index = self.append_membership(next);
                if let RoleState::Leader(leading) = &mut self.state {
                    // A change through a joint configuration is done when the entry that leaves it
                    // is committed; until then the outcome is not decided.
                    if joint {
                        leading.pending_change = Some(token);
                    } else {
                        leading.proposals.insert(index, token);
                    }
                }
                self.broadcast_append();
            }
            Err(error) => self.effects.push(Effect::ChangeRejected { token, error }),
        }
    }

    /// Seeded bug: skips the joint configuration. Majorities of the old and the new voters may
    /// then be disjoint, and each can elect a leader (paper §6).
    fn skip_joint_if_seeded(&self, next: Membership) -> Membership {
        if self.config.has_bug(Bug::SwapVoters) { next.leave_joint() } else { next }
    }

    /// Whether a step of a membership change may begin.
    fn can_change_membership(&self) -> bool {
        // A transfer target must hold the whole log, so the log must not grow (thesis §3.10).
        !self.is_transferring()
            // A new leader cannot tell yet whether the last configuration of an older term is
            // committed. With single-server changes two leaders could then get disjoint
            // majorities (Ongaro, raft-dev, July 2015); here it keeps changes sequential.
            && self.has_committed_in_term()
            // One change at a time: majorities overlap only between consecutive configurations
            // (thesis §4.1).
            && self.log.membership_index() <= self.commit_index
            // The joint configuration is left first: two sets of voters can be joined, not three.
            && !self.log.membership().is_joint()
    }

    /// Appends a configuration, which is in force from this moment. Waiting for its commit would
    /// let two leaders count by different configurations (thesis §4.1).
    fn append_membership(&mut self, membership: Membership) -> Index {
        let index = self.append_entry(Payload::Membership(membership));
        self.track_members();
        index
    }

    /// Starts to track the progress of new members. What is known of the others stays: a peer's
    /// `matched` must not fall while the peer keeps its log.
    pub(super) fn track_members(&mut self) {
        let (me, last) = (self.config.id, self.log.last_position().index);
        let RoleState::Leader(leading) = &mut self.state else { return };
        for id in self.log.membership().members() {
            if id != me {
                leading.peers.entry(id).or_insert_with(|| Progress::new(last));
            }
        }
    }

    /// Sends what was appended to every peer. A single voter commits it at once.
    fn broadcast_append(&mut self) {
        for peer in self.peer_ids() {
            self.send_append(peer);
        }
        self.advance_commit();
    }

    /// Continues a change once its configuration is committed: leaves a joint configuration, or
    /// lets go of removed members.
    pub(super) fn continue_change(&mut self) {
        // C_new is appended only after C_old,new is committed (paper §6). Before that, C_old alone
        // could still elect a leader, and C_new would decide without it.
        let leaves_early =
            self.log.membership().is_joint() && self.config.has_bug(Bug::LeaveJointEarly);
        let committed = self.log.membership_index() <= self.commit_index || leaves_early;
        if !matches!(self.state, RoleState::Leader(_))
            || !committed
            || !self.has_committed_in_term()
        {
            return;
        }
        // Any leader leaves the joint configuration, not only the one that entered it: after a
        // failover the cluster would otherwise stay joint (etcd issue 12136).
        let joint_term = self.log.term_at(self.log.membership_index());
        let inherited = joint_term != Some(self.term());
        if inherited && self.log.membership().is_joint() && self.config.has_bug(Bug::JointForever) {
            return;
        }
        if self.log.membership().is_joint() {
            let index = self.append_membership(self.log.membership().leave_joint());
            if let RoleState::Leader(leading) = &mut self.state
                && let Some(token) = leading.pending_change.take()
            {
                leading.proposals.insert(index, token);
            }
            self.broadcast_append();
        } else {
            self.remove_departed();
        }
    }

    /// Stops replication to removed members; a removed leader steps down.
    fn remove_departed(&mut self) {
        let RoleState::Leader(LeaderState { peers, .. }) = &self.state else { return };
        let membership = self.log.membership();
        let gone: Vec<ServerId> =
            peers.keys().copied().filter(|id| !membership.contains(*id)).collect();
        let stays = membership.is_voter(self.config.id);
        for id in gone {
            // The last heartbeat carries the commit index. A removed server that never learns of
            // its removal would campaign forever (thesis §4.2.3).
            self.send_heartbeat(id);
            if let RoleState::Leader(leading) = &mut self.state {
                leading.peers.remove(&id);
            }
        }
        // A removed leader steps down only now that its removal is committed: until then it may be
        // the only server that can commit it (thesis §4.2.2).
        if !stays {
            self.peer_ids().into_iter().for_each(|peer| self.send_heartbeat(peer));
            // Saves the remaining members an election timeout without a leader.
            if let Some(successor) = self.pick_successor() {
                self.send_message(successor, Content::TimeoutNow, 0);
            }
            self.become_follower(None);
        }
    }

    /// Picks a voter whose log is complete. Any other could lose the election to it (paper §5.4.1).
    fn pick_successor(&self) -> Option<ServerId> {
        let RoleState::Leader(leading) = &self.state else { return None };
        let last = self.log.last_position().index;
        let complete = |id: &&ServerId| {
            leading.peers.get(*id).is_some_and(|progress| progress.match_index() == last)
        };
        self.log.membership().voters.iter().find(complete).copied()
    }

    /// Makes voters of the joining members once all of them have caught up.
    pub(super) fn promote_joining(&mut self) {
        let membership = self.log.membership();
        if membership.joining.is_empty() || !self.can_change_membership() {
            return;
        }
        let RoleState::Leader(leading) = &self.state else { return };
        let last = self.log.last_position().index;
        // A voter with an empty log counts in the majority and cannot acknowledge new entries, so
        // the cluster would stop committing until it has caught up (thesis §4.2.1).
        let caught_up = |id: &ServerId| {
            let matched = leading.peers.get(id).map_or(0, Progress::match_index);
            matched > 0 && matched.saturating_add(MAX_PROMOTION_LAG) >= last
        };
        if membership.joining.iter().all(caught_up) || self.config.has_bug(Bug::PromoteAtOnce) {
            let next = self.skip_joint_if_seeded(membership.enter_joint());
            self.append_membership(next);
            self.broadcast_append();
        }
    }
}
