//! Hands leadership to another voter: brings it up to date, lets it stand for election at once, and
//! takes the wish back if nothing comes of it within an election timeout (thesis §3.10).
//!
//! While it lasts the leader takes no commands, so that there is an end to bringing up to date.

use super::progress::Progress;
use super::role::State;
use super::{Content, Raft, ServerId};

/// A transfer that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Transfer {
    to: ServerId,
    /// Ticks since it was wished for.
    age: u32,
    /// Whether the other has been told.
    told: bool,
}

impl Raft {
    /// Whether this leader could hand over to a server: another voter, and nothing else is under
    /// way.
    pub fn may_transfer(&self, to: ServerId) -> bool {
        let free = matches!(&self.state, State::Leader(leading) if leading.transfer.is_none());
        let membership = self.log.membership();
        free && to != self.config.id && membership.voters.contains(&to) && !membership.is_joint()
    }

    /// Whether a server could take over from this leader at once: it could be handed to, was heard lately,
    /// and lacks nothing that is committed.
    pub fn is_ready_to_lead(&self, to: ServerId) -> bool {
        let State::Leader(leading) = &self.state else { return false };
        let lately = 3 * self.config.heartbeat_ticks;
        let ready =
            |peer: &Progress| peer.was_heard_within(lately) && peer.matched() >= self.commit_index;
        self.may_transfer(to) && leading.peers.get(&to).is_some_and(ready)
    }

    /// A wish that another server should lead.
    pub(super) fn transfer(&mut self, to: ServerId) {
        if !self.may_transfer(to) {
            return;
        }
        if let State::Leader(leading) = &mut self.state {
            leading.transfer = Some(Transfer { to, age: 0, told: false });
        }
        self.feed(to);
        self.press_transfer();
    }

    /// Tells the other to stand, once it has everything.
    pub(super) fn press_transfer(&mut self) {
        let last = self.log.last().index;
        let State::Leader(leading) = &mut self.state else { return };
        let Some(transfer) = &mut leading.transfer else { return };
        let matched = leading.peers.get(&transfer.to).map_or(0, Progress::matched);
        if matched == last && !transfer.told {
            transfer.told = true;
            leading.lease.give_up();
            let to = transfer.to;
            self.send(to, Content::Stand, 0);
        }
    }

    /// Takes the wish back when it has not come true for an election timeout.
    pub(super) fn age_transfer(&mut self) {
        let limit = self.config.election_ticks;
        let State::Leader(leading) = &mut self.state else { return };
        if let Some(transfer) = &mut leading.transfer {
            transfer.age += 1;
            if transfer.age >= limit {
                leading.transfer = None;
            }
        }
    }

    /// Hears the leader say that this server should lead.
    pub(super) fn on_stand(&mut self, from: ServerId) {
        let follows = matches!(self.state, State::Follower) && self.leader == Some(from);
        if follows && self.log.membership().votes(self.config.id) {
            self.start_election(true);
        }
    }
}
