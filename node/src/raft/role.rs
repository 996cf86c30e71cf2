//! Moves a server between its roles; what it keeps only in one role is gone when it leaves it.
//!
//! A vote belongs to a term, not to a role: only [`Raft::enter_term`] changes the hard state, so
//! stepping down within a term cannot free the vote for another candidate.

use super::lease::Lease;
use super::progress::Progress;
use super::read_index::ReadRounds;
use super::transfer::Transfer;
use super::{Effect, HardState, Index, Payload, Raft, Role, ServerId, Term, Token};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// What a server keeps while it has a role.
#[derive(Debug)]
pub(super) enum RoleState {
    /// Nothing.
    Follower,
    /// Who would vote for it.
    PreCandidate(BTreeSet<ServerId>),
    /// Who voted for it.
    Candidate(BTreeSet<ServerId>),
    /// What it knows of its peers and owes its clients.
    Leader(LeaderState),
}

/// What a leader keeps.
#[derive(Debug)]
pub(super) struct LeaderState {
    /// Every other member, and who was one until the change that removed it is committed.
    pub(super) peers: BTreeMap<ServerId, Progress>,
    /// The proposals that wait for their entry's commit.
    pub(super) proposals: BTreeMap<Index, Token>,
    /// The reads that wait for a quorum's word.
    pub(super) reads: ReadRounds,
    /// How long reads need not wait for it.
    pub(super) lease: Lease,
    /// Ticks since the last heartbeat.
    pub(super) heartbeat_elapsed: u32,
    /// How many bytes of entries are not committed yet.
    pub(super) uncommitted_bytes: usize,
    /// The change whose last entry is not appended yet.
    pub(super) pending_change: Option<Token>,
    /// The transfer of leadership that is under way.
    pub(super) transfer: Option<Transfer>,
}

impl Raft {
    /// Its role, without what it keeps in it.
    pub(super) fn role(&self) -> Role {
        match self.state {
            RoleState::Follower => Role::Follower,
            RoleState::PreCandidate(_) => Role::PreCandidate,
            RoleState::Candidate(_) => Role::Candidate,
            RoleState::Leader(_) => Role::Leader,
        }
    }

    /// Its term.
    pub(super) fn term(&self) -> Term {
        self.hard_state.term
    }

    /// Everybody whom this leader sends its log.
    pub(super) fn peer_ids(&self) -> Vec<ServerId> {
        match &self.state {
            RoleState::Leader(leading) => leading.peers.keys().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// One tick of the clock.
    pub(super) fn tick(&mut self) {
        self.ticks += 1;
        if matches!(self.state, RoleState::Leader(_)) {
            self.tick_leader();
        } else {
            self.election_elapsed = self.election_elapsed.saturating_add(1);
            if self.election_elapsed >= self.election_timeout && self.can_campaign() {
                self.start_pre_vote();
            }
        }
        self.expire_reads();
    }

    /// Whether this server may seek to lead: as a voter of any configuration that it does not know
    /// to be over. Whoever is on its way out may be the only one who has the entry that says so
    /// (thesis §4.2.2); it then leads without counting itself.
    fn can_campaign(&self) -> bool {
        self.log.memberships_from(self.commit_index).any(|it| it.is_voter(self.config.id))
    }

    /// Begins to wait for a leader anew, for a time nobody else waits (paper §5.2).
    pub(super) fn reset_election_timer(&mut self) {
        self.election_elapsed = 0;
        self.election_timeout = self.random.draw_timeout(self.config.election_ticks);
    }

    /// Enters a later term as a follower, having voted for `voted_for` or nobody in it.
    pub(super) fn enter_term(&mut self, term: Term, voted_for: Option<ServerId>) {
        self.become_follower(None);
        self.leader_match = 0;
        self.hard_state = HardState { term, voted_for };
        self.persist(Some(self.hard_state), Vec::new());
    }

    /// Follows a leader of the current term, or waits for one.
    pub(super) fn become_follower(&mut self, leader: Option<ServerId>) {
        if self.leader != leader {
            self.fail_forwarded_reads();
        }
        self.leader = leader;
        if let RoleState::Leader(leading) = core::mem::replace(&mut self.state, RoleState::Follower)
        {
            self.reset_election_timer();
            self.fail_pending_requests(leading);
        }
    }

    /// Tells the clients of a leader that is none any more: their entries may still be committed by
    /// others, their reads were never served.
    fn fail_pending_requests(&mut self, leading: LeaderState) {
        let open = leading.proposals.into_values().chain(leading.pending_change);
        let lost = open.map(|token| Effect::OutcomeUnknown { token });
        self.effects.extend(lost);
        let failed = leading.reads.into_client_tokens().map(|token| Effect::ReadFailed { token });
        self.effects.extend(failed);
    }

    /// Leads the current term, having won its election.
    pub(super) fn become_leader(&mut self) {
        let last = self.log.last().index;
        let peers = BTreeMap::new();
        let reads = ReadRounds::default();
        let proposals = BTreeMap::new();
        let uncommitted_bytes = self.log.byte_size(self.commit_index.saturating_add(1), last);
        let heartbeat_elapsed = 0;
        self.state = RoleState::Leader(LeaderState {
            peers,
            proposals,
            reads,
            lease: Lease::default(),
            heartbeat_elapsed,
            uncommitted_bytes,
            pending_change: None,
            transfer: None,
        });
        self.track_members();
        self.leader = Some(self.config.id);
        if !self.config.has(super::Bug::CommitOldTerm) {
            self.append_entry(Payload::Noop);
        }
        self.announce_leadership();
        self.advance_commit();
    }
}
