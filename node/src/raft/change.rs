//! Takes a cluster from one configuration to the next, as leader: newcomers first learn, then two
//! sets of voters decide together, then the new one alone (thesis §4.2.1, §4.3).
//!
//! Every step is an entry of the log and follows from what the log says, so that whoever leads next
//! goes on where this leader stopped. A new step begins only when the one before is committed, and
//! the first of a leader only when it has committed something in its term.

use super::membership::{Membership, MembershipChange};
use super::progress::Progress;
use super::role::{LeaderState, RoleState};
use super::{Bug, ChangeError, Content, Effect, Payload, Raft, ServerId, Token};

/// How many entries a newcomer may lack when it becomes a voter: about one message's.
const MAX_PROMOTION_LAG: u64 = 64;

impl Raft {
    /// A wish to change who takes part.
    pub(super) fn change_membership(&mut self, token: Token, change: &MembershipChange) {
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

    /// The configuration itself, or with a seeded bug the one after it.
    fn skip_joint_if_seeded(&self, next: Membership) -> Membership {
        if self.config.has(Bug::SwapVoters) { next.leave_joint() } else { next }
    }

    /// Whether the configuration is committed and not joint, and this leader knows what is.
    fn can_change_membership(&self) -> bool {
        let transfers =
            matches!(&self.state, RoleState::Leader(leading) if leading.transfer.is_some());
        !transfers
            && self.has_committed_in_term()
            && self.log.membership_index() <= self.commit_index
            && !self.log.membership().is_joint()
    }

    /// Appends a configuration, which is in force at once.
    fn append_membership(&mut self, membership: Membership) -> u64 {
        let index = self.append_entry(Payload::Membership(membership));
        self.track_members();
        index
    }

    /// Begins to follow whoever is new.
    pub(super) fn track_members(&mut self) {
        let (me, last) = (self.config.id, self.log.last().index);
        let RoleState::Leader(leading) = &mut self.state else { return };
        for id in self.log.membership().members() {
            if id != me {
                leading.peers.entry(id).or_insert_with(|| Progress::new(last));
            }
        }
    }

    /// Sends what was appended, and counts.
    fn broadcast_append(&mut self) {
        for peer in self.peer_ids() {
            self.send_append(peer);
        }
        self.advance_commit();
    }

    /// Once a configuration is committed: ends a joint one; takes leave of who is gone.
    pub(super) fn continue_change(&mut self) {
        let committed = self.log.membership_index() <= self.commit_index;
        if !matches!(self.state, RoleState::Leader(_))
            || !committed
            || !self.has_committed_in_term()
        {
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

    /// Tells those who are gone that they are, as far as they have heard the rest; goes itself, and
    /// lets another stand at once.
    fn remove_departed(&mut self) {
        let RoleState::Leader(LeaderState { peers, .. }) = &self.state else { return };
        let membership = self.log.membership();
        let gone: alloc::vec::Vec<ServerId> =
            peers.keys().copied().filter(|id| !membership.contains(*id)).collect();
        let stays = membership.is_voter(self.config.id);
        for id in gone {
            self.send_heartbeat(id);
            if let RoleState::Leader(leading) = &mut self.state {
                leading.peers.remove(&id);
            }
        }
        if !stays {
            self.peer_ids().into_iter().for_each(|peer| self.send_heartbeat(peer));
            if let Some(successor) = self.pick_successor() {
                self.send(successor, Content::TimeoutNow, 0);
            }
            self.become_follower(None);
        }
    }

    /// A voter that has everything, and so can lead at once.
    fn pick_successor(&self) -> Option<ServerId> {
        let RoleState::Leader(leading) = &self.state else { return None };
        let last = self.log.last().index;
        let complete = |id: &&ServerId| {
            leading.peers.get(*id).is_some_and(|progress| progress.matched() == last)
        };
        self.log.membership().voters.iter().find(complete).copied()
    }

    /// Makes voters of those who join, if all of them have caught up.
    pub(super) fn promote_joining(&mut self) {
        let membership = self.log.membership();
        if membership.joining.is_empty() || !self.can_change_membership() {
            return;
        }
        let RoleState::Leader(leading) = &self.state else { return };
        let last = self.log.last().index;
        let caught_up = |id: &ServerId| {
            let matched = leading.peers.get(id).map_or(0, Progress::matched);
            matched > 0 && matched.saturating_add(MAX_PROMOTION_LAG) >= last
        };
        if membership.joining.iter().all(caught_up) {
            let next = self.skip_joint_if_seeded(membership.enter_joint());
            self.append_membership(next);
            self.broadcast_append();
        }
    }
}
