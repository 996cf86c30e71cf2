//! Serves linearizable reads at any replica without writing to the log (thesis §6.4).
//!
//! A read waits for an index that was committed when the read arrived. The leader names that index
//! only after a majority has answered a message that was sent after the read arrived. A follower
//! asks the leader for the index and waits until it has applied as much. A read without an answer
//! for an election timeout fails, and nothing was read.

use super::effect::Effect;
use super::message::Content;
use super::read_rounds::{PendingRead, ReadOrigin};
use super::role::{LeaderState, RoleState};
use super::server::Raft;
use super::types::{Index, ServerId, Token};
use crate::bug::Bug;

impl Raft {
    /// Handles a client's linearizable read.
    pub(super) fn handle_read(&mut self, token: Token) {
        if matches!(self.state, RoleState::Leader(_)) {
            self.queue_read(ReadOrigin::Client(token));
        } else if self.config.has_bug(Bug::FollowerReads) {
            // Seeded bug: a follower's commit index may be behind the leader's, so the read can
            // miss acknowledged writes (thesis §6.4).
            self.effects.push(Effect::ReadReady { token, index: self.commit_index });
        } else if let Some(leader) = self.leader {
            let request = self.forwarded_reads.open_request(token, self.ticks);
            self.send_message(leader, Content::ReadIndex { request }, 0);
        } else if self.config.has_bug(Bug::ReadWithoutLeader) {
            self.effects.push(Effect::ReadReady { token, index: self.commit_index });
        } else {
            self.effects.push(Effect::ReadFailed { token });
        }
    }

    /// Handles a follower's request for a read index.
    pub(super) fn on_read_index(&mut self, from: ServerId, request: u64) {
        if matches!(self.state, RoleState::Leader(_)) {
            self.queue_read(ReadOrigin::Peer { id: from, request });
        } else {
            self.send_message(from, Content::ReadIndexReply { request, index: None }, 0);
        }
    }

    /// Handles the leader's reply.
    pub(super) fn on_read_index_reply(&mut self, request: u64, index: Option<Index>) {
        // A repeated reply, or one whose read expired: the client has its answer.
        let Some(token) = self.forwarded_reads.close_request(request) else { return };
        self.effects.push(match index {
            Some(index) => Effect::ReadReady { token, index },
            None => Effect::ReadFailed { token },
        });
    }

    fn queue_read(&mut self, origin: ReadOrigin) {
        // Seeded bug: the leader serves the read at once. A deposed leader that has not noticed
        // yet then returns old values (thesis §6.4).
        if self.config.has_bug(Bug::StaleReads) {
            return self.answer_read(origin, self.commit_index);
        }
        let since = self.ticks;
        if let RoleState::Leader(leading) = &mut self.state {
            leading.reads.queue_read(PendingRead { origin, since }, self.config.bugs);
        }
        self.start_read_round();
    }

    /// Starts to confirm this server's leadership for all reads that wait.
    pub(super) fn start_read_round(&mut self) {
        // A new leader's commit index may be behind what earlier leaders committed, so its reads
        // wait for the no-op of its term (thesis §6.4, step 1; removed by --unsafe
        // commit-old-term).
        if !self.has_committed_in_term() && !self.config.has_bug(Bug::ReadBeforeCommit) {
            return;
        }
        let (index, now) = (self.commit_index, self.elapsed_ticks());
        let RoleState::Leader(leading) = &mut self.state else { return };
        if leading.reads.start_next(index) {
            if self.config.lease_reads {
                leading.lease.start_round(leading.reads.latest_round(), now);
            }
            for peer in self.peer_ids() {
                self.send_heartbeat(peer);
            }
            self.complete_read_round();
        }
    }

    /// Serves the open round once a majority has answered it, and starts the next.
    pub(super) fn complete_read_round(&mut self) {
        let me = self.config.id;
        let RoleState::Leader(LeaderState { reads, peers, .. }) = &mut self.state else { return };
        let current = reads.latest_round();
        // A majority of each set of a joint configuration: any later leader needs a vote from one
        // of these servers, which were still in this term (thesis §6.4, step 3).
        let bugs = self.config.bugs;
        let answered = self.log.membership().quorum_index(bugs, |id| match peers.get(&id) {
            Some(progress) => progress.answered_round(),
            None if id == me => current,
            None => 0,
        });
        if self.config.lease_reads {
            self.extend_lease(answered);
        }
        // Answers to earlier rounds do not count: they may have left before the read arrived, and
        // another leader may have committed a write in between.
        if answered < current {
            return;
        }
        let RoleState::Leader(LeaderState { reads, .. }) = &mut self.state else { return };
        if let Some((index, reads)) = reads.take_open() {
            for read in reads {
                self.answer_read(read.origin, index);
            }
            self.start_read_round();
        }
    }

    fn answer_read(&mut self, origin: ReadOrigin, index: Index) {
        match origin {
            ReadOrigin::Client(token) => self.effects.push(Effect::ReadReady { token, index }),
            ReadOrigin::Peer { id, request } => {
                self.send_message(id, Content::ReadIndexReply { request, index: Some(index) }, 0);
            }
        }
    }

    /// Fails reads that have waited for an election timeout: a leader without a majority, or a
    /// lost message, must not keep a client waiting forever.
    pub(super) fn expire_reads(&mut self) {
        let start = self.ticks.saturating_sub(u64::from(self.config.election_ticks));
        if let RoleState::Leader(leading) = &mut self.state {
            let late = leading.reads.take_expired(start);
            let clients = late.into_iter().filter_map(|read| read.origin.client_token());
            self.effects.extend(clients.map(|token| Effect::ReadExpired { token }));
        }
        let late = self.forwarded_reads.take_expired(start);
        self.effects.extend(late.into_iter().map(|token| Effect::ReadExpired { token }));
    }

    /// Fails reads that wait for a server that no longer leads.
    pub(super) fn fail_forwarded_reads(&mut self) {
        let open = self.forwarded_reads.take_all();
        self.effects.extend(open.into_iter().map(|token| Effect::ReadFailed { token }));
    }
}
