//! Serves linearizable reads at any replica without writing to the log (thesis §6.4).
//!
//! A read waits for an index that was committed when the read had already begun. The leader may
//! name that index only after a majority has answered a message it sent later than the read came
//! in: *rounds* number those messages within a term, and one round serves every read that waited
//! for it to begin. A follower asks the leader, under a number that no earlier life of it has used,
//! and waits until it has applied as much. A read that gets no answer for an election timeout has
//! failed, and nothing was read.

use super::role::{LeaderState, RoleState};
use super::{Bug, Content, Effect, Index, Raft, ServerId, Token};
use alloc::{collections::BTreeMap, vec::Vec};

/// Who waits for a read index.
#[derive(Clone, Copy, Debug)]
enum ReadOrigin {
    /// A client of this server.
    Client(Token),
    /// A follower, for a client of its own.
    Peer { id: ServerId, request: u64 },
}

/// A reader and when it began to wait.
#[derive(Clone, Copy, Debug)]
struct PendingRead {
    origin: ReadOrigin,
    since: u64,
}

/// A leader's reads.
#[derive(Debug, Default)]
pub(super) struct ReadRounds {
    /// The number of the latest round.
    current: u64,
    /// The read index of that round and who waits for its majority; `None`: it has it.
    open: Option<(Index, Vec<PendingRead>)>,
    /// Who waits for the next round.
    next: Vec<PendingRead>,
}

impl ReadRounds {
    /// The number of the latest round, which every append carries.
    pub(super) fn current(&self) -> u64 {
        self.current
    }

    /// The clients of this server that wait.
    pub(super) fn into_client_tokens(self) -> impl Iterator<Item = Token> {
        let open = self.open.map(|(_, readers)| readers).unwrap_or_default();
        open.into_iter().chain(self.next).filter_map(|waiting| waiting.origin.client())
    }

    /// Opens the next round, if somebody waits for one and none is open.
    fn start_next(&mut self, index: Index) -> bool {
        let opens = self.open.is_none() && !self.next.is_empty();
        if opens {
            self.current += 1;
            self.open = Some((index, core::mem::take(&mut self.next)));
        }
        opens
    }

    /// Begins a round that serves nobody, unless that of a doubtful answer is over or one is open:
    /// answers to it will be to later questions. Whether it begins.
    pub(super) fn start_empty_round(&mut self, round: u64) -> bool {
        let begins = self.open.is_none() && round == self.current;
        self.current += u64::from(begins);
        begins
    }

    /// Takes out who has waited since before `start`.
    fn take_expired(&mut self, start: u64) -> Vec<PendingRead> {
        let open = self.open.as_mut().map(|(_, readers)| readers);
        let queues = open.into_iter().chain([&mut self.next]);
        queues.flat_map(|queue| queue.extract_if(.., |waiting| waiting.since < start)).collect()
    }
}

impl ReadOrigin {
    fn client(self) -> Option<Token> {
        match self {
            Self::Client(token) => Some(token),
            Self::Peer { .. } => None,
        }
    }
}

/// A follower's reads.
#[derive(Debug)]
pub(super) struct ForwardedReads {
    /// The number of the next question to the leader.
    next: u64,
    /// The questions that are open, and when they were asked.
    open: BTreeMap<u64, (Token, u64)>,
}

impl ForwardedReads {
    /// No questions yet; the first has number `first`.
    pub(super) fn new(first: u64) -> Self {
        Self { next: first, open: BTreeMap::new() }
    }
}

impl Raft {
    /// A client's read.
    pub(super) fn read(&mut self, token: Token) {
        if matches!(self.state, RoleState::Leader(_)) {
            self.queue_read(ReadOrigin::Client(token));
        } else if self.config.has(Bug::FollowerReads) {
            self.effects.push(Effect::ReadReady { token, index: self.commit_index });
        } else if let Some(leader) = self.leader {
            let request = self.forwarded_reads.next;
            self.forwarded_reads.next = request.wrapping_add(1);
            self.forwarded_reads.open.insert(request, (token, self.ticks));
            self.send(leader, Content::ReadIndex { request }, 0);
        } else {
            self.effects.push(Effect::ReadFailed { token });
        }
    }

