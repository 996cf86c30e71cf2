//! Moves a server between its roles; what it keeps only in one role is gone when it leaves it.
//!
//! A vote belongs to a term, not to a role: only [`Raft::enter_term`] changes the hard state, so
//! stepping down within a term cannot free the vote for another candidate.

use super::progress::Progress;
use super::read_index::Rounds;
use super::{Effect, HardState, Index, Payload, Raft, Role, ServerId, Term, Token, quorum};
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
    /// Every other voter.
    pub(super) peers: BTreeMap<ServerId, Progress>,
    /// The proposals that wait for their entry's commit.
    pub(super) proposals: BTreeMap<Index, Token>,
    /// The reads that wait for a quorum's word.
    pub(super) rounds: Rounds,
    /// Ticks since the last heartbeat.
    pub(super) since_heartbeat: u32,
    /// How many bytes of entries are not committed yet.
    pub(super) uncommitted: usize,
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

    /// How many voters are a majority.
    pub(super) fn majority(&self) -> usize {
        quorum::majority(self.config.voters.len())
    }

    /// Every voter but this server.
    pub(super) fn peers(&self) -> impl Iterator<Item = ServerId> + use<'_> {
        self.config.voters.iter().copied().filter(|voter| *voter != self.config.id)
    }

    /// The same, for loops that change this server.
    pub(super) fn peer_list(&self) -> Vec<ServerId> {
        self.peers().collect()
    }

    /// One tick of the clock.
    pub(super) fn tick(&mut self) {
        self.now += 1;
        if matches!(self.state, State::Leader(_)) {
            self.tick_as_leader();
        } else {
            self.elapsed = self.elapsed.saturating_add(1);
            if self.elapsed >= self.timeout {
                self.start_pre_vote();
            }
        }
        self.expire_reads();
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
        let lost = leading.proposals.into_values().map(|token| Effect::Lost { token });
        self.effects.extend(lost);
        let failed = leading.rounds.into_clients().map(|token| Effect::ReadFailed { token });
        self.effects.extend(failed);
    }

    /// Leads the current term, having won its election.
    pub(super) fn lead(&mut self) {
        let last = self.log.last().index;
        let peers = self.peers().map(|peer| (peer, Progress::new(last))).collect();
        let rounds = Rounds::default();
        let proposals = BTreeMap::new();
        let uncommitted = self.log.weight(self.commit_index.saturating_add(1), last);
        let since_heartbeat = 0;
        self.state =
            State::Leader(Leading { peers, proposals, rounds, since_heartbeat, uncommitted });
        self.leader = Some(self.config.id);
        if !self.config.has(super::Bug::CommitOldTerm) {
            self.append_own(Payload::Noop);
        }
        self.announce();
        self.advance_commit();
    }
}
