//! Holds elections. A term has at most one leader, because each server votes once per term,
//! durably, and a majority must vote (paper §5.2, §5.4.1).
//!
//! A server first collects pre-votes (thesis §9.6): one that was cut off must not return with a
//! term that deposes a healthy leader. Servers that hear a leader grant nothing (thesis §4.2.3).

use super::message::Content;
use super::quorum;
use super::role::RoleState;
use super::server::Raft;
use super::types::{Position, ServerId};
use crate::bug::{Bug, Variation};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

impl Raft {
    /// Begins a pre-vote. It changes neither term nor vote, so a server that cannot win leaves the
    /// cluster undisturbed (thesis §9.6).
    pub(super) fn start_pre_vote(&mut self) {
        self.become_follower(None);
        self.reset_election_timer();
        self.state = RoleState::PreCandidate(BTreeSet::new());
        self.request_votes(true, false);
        self.count_vote(self.config.id);
    }

    /// Begins an election in the next term. With `transfer` the leader asked for it, and voters
    /// ignore its lease.
    pub(super) fn start_election(&mut self, transfer: bool) {
        // A hostile message can carry the greatest term; wrapping around would reuse terms.
        let Some(next) = self.term().checked_add(1) else { return };
        self.enter_term(next, Some(self.config.id));
        self.reset_election_timer();
        self.state = RoleState::Candidate(BTreeSet::new());
        self.request_votes(false, transfer);
        self.count_own_vote();
    }

    fn request_votes(&mut self, pre: bool, transfer: bool) {
        let last = self.own_last_position();
        // In a joint configuration both sets of voters must elect (thesis §4.3).
        let voters = self.log.membership().voting_members();
        let me = self.config.id;
        for peer in voters.into_iter().filter(|id| *id != me) {
            // The term and the own vote are durable first. A candidate that crashed and forgot
            // them could vote for another server in the same term (paper, figure 2).
            let after = self.writes.hard_state_barrier();
            self.send_message(peer, Content::RequestVote { pre, last, transfer }, after);
        }
    }

    /// Whether a message requests a vote that must be ignored because this server leads, hears a
    /// leader, or backs a leader's lease (thesis §4.2.3, §6.4.1).
    pub(super) fn in_leader_lease(&self, content: &Content) -> bool {
        // A transfer is exempt: the leader gives up its lease when it sends TimeoutNow.
        let is_request = matches!(content, Content::RequestVote { transfer: false, .. });
        let is_leader = matches!(self.state, RoleState::Leader(_));
        // Within the minimum election timeout the leader is taken to be alive. A candidate that
        // cannot hear it, or was removed, must not depose it.
        let hears_leader =
            self.leader.is_some() && self.election_elapsed < self.config.election_ticks;
        let promised = hears_leader || self.withholds_votes();
        is_request && (is_leader || promised && !self.config.has_bug(Bug::VoteWithinLease))
    }

    /// Answers a candidate of the current term. A server that is not a voter in its own
    /// configuration answers too: that configuration may be outdated, and the candidate counts
    /// only voters.
    pub(super) fn on_request_vote(&mut self, from: ServerId, pre: bool, last: Position) {
        if self.config.has_bug(Bug::RequestResetsTimer) {
            self.reset_election_timer();
        }
        // One vote per term, or two candidates could both win it (paper §5.2). A repeated request
        // of the same candidate gets the same answer.
        let free = self.hard_state.voted_for.is_none_or(|candidate| candidate == from)
            || self.config.has_bug(Bug::VoteTwice);
        // A pre-vote promises nothing, so it needs no free vote.
        let refused =
            self.config.varies(Variation::RefuseVotes) && self.random.next_u64().is_multiple_of(5);
        let granted = (pre || free) && self.is_up_to_date(last) && !refused;
        if granted && !pre {
            self.grant_vote(from);
        }
        // The vote is durable before the reply leaves: after a crash this server must not vote
        // again in the term (thesis §3.8; removed by --unsafe no-fsync).
        let early = self.config.has_bug(Bug::SendVoteEarly);
        let after = if early { 0 } else { self.writes.hard_state_barrier() };
        self.send_message(from, Content::VoteReply { pre, granted }, after);
    }

