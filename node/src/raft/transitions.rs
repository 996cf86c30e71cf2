//! Moves a server between roles and terms.
//!
//! A vote belongs to a term, not to a role: only [`Raft::enter_term`] clears it. Stepping down
//! within a term must not free the vote for a second candidate (paper §5.2).

use super::effect::Effect;
use super::entry::Payload;
use super::lease::Lease;
use super::membership::Membership;
use super::read_rounds::ReadRounds;
use super::role::{LeaderState, RoleState};
use super::server::Raft;
use super::types::{HardState, Role, ServerId, Term};
use crate::bug::{Bug, Variation};
use alloc::{collections::BTreeMap, vec::Vec};

impl Raft {
    /// Returns the role without its state.
    pub(super) fn role(&self) -> Role {
        match self.state {
            RoleState::Follower => Role::Follower,
            RoleState::PreCandidate(_) => Role::PreCandidate,
            RoleState::Candidate(_) => Role::Candidate,
            RoleState::Leader(_) => Role::Leader,
        }
    }

    /// Returns the current term.
    pub(super) fn term(&self) -> Term {
        self.hard_state.term
    }

    /// Returns the peers to which this leader replicates.
    pub(super) fn peer_ids(&self) -> Vec<ServerId> {
        match &self.state {
            RoleState::Leader(leading) => leading.peers.keys().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// Handles one tick of the clock.
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        if matches!(self.state, RoleState::Leader(_)) {
            self.tick_leader();
        } else {
            self.election_elapsed = self.election_elapsed.saturating_add(1);
            if self.election_elapsed >= self.election_timeout && self.can_campaign() {
                match self.config.varies(Variation::NoPreVote) {
                    true => self.start_election(false),
                    false => self.start_pre_vote(),
                }
            }
        }
        self.expire_reads();
    }

    /// Whether this server may campaign: as a voter of the committed configuration or of a later
    /// one. Learners never do. A server that is being removed still may, as it can be the only one
    /// whose log holds the entry that removes it (thesis §4.2.2); it then leads without counting
    /// itself.
    fn can_campaign(&self) -> bool {
        let (me, learners) = (self.config.id, self.config.has_bug(Bug::CountLearnerVotes));
        let may = |it: &Membership| it.is_voter(me) || (learners && it.contains(me));
        self.log.memberships_from(self.commit_index).any(may)
    }

    /// Restarts the election timer with a newly drawn timeout. Equal timeouts would split the vote
    /// in every term (paper §5.2).
    pub(super) fn reset_election_timer(&mut self) {
        self.election_elapsed = 0;
        self.election_timeout = match self.config.has_bug(Bug::SameTimeouts) {
            true => self.config.election_ticks,
            false => self.random.draw_timeout(self.config.election_ticks),
        };
    }

    /// Enters a later term as a follower, with a vote for `voted_for` or a free vote.
    pub(super) fn enter_term(&mut self, term: Term, voted_for: Option<ServerId>) {
        self.become_follower(None);
        // What matched the last term's leader need not match the next one's: committing by it
        // would commit a tail that the new leader overwrites.
        self.leader_match = 0;
        self.hard_state = HardState { term, voted_for };
        // Seeded bug: only a vote is written, so a restart takes back a term that was heard of.
        if voted_for.is_some() || !self.config.has_bug(Bug::VolatileTerm) {
            self.persist_changes(Some(self.hard_state), Vec::new());
        }
    }

    /// Follows a leader of the current term, or waits for one. It does not touch the hard state.
    pub(super) fn become_follower(&mut self, leader: Option<ServerId>) {
        if self.leader != leader {
            self.fail_forwarded_reads();
        }
        self.leader = leader;
        // Seeded bug: a server that voted for itself votes once more in the same term.
        if self.config.has_bug(Bug::FreeVoteOnStepDown)
            && !matches!(self.state, RoleState::Follower)
        {
            self.hard_state.voted_for = None;
        }
        if let RoleState::Leader(leading) = core::mem::replace(&mut self.state, RoleState::Follower)
        {
            // A leader does not count election ticks: the old value is from before its term.
            self.reset_election_timer();
            self.fail_pending_requests(leading);
        }
    }

    /// Answers the clients of a leader that stepped down. The next leader may still commit the
    /// entries, so their outcome is unknown, not failed; the reads were never served.
    fn fail_pending_requests(&mut self, leading: LeaderState) {
        let open = leading.proposals.into_values().chain(leading.pending_change);
        let unknown = open.map(|token| Effect::OutcomeUnknown { token });
        self.effects.extend(unknown);
        let failed = leading.reads.into_client_tokens().map(|token| Effect::ReadFailed { token });
        self.effects.extend(failed);
    }

    /// Leads the current term after winning its election.
    pub(super) fn become_leader(&mut self) {
        let last = self.log.last_position().index;
        let uncommitted_bytes = self.log.byte_size(self.commit_index.saturating_add(1), last);
        self.state = RoleState::Leader(LeaderState {
            peers: BTreeMap::new(),
            proposals: BTreeMap::new(),
            reads: ReadRounds::default(),
            lease: Lease::default(),
            heartbeat_elapsed: 0,
            uncommitted_bytes,
            pending_change: None,
            transfer: None,
        });
        self.track_members();
        self.leader = Some(self.config.id);
        // Entries of older terms commit only together with one of this term (paper §5.4.2, §8).
        // Without the no-op they, and every read, would wait for the next client's write
        // (removed by --unsafe commit-old-term).
        if !self.config.has_bug(Bug::CommitOldTerm) {
            self.append_entry(Payload::Noop);
        }
        self.announce_leadership();
        self.advance_commit();
    }
}
