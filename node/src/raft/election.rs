//! Holds elections: at most one leader per term, because each server votes once per term, durably,
//! and a majority must vote (paper §5.2, §5.4.1).
//!
//! A server asks first whether it could win (thesis §9.6), so one that was cut off does not come
//! back with a term that unseats a healthy leader; and whoever hears a leader takes no part (thesis
//! §4.2.3).

use super::role::RoleState;
use super::{Bug, Content, Position, Raft, ServerId};
use alloc::collections::BTreeSet;

impl Raft {
    /// Asks whether an election could be won; changes neither term nor vote.
    pub(super) fn start_pre_vote(&mut self) {
        self.become_follower(None);
        self.reset_election_timer();
        self.state = RoleState::PreCandidate(BTreeSet::new());
        self.request_votes(true, false);
        self.count_vote(self.config.id);
    }

    /// Stands for election in the next term.
    /// `transfer` where the leader itself wishes so: nobody protects it then.
    pub(super) fn start_election(&mut self, transfer: bool) {
        let Some(next) = self.term().checked_add(1) else { return };
        self.enter_term(next, Some(self.config.id));
        self.reset_election_timer();
        self.state = RoleState::Candidate(BTreeSet::new());
        self.request_votes(false, transfer);
        self.count_own_vote();
    }

    fn request_votes(&mut self, pre: bool, transfer: bool) {
        let last = self.log.last();
        let electors = self.log.membership().voting_members();
        let me = self.config.id;
        for peer in electors.into_iter().filter(|id| *id != me) {
            let after = self.writes.hard_state_barrier();
            self.send(peer, Content::RequestVote { pre, last, transfer }, after);
        }
    }

    /// Whether a message is a request for a vote that a server near its leader does not even read:
    /// it must not take the term from it either.
    pub(super) fn in_leader_lease(&self, content: &Content) -> bool {
        let asked = matches!(content, Content::RequestVote { transfer: false, .. });
        let is_leader = matches!(self.state, RoleState::Leader(_));
        let hears_leader =
            self.leader.is_some() && self.election_elapsed < self.config.election_ticks;
        asked && (is_leader || hears_leader || self.withholds_votes())
    }

    /// Answers a candidate of the current term.
    pub(super) fn on_request_vote(&mut self, from: ServerId, pre: bool, last: Position) {
        let free = self.hard_state.voted_for.is_none_or(|candidate| candidate == from);
        let granted = (pre || free) && self.is_up_to_date(last);
        if granted && !pre {
            self.grant_vote(from);
        }
        let after = self.writes.hard_state_barrier();
        self.send(from, Content::VoteReply { pre, granted }, after);
    }

    /// Whether a log that ends there holds all that this one may have helped to commit (paper
    /// §5.4.1).
    fn is_up_to_date(&self, last: Position) -> bool {
        self.config.has(Bug::VoteWithoutLogCheck) || last >= self.log.last()
    }

    fn grant_vote(&mut self, candidate: ServerId) {
        self.reset_election_timer();
        if self.hard_state.voted_for.is_none() {
            self.hard_state.voted_for = Some(candidate);
            self.persist(Some(self.hard_state), alloc::vec::Vec::new());
        }
    }

    /// Hears a voter's answer in the current term.
    pub(super) fn on_vote_reply(&mut self, from: ServerId, pre: bool, granted: bool) {
        let asked = match self.state {
            RoleState::PreCandidate(_) => pre,
            RoleState::Candidate(_) => !pre,
            RoleState::Follower | RoleState::Leader(_) => false,
        };
        if asked && granted {
            self.count_vote(from);
        }
    }

    /// Counts a candidate's vote for itself, once that is durable like any other.
    pub(super) fn count_own_vote(&mut self) {
        if matches!(self.state, RoleState::Candidate(_)) && self.writes.hard_state_barrier() == 0 {
            self.count_vote(self.config.id);
        }
    }

    fn count_vote(&mut self, voter: ServerId) {
        let membership = self.log.membership();
        match &mut self.state {
            RoleState::PreCandidate(votes) => {
                if votes.insert(voter) && membership.has_quorum(|id| votes.contains(&id)) {
                    self.start_election(false);
                }
            }
            RoleState::Candidate(votes) => {
                if votes.insert(voter) && membership.has_quorum(|id| votes.contains(&id)) {
                    self.become_leader();
                }
            }
            RoleState::Follower | RoleState::Leader(_) => {}
        }
    }

    /// Tells the sender of a request that its term is over; answers of an old term are not worth a
    /// word.
    pub(super) fn reject_stale(&mut self, from: ServerId, content: &Content) {
        let is_request = match content {
            Content::RequestVote { .. }
            | Content::AppendEntries { .. }
            | Content::InstallSnapshot { .. }
            | Content::ReadIndex { .. } => true,
            Content::VoteReply { .. }
            | Content::SnapshotReceived { .. }
            | Content::AppendAccepted { .. }
            | Content::AppendRejected { .. }
            | Content::TimeoutNow
            | Content::StaleTerm
            | Content::ReadIndexReply { .. } => false,
        };
        if is_request {
            self.send(from, Content::StaleTerm, 0);
        }
    }
}