    /// Election restriction: the candidate's log must be at least as up to date as this one, by
    /// last term, then by length (paper §5.4.1). Otherwise a leader could lack committed entries
    /// and overwrite them (removed by --unsafe vote-without-log-check).
    fn is_up_to_date(&self, last: Position) -> bool {
        let own = self.own_last_position();
        if self.config.has_bug(Bug::VoteByLength) {
            return last.index >= own.index;
        }
        if self.config.has_bug(Bug::VoteByVector) {
            return last.index >= own.index && last.term >= own.term;
        }
        self.config.has_bug(Bug::VoteWithoutLogCheck) || last >= own
    }

    /// Returns the end of this log, as it is compared in elections.
    fn own_last_position(&self) -> Position {
        let last = self.log.last_position();
        // Seeded bug: a log whose entries are all in the snapshot looks older than any other.
        match self.config.has_bug(Bug::ZeroLastTerm) && self.log.entries().is_empty() {
            true => Position { term: 0, ..last },
            false => last,
        }
    }

    fn grant_vote(&mut self, candidate: ServerId) {
        // Only a granted vote restarts the timer: a candidate that cannot win must not keep this
        // server from campaigning (paper §5.2).
        self.reset_election_timer();
        if self.hard_state.voted_for.is_none() {
            self.hard_state.voted_for = Some(candidate);
            self.persist_changes(Some(self.hard_state), Vec::new());
        }
    }

    /// Handles a reply to a request of the current term.
    pub(super) fn on_vote_reply(&mut self, from: ServerId, pre: bool, granted: bool) {
        // A late pre-vote must not count as a vote: its sender recorded none, and may vote for
        // another candidate of this term.
        let requested = match self.state {
            RoleState::PreCandidate(_) => pre,
            RoleState::Candidate(_) => !pre || self.config.has_bug(Bug::CountPreVotes),
            RoleState::Follower | RoleState::Leader(_) => false,
        };
        if requested && granted {
            self.count_vote(from);
        }
    }

    /// Counts a candidate's vote for itself, once it is durable like any other vote.
    pub(super) fn count_own_vote(&mut self) {
        if matches!(self.state, RoleState::Candidate(_)) && self.writes.hard_state_barrier() == 0 {
            self.count_vote(self.config.id);
        }
    }

    fn count_vote(&mut self, voter: ServerId) {
        let (membership, bugs) = (self.log.membership(), self.config.bugs);
        let win = |votes: &BTreeSet<ServerId>| {
            let majority = quorum::majority_size(membership.voters.len(), bugs);
            // Seeded bug: every vote counts, also that of a server without one.
            let counted = bugs.contains(Bug::CountLearnerVotes) && votes.len() >= majority;
            counted || membership.has_quorum(bugs, |id| votes.contains(&id))
        };
        match &mut self.state {
            RoleState::PreCandidate(votes) => {
                if votes.insert(voter) && win(votes) {
                    self.start_election(false);
                }
            }
            RoleState::Candidate(votes) => {
                // The set counts a repeated reply once; `has_quorum` ignores non-voters.
                if votes.insert(voter) && win(votes) {
                    self.become_leader();
                }
            }
            RoleState::Follower | RoleState::Leader(_) => {}
        }
    }

    /// Whether a seeded bug keeps the current term in spite of a message of a later one.
    pub(super) fn keeps_term(&self, content: &Content) -> bool {
        matches!((&self.state, content), (RoleState::PreCandidate(_), Content::StaleTerm))
            && self.config.has_bug(Bug::PreVoteKeepsTerm)
    }

    /// Whether a seeded bug counts a reply of an older term.
    pub(super) fn counts_stale(&self, content: &Content) -> bool {
        match content {
            Content::VoteReply { pre: true, .. } => self.config.has_bug(Bug::CountPreVotes),
            Content::VoteReply { pre: false, .. } => self.config.has_bug(Bug::CountStaleVotes),
            Content::AppendAccepted { .. } => self.config.has_bug(Bug::CountStaleAcks),
            _ => false,
        }
    }

    /// Answers a request of an older term with the current one, so that a stale leader or
    /// candidate steps down (paper §5.1). Replies of an older term are dropped: a vote or an
    /// acknowledgement counts only in the term it was given in.
    pub(super) fn reject_stale(&mut self, from: ServerId, content: &Content) {
        let is_request = match content {
            Content::RequestVote { .. }
            | Content::AppendEntries(_)
            | Content::InstallSnapshot(_)
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
            self.send_message(from, Content::StaleTerm, 0);
        }
    }
}
