//! Moves a server between its roles; what it keeps only in one role is gone when it leaves it.
//!
//! A vote belongs to a term, not to a role: only [`Raft::enter_term`] changes the hard state, so
//! stepping down within a term cannot free the vote for another candidate.

use super::lease::Lease;
use super::progress::Progress;
use super::read_index::Rounds;
use super::transfer::Transfer;
use super::{Effect, HardState, Index, Payload, Raft, Role, ServerId, Term, Token};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

/// What a server keeps while it has a role.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing.
    Follower,
    /// Who would vote for it.
    PreCandidate(BTreeSet<ServerId>),
    /// Who voted for it.
    Candidate(BTreeSet<ServerId>),
    /// What it knows of its peers and owes its clients.
    Leader(Leading),
}

/// What a leader keeps.
#[derive(Debug)]
pub(super) struct Leading {
    /// Every other member, and who was one until the change that removed it is committed.
    pub(super) peers: BTreeMap<ServerId, Progress>,
    /// The proposals that wait for their entry's commit.
    pub(super) proposals: BTreeMap<Index, Token>,
    /// The reads that wait for a quorum's word.
    pub(super) rounds: Rounds,
    /// How long reads need not wait for it.
    pub(super) lease: Lease,
    /// Ticks since the last heartbeat.
    pub(super) since_heartbeat: u32,
    /// How many bytes of entries are not committed yet.
    pub(super) uncommitted: usize,
    /// The change whose last entry is not appended yet.
    pub(super) change: Option<Token>,
    /// The transfer of leadership that is under way.
    pub(super) transfer: Option<Transfer>,
}

impl Raft {
    /// Its role, without what it keeps in it.
    pub(super) fn role(&self) -> Role {
        match self.state {
            State::Follower => Role::Follower,
            State::PreCandidate(_) => Role::PreCandidate,
            State::Candidate(_) => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    /// Its term.
    pub(super) fn term(&self) -> Term {
        self.hard_state.term
    }

    /// Everybody whom this leader sends its log.
    pub(super) fn peer_list(&self) -> Vec<ServerId> {
        match &self.state {
            State::Leader(leading) => leading.peers.keys().copied().collect(),
            _ => Vec::new(),
        }
    }

    /// One tick of the clock.
    pub(super) fn tick(&mut self) {
        self.now += 1;
        if matches!(self.state, State::Leader(_)) {
            self.tick_as_leader();
        } else {
            self.elapsed = self.elapsed.saturating_add(1);
            if self.elapsed >= self.timeout && self.may_stand() {
                self.start_pre_vote();
            }
        }
        self.expire_reads();
    }

    /// Whether this server may seek to lead: as a voter of any configuration that it does not know
    /// to be over. Whoever is on its way out may be the only one who has the entry that says so
    /// (thesis §4.2.2); it then leads without counting itself.
    fn may_stand(&self) -> bool {
        self.log.memberships_from(self.commit_index).any(|it| it.votes(self.config.id))
    }

    /// Begins to wait for a leader anew, for a time nobody else waits (paper §5.2).
    pub(super) fn restart_election_timer(&mut self) {
        self.elapsed = 0;
        self.timeout = self.random.between_once_and_twice(self.config.election_ticks);
    }

    /// Enters a later term as a follower, having voted for `voted_for` or nobody in it.
    pub(super) fn enter_term(&mut self, term: Term, voted_for: Option<ServerId>) {
        self.follow(None);
        self.verified = 0;
        self.hard_state = HardState { term, voted_for };
        self.persist(Some(self.hard_state), Vec::new());
    }

    /// Follows a leader of the current term, or waits for one.
    pub(super) fn follow(&mut self, leader: Option<ServerId>) {
        if self.leader != leader {
            self.fail_forwarded_reads();
        }
        self.leader = leader;
        if let State::Leader(leading) = core::mem::replace(&mut self.state, State::Follower) {
            self.restart_election_timer();
            self.abandon(leading);
        }
    }

    /// Tells the clients of a leader that is none any more: their entries may still be committed by
    /// others, their reads were never served.
    fn abandon(&mut self, leading: Leading) {
        let open = leading.proposals.into_values().chain(leading.change);
        let lost = open.map(|token| Effect::Lost { token });
        self.effects.extend(lost);
        let failed = leading.rounds.into_clients().map(|token| Effect::ReadFailed { token });
        self.effects.extend(failed);
    }

    /// Leads the current term, having won its election.
    pub(super) fn lead(&mut self) {
        let last = self.log.last().index;
        let peers = BTreeMap::new();
        let rounds = Rounds::default();
        let proposals = BTreeMap::new();
        let uncommitted = self.log.weight(self.commit_index.saturating_add(1), last);
        let since_heartbeat = 0;
        self.state = State::Leader(Leading {
            peers,
            proposals,
            rounds,
            lease: Lease::default(),
            since_heartbeat,
            uncommitted,
            change: None,
            transfer: None,
        });
        self.meet();
        self.leader = Some(self.config.id);
        if !self.config.has(super::Bug::CommitOldTerm) {
            self.append_own(Payload::Noop);
        }
        self.announce();
        self.advance_commit();
    }
}
