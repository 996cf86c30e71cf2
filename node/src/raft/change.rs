//! Takes a cluster from one configuration to the next, as leader: newcomers first learn, then two
//! sets of voters decide together, then the new one alone (thesis §4.2.1, §4.3).
//!
//! Every step is an entry of the log and follows from what the log says, so that whoever leads next
//! goes on where this leader stopped. A new step begins only when the one before is committed, and
//! the first of a leader only when it has committed something in its term.

use super::membership::{Change, Membership};
use super::progress::Progress;
use super::role::{Leading, State};
use super::{Bug, Content, Effect, Objection, Payload, Raft, ServerId, Token};

/// How many entries a newcomer may lack when it becomes a voter: about one message's.
const CAUGHT_UP: u64 = 64;

impl Raft {
    /// A wish to change who takes part.
    pub(super) fn change(&mut self, token: Token, change: &Change) {
        if !matches!(self.state, State::Leader(_)) {
            return self.effects.push(Effect::Refused { token, leader: self.leader });
        }
        let next = match self.may_change() {
            true => self.log.membership().changed(change),
            false => Err(Objection::Busy),
        };
        let next = next.map(|next| self.hurried(next));
        match next {
            Ok(next) => {
                let joint = next.is_joint();
                let index = self.configure(next);
                if let State::Leader(leading) = &mut self.state {
                    if joint {
                        leading.change = Some(token);
                    } else {
                        leading.proposals.insert(index, token);
                    }
                }
                self.spread();
            }
            Err(why) => self.effects.push(Effect::Objected { token, why }),
        }
    }

    /// The configuration itself, or with a seeded bug the one after it.
    fn hurried(&self, next: Membership) -> Membership {
        if self.config.has(Bug::SwapVoters) { next.settled() } else { next }
    }

    /// Whether the configuration is committed and not joint, and this leader knows what is.
    fn may_change(&self) -> bool {
        let transfers = matches!(&self.state, State::Leader(leading) if leading.transfer.is_some());
        !transfers
            && self.knows_all_commits()
            && self.log.membership_index() <= self.commit_index
            && !self.log.membership().is_joint()
    }

    /// Appends a configuration, which is in force at once.
    fn configure(&mut self, membership: Membership) -> u64 {
        let index = self.append_own(Payload::Membership(membership));
        self.meet();
        index
    }

    /// Begins to follow whoever is new.
    pub(super) fn meet(&mut self) {
        let (me, last) = (self.config.id, self.log.last().index);
        let State::Leader(leading) = &mut self.state else { return };
        for id in self.log.membership().members() {
            if id != me {
                leading.peers.entry(id).or_insert_with(|| Progress::new(last));
            }
        }
    }

    /// Sends what was appended, and counts.
    fn spread(&mut self) {
        for peer in self.peer_list() {
            self.feed(peer);
        }
        self.advance_commit();
    }

    /// Once a configuration is committed: ends a joint one; takes leave of who is gone.
    pub(super) fn follow_up_change(&mut self) {
        let committed = self.log.membership_index() <= self.commit_index;
        if !matches!(self.state, State::Leader(_)) || !committed || !self.knows_all_commits() {
            return;
        }
        if self.log.membership().is_joint() {
            let index = self.configure(self.log.membership().settled());
            if let State::Leader(leading) = &mut self.state
                && let Some(token) = leading.change.take()
            {
                leading.proposals.insert(index, token);
            }
            self.spread();
        } else {
            self.part();
        }
    }

    /// Tells those who are gone that they are, as far as they have heard the rest; goes itself, and
    /// lets another stand at once.
    fn part(&mut self) {
        let State::Leader(Leading { peers, .. }) = &self.state else { return };
        let membership = self.log.membership();
        let gone: alloc::vec::Vec<ServerId> =
            peers.keys().copied().filter(|id| !membership.has(*id)).collect();
        let stays = membership.votes(self.config.id);
        for id in gone {
            self.heartbeat(id);
            if let State::Leader(leading) = &mut self.state {
                leading.peers.remove(&id);
            }
        }
        if !stays {
            self.peer_list().into_iter().for_each(|peer| self.heartbeat(peer));
            if let Some(heir) = self.heir() {
                self.send(heir, Content::Stand, 0);
            }
            self.follow(None);
        }
    }

    /// A voter that has everything, and so can lead at once.
    fn heir(&self) -> Option<ServerId> {
        let State::Leader(leading) = &self.state else { return None };
        let last = self.log.last().index;
        let complete = |id: &&ServerId| {
            leading.peers.get(*id).is_some_and(|progress| progress.matched() == last)
        };
        self.log.membership().voters.iter().find(complete).copied()
    }

    /// Makes voters of those who join, if all of them have caught up.
    pub(super) fn promote(&mut self) {
        let membership = self.log.membership();
        if membership.joining.is_empty() || !self.may_change() {
            return;
        }
        let State::Leader(leading) = &self.state else { return };
        let last = self.log.last().index;
        let caught_up = |id: &ServerId| {
            let matched = leading.peers.get(id).map_or(0, Progress::matched);
            matched > 0 && matched.saturating_add(CAUGHT_UP) >= last
        };
        if membership.joining.iter().all(caught_up) {
            let next = self.hurried(membership.promoted());
            self.configure(next);
            self.spread();
        }
    }
}