    /// A follower's question.
    pub(super) fn on_read_index(&mut self, from: ServerId, request: u64) {
        if matches!(self.state, RoleState::Leader(_)) {
            self.queue_read(ReadOrigin::Peer { id: from, request });
        } else {
            self.send(from, Content::ReadIndexReply { request, index: None }, 0);
        }
    }

    /// The leader's answer.
    pub(super) fn on_read_index_reply(&mut self, request: u64, index: Option<Index>) {
        let Some((token, _)) = self.forwarded_reads.open.remove(&request) else { return };
        self.effects.push(match index {
            Some(index) => Effect::ReadReady { token, index },
            None => Effect::ReadFailed { token },
        });
    }

    fn queue_read(&mut self, origin: ReadOrigin) {
        if self.config.has(Bug::StaleReads) {
            return self.answer_read(origin, self.commit_index);
        }
        let since = self.ticks;
        if let RoleState::Leader(leading) = &mut self.state {
            leading.reads.next.push(PendingRead { origin, since });
        }
        self.start_read_round();
    }

    /// Begins to ask a majority whether this server still leads, for all reads that wait.
    pub(super) fn start_read_round(&mut self) {
        if !self.has_committed_in_term() {
            return;
        }
        let (index, now) = (self.commit_index, self.elapsed_ticks());
        let RoleState::Leader(leading) = &mut self.state else { return };
        if leading.reads.start_next(index) {
            if self.config.lease_reads {
                leading.lease.start_round(leading.reads.current(), now);
            }
            for peer in self.peer_ids() {
                self.send_heartbeat(peer);
            }
            self.complete_read_round();
        }
    }

    /// Serves the open round if a majority has answered it, and begins the next.
    pub(super) fn complete_read_round(&mut self) {
        let me = self.config.id;
        let RoleState::Leader(LeaderState { reads, peers, .. }) = &mut self.state else { return };
        let current = reads.current;
        let answered = self.log.membership().quorum_index(|id| match peers.get(&id) {
            Some(progress) => progress.round(),
            None if id == me => current,
            None => 0,
        });
        if self.config.lease_reads {
            self.extend_lease(answered);
        }
        if answered < current {
            return;
        }
        let RoleState::Leader(LeaderState { reads, .. }) = &mut self.state else { return };
        if let Some((index, readers)) = reads.open.take() {
            for waiting in readers {
                self.answer_read(waiting.origin, index);
            }
            self.start_read_round();
        }
    }

    fn answer_read(&mut self, origin: ReadOrigin, index: Index) {
        match origin {
            ReadOrigin::Client(token) => self.effects.push(Effect::ReadReady { token, index }),
            ReadOrigin::Peer { id, request } => {
                self.send(id, Content::ReadIndexReply { request, index: Some(index) }, 0);
            }
        }
    }

    /// Gives up reads that have waited for an election timeout.
    pub(super) fn expire_reads(&mut self) {
        let start = self.ticks.saturating_sub(u64::from(self.config.election_ticks));
        if let RoleState::Leader(leading) = &mut self.state {
            let late = leading
                .reads
                .take_expired(start)
                .into_iter()
                .filter_map(|late| late.origin.client());
            self.effects.extend(late.map(|token| Effect::ReadExpired { token }));
        }
        let late = self.forwarded_reads.open.extract_if(.., |_, (_, since)| *since < start);
        self.effects.extend(late.map(|(_, (token, _))| Effect::ReadExpired { token }));
    }

    /// Gives up reads that wait for the word of a leader which is none any more.
    pub(super) fn fail_forwarded_reads(&mut self) {
        let open = core::mem::take(&mut self.forwarded_reads.open);
        self.effects.extend(open.into_values().map(|(token, _)| Effect::ReadFailed { token }));
    }
}
