//! Transfers leadership to another voter: brings its log up to date, then lets it campaign at once
//! (thesis §3.10). A transfer that does not finish within an election timeout is abandoned.

use super::message::Content;
use super::progress::Progress;
use super::role::{RoleState, TransferState};
use super::server::Raft;
use super::types::ServerId;
use crate::bug::Bug;

impl Raft {
    /// Whether this leader can transfer its leadership to a server now.
    pub fn can_transfer_to(&self, to: ServerId) -> bool {
        // One transfer at a time: two targets would campaign against each other.
        let free = matches!(&self.state, RoleState::Leader(leading) if leading.transfer.is_none());
        let membership = self.log.membership();
        // Only a voter can win the election that the transfer causes. A joint configuration is
        // left first: the entry that leaves it would be one more that the target lacks.
        free && to != self.config.id && membership.voters.contains(&to) && !membership.is_joint()
    }

    /// Whether a transfer is in progress.
    pub(super) fn is_transferring(&self) -> bool {
        matches!(&self.state, RoleState::Leader(leading) if leading.transfer.is_some())
    }

    /// Whether a server could take over at once: it can be a transfer target, replied lately and
    /// holds every committed entry.
    pub fn is_ready_to_lead(&self, to: ServerId) -> bool {
        let RoleState::Leader(leading) = &self.state else { return false };
        let lately = 3 * self.config.heartbeat_ticks;
        let ready = |peer: &Progress| {
            peer.replied_within(lately) && peer.match_index() >= self.commit_index
        };
        self.can_transfer_to(to) && leading.peers.get(&to).is_some_and(ready)
    }

    /// Begins a transfer.
    pub(super) fn transfer_leadership(&mut self, to: ServerId) {
        if !self.can_transfer_to(to) {
            return;
        }
        if let RoleState::Leader(leading) = &mut self.state {
            leading.transfer = Some(TransferState { to, ticks: 0, sent: false });
        }
        self.send_append(to);
        self.continue_transfer();
    }

    /// Sends TimeoutNow once the target holds the whole log.
    pub(super) fn continue_transfer(&mut self) {
        let last = self.log.last_position().index;
        let RoleState::Leader(leading) = &mut self.state else { return };
        let Some(transfer) = &mut leading.transfer else { return };
        let matched = leading.peers.get(&transfer.to).map_or(0, Progress::match_index);
        // With a shorter log the target would lose its election to the other voters, and the
        // cluster would be without a leader for nothing (paper §5.4.1).
        let ready = matched == last || self.config.has_bug(Bug::TransferUnready);
        if ready && !transfer.sent {
            transfer.sent = true;
            // Voters do not withhold their vote in this election, so a new leader can commit
            // writes while the lease still runs (thesis §6.4.1). The message may also arrive
            // late, so the lease stays revoked for the rest of the term.
            if !self.config.has_bug(Bug::LeaseSurvivesTransfer) {
                leading.lease.revoke();
            }
            let to = transfer.to;
            self.send_message(to, Content::TimeoutNow, 0);
        }
    }

    /// Abandons a transfer after an election timeout. A leader whose target is down would
    /// otherwise refuse commands forever (thesis §3.10).
    pub(super) fn expire_transfer(&mut self) {
        let forever = self.config.has_bug(Bug::TransferNeverExpires);
        let limit = if forever { u32::MAX } else { self.config.election_ticks };
        let RoleState::Leader(leading) = &mut self.state else { return };
        if let Some(transfer) = &mut leading.transfer {
            transfer.ticks += 1;
            if transfer.ticks >= limit {
                leading.transfer = None;
            }
        }
    }

    /// Campaigns at once on request of the leader. There is no pre-vote: the leader is alive, so
    /// its followers would refuse one.
    pub(super) fn on_timeout_now(&mut self, from: ServerId) {
        // Only from the leader that this server follows: voters do not protect the leader in this
        // election, so any other sender could depose a healthy one.
        let follows = matches!(self.state, RoleState::Follower) && self.leader == Some(from);
        // A server that was removed meanwhile cannot win.
        if follows && self.log.membership().is_voter(self.config.id) {
            self.start_election(true);
        }
    }
}
