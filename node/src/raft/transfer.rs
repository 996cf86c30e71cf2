//! Hands leadership to another voter: brings it up to date, lets it stand for election at once, and
//! takes the wish back if nothing comes of it within an election timeout (thesis §3.10).
//!
//! While it lasts the leader takes no commands, so that there is an end to bringing up to date.

use super::progress::Progress;
use super::role::RoleState;
use super::{Content, Raft, ServerId};

/// A transfer that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    to: ServerId,
    /// Ticks since it was wished for.
    ticks: u32,
    /// Whether the other has been told.
    sent: bool,
}

impl Raft {
    /// Whether this leader could hand over to a server: another voter, and nothing else is under
    /// way.
    pub fn can_transfer_to(&self, to: ServerId) -> bool {
        let free = matches!(&self.state, RoleState::Leader(leading) if leading.transfer.is_none());
        let membership = self.log.membership();
        free && to != self.config.id && membership.voters.contains(&to) && !membership.is_joint()
    }

    /// Whether a server could take over from this leader at once: it could be handed to, was heard lately,
    /// and lacks nothing that is committed.
    pub fn is_ready_to_lead(&self, to: ServerId) -> bool {
        let RoleState::Leader(leading) = &self.state else { return false };
        let lately = 3 * self.config.heartbeat_ticks;
        let ready =
            |peer: &Progress| peer.replied_within(lately) && peer.matched() >= self.commit_index;
        self.can_transfer_to(to) && leading.peers.get(&to).is_some_and(ready)
    }

    /// A wish that another server should lead.
    pub(super) fn transfer_leadership(&mut self, to: ServerId) {
        if !self.can_transfer_to(to) {
            return;
        }
        if let RoleState::Leader(leading) = &mut self.state {
            leading.transfer = Some(Transfer { to, ticks: 0, sent: false });
        }
        self.send_append(to);
        self.continue_transfer();
    }

    /// Tells the other to stand, once it has everything.
    pub(super) fn continue_transfer(&mut self) {
        let last = self.log.last().index;
        let RoleState::Leader(leading) = &mut self.state else { return };
        let Some(transfer) = &mut leading.transfer else { return };
        let matched = leading.peers.get(&transfer.to).map_or(0, Progress::matched);
        if matched == last && !transfer.sent {
            transfer.sent = true;
            leading.lease.revoke();
            let to = transfer.to;
            self.send(to, Content::TimeoutNow, 0);
        }
    }

    /// Takes the wish back when it has not come true for an election timeout.
    pub(super) fn expire_transfer(&mut self) {
        let limit = self.config.election_ticks;
        let RoleState::Leader(leading) = &mut self.state else { return };
        if let Some(transfer) = &mut leading.transfer {
            transfer.ticks += 1;
            if transfer.ticks >= limit {
                leading.transfer = None;
            }
        }
    }

    /// Hears the leader say that this server should lead.
    pub(super) fn on_timeout_now(&mut self, from: ServerId) {
        let follows = matches!(self.state, RoleState::Follower) && self.leader == Some(from);
        if follows && self.log.membership().is_voter(self.config.id) {
            self.start_election(true);
        }
    }
}
