//! Decides what a Raft server does: [`Raft::step`] takes one [`Input`] and appends the [`Effect`]s
//! it causes.
//!
//! The laws between the brain and the body that runs it:
//!
//! 1. Effects are carried out in the order in which they were emitted, with one freedom: the body
//!    may make [`Persist`]s durable in the background, several with one `fdatasync`, and reports
//!    each by [`Input::Persisted`] with the greatest sequence number that is durable (and so all
//!    before it).
//! 2. A [`Effect::Send`] leaves only when the `Persist` whose sequence number it names in `after`
//!    is durable; `after: 0` leaves at once (a leader sends entries while its own disk still works
//!    on them, but counts itself only when `Persisted` says so).
//! 3. [`Effect::Commit`] hands over entries once each, in order of index, without gaps. A restarted
//!    server hands over everything again, from after its snapshot. One step hands over a bounded slice; while
//!    [`Raft::has_undelivered`], the next inputs bring the rest, and [`Input::Continue`] does only that.
//! 4. A proposal is answered exactly once: [`Effect::Acknowledge`] (committed: answer with what
//!    applying entry `index` returned), [`Effect::Refused`] (it was never appended here: definitely
//!    not done) or [`Effect::OutcomeUnknown`] (it was appended here, and this server can no longer tell: the
//!    client must be told *unknown*).
//! 5. A read is answered exactly once: [`Effect::ReadReady`] (serve it when everything up to
//!    `index` is applied) or [`Effect::ReadFailed`] or [`Effect::ReadExpired`] (nothing was read: definite).
//! 6. [`Config::seed`] differs from one start of a server to the next.
//! 7. The store that [`Effect::TakeSnapshot`] asks for is the one that contains everything handed over
//!    so far; [`Input::SnapshotTaken`] may bring it later. [`Effect::Restore`] puts another in its
//!    place, which contains what was handed over and more. A restarted server's store is that of
//!    its [`Stored::snapshot`].
//! 8. After [`Effect::Fatal`] the body ends the server: it takes no further input.
//!
//! Sections cited as *paper* are of Ongaro and Ousterhout, *In Search of an Understandable
//! Consensus Algorithm* (extended version, 2014), as *thesis* of Ongaro, *Consensus: Bridging
//! Theory and Practice*.

mod append;
mod bug;
mod change;
mod commit;
mod effect;
mod election;
mod input;
pub mod invariants;
mod lease;
#[cfg(test)]
mod lease_tests;
mod log;
mod membership;
mod message;
mod progress;
mod quorum;
mod random;
mod read_index;
mod replication;
mod role;
mod snapshot;
#[cfg(test)]
mod tests;
mod transfer;
mod write_tracker;

pub use bug::{BUGS, Bug};
pub use effect::{Effect, Persist};
pub use input::Input;
pub use membership::{ChangeError, Membership, MembershipChange};
pub use message::{Content, Message, Position};
pub use snapshot::{Compaction, Snapshot};

use alloc::vec::Vec;
use log::Log;
use random::Random;
use read_index::ForwardedReads;
use role::RoleState;
use serde::{Deserialize, Serialize};
use write_tracker::WriteTracker;

/// A server's name inside the brain: for the first members the position in the sorted list of them,
/// from 1; newcomers get the numbers after those.
pub type ServerId = u64;
/// An election term; 0 before the first election.
pub type Term = u64;
/// A position in the log; the first entry has index 1, 0 means "before the log".
pub type Index = u64;
/// What the body names a request by, so that it finds the client that waits for the answer.
pub type Token = u64;

/// What a log entry carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// What a new leader appends so that entries of older terms can be committed (thesis §6.4,
    /// paper §8).
    Noop,
    /// A command of the state machine, opaque here.
    Command(Vec<u8>),
    /// Who takes part from here on.
    Membership(Membership),
}

/// One entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The term of the leader that created it.
    pub term: Term,
    /// Its position.
    pub index: Index,
    /// What it carries.
    pub payload: Payload,
}

/// What must be durable before a server answers anything that depends on it (paper, figure 2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    /// The latest term this server has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<ServerId>,
}

/// What a server is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Follows a leader, or waits for one.
    Follower,
    /// Asks whether an election could be won, without disturbing anybody (thesis §9.6).
    PreCandidate,
    /// Stands for election in its term.
    Candidate,
    /// Leads its term.
    Leader,
}

/// What a server says of itself; never evidence of anything about consistency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: Term,
    /// The leader of that term, where known.
    pub leader: Option<ServerId>,
    /// The last entry of its log.
    pub last_index: Index,
    /// The last entry it knows to be committed.
    pub commit_index: Index,
}

/// How a server behaves; fixed for its life.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who it is.
    pub id: ServerId,
    /// The voters that the cluster began with; whoever joins it later leaves this empty.
    pub voters: Vec<ServerId>,
    /// Ticks between heartbeats of a leader.
    pub heartbeat_ticks: u32,
    /// An election timeout is drawn uniformly from `election_ticks .. 2 * election_ticks`.
    pub election_ticks: u32,
    /// Decides every random choice of this server. Give it another one at each start: the numbers
    /// that tell this life's questions from those of the life before come from it too.
    pub seed: u64,
    /// Whether reads may be served by lease. All servers of a cluster must agree on it.
    pub lease_reads: bool,
    /// When the log is cut.
    pub compaction: Compaction,
    /// The bugs that are switched on; empty outside tests of the harness.
    pub unsafe_bugs: Vec<Bug>,
}

/// What a server finds on its disk when it starts.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    /// The last durable term and vote.
    pub hard_state: HardState,
    /// The last durable snapshot.
    pub snapshot: Option<Snapshot>,
    /// The last place that was cut off the durable log.
    pub start: Position,
    /// The durable log, from just after `start`, without gaps.
    pub entries: Vec<Entry>,
}

/// One server.
#[derive(Debug)]
pub struct Raft {
    config: Config,
    random: Random,
    hard_state: HardState,
    log: Log,
    writes: WriteTracker,
    /// The last entry known to be committed.
    commit_index: Index,
    /// The last entry that was handed over.
    delivered: Index,
    /// How many more entries the current step may hand over.
    delivery_budget: Index,
    /// Up to where the log is known to be that of the current term's leader, who does not change
    /// it.
    leader_match: Index,
    state: RoleState,
    /// The leader of the current term, once it has been heard.
    leader: Option<ServerId>,
    /// Ticks since this server started.
    ticks: u64,
    /// The time that passed without ticks, in ticks.
    missed_ticks: u64,
    /// Until when, in ticks since this server started, a leader may count on its giving no vote.
    withhold_votes_until: u64,
    /// Ticks since a leader was heard, a vote was given or an election began.
    election_elapsed: u32,
    /// At how many of those an election begins.
    election_timeout: u32,
    /// The last snapshot, and what is to be done for the next.
    snapshots: snapshot::SnapshotState,
    /// The reads that wait for the leader's word.
    forwarded_reads: ForwardedReads,
    /// What the current step has caused so far.
    effects: Vec<Effect>,
}

impl Raft {
    /// A server that starts, or starts again, from what its disk holds.
    pub fn new(config: Config, stored: Stored) -> Self {
        let mut random = Random::new(config.seed, config.id);
        let mut hard_state = stored.hard_state;
        if config.has(Bug::ForgetVote) {
            hard_state.voted_for = None;
        }
        let base = match &stored.snapshot {
            Some(snapshot) => (snapshot.last.index, snapshot.membership.clone()),
            None => (0, Membership::from_voters(&config.voters)),
        };
        let log = Log::new(stored.start, stored.entries, base);
        let mut raft = Self {
            hard_state,
            writes: WriteTracker::new(log.last().index),
            log,
            commit_index: 0,
            delivered: 0,
            delivery_budget: 0,
            leader_match: 0,
            state: RoleState::Follower,
            leader: None,
            ticks: 0,
            missed_ticks: 0,
            withhold_votes_until: u64::from(config.election_ticks),
            election_elapsed: 0,
            election_timeout: 0,
            snapshots: snapshot::SnapshotState::default(),
            forwarded_reads: ForwardedReads::new(random.next()),
            effects: Vec::new(),
            random,
            config,
        };
        raft.recover(stored.snapshot);
        raft.reset_election_timer();
        raft
    }

    /// Takes one input and appends what it causes.
    pub fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        let before = (self.role(), self.term(), self.leader);
        let revision = self.log.revision();
        self.delivery_budget = commit::MAX_DELIVERED_PER_STEP;
        self.deliver_committed();
        match input {
            Input::Tick => self.tick(),
            Input::Receive { from, message } => self.receive(from, message),
            Input::Propose { token, command } => self.propose(token, command),
            Input::ChangeMembership { token, change } => self.change_membership(token, &change),
            Input::TransferLeadership { to } => self.transfer_leadership(to),
            Input::Read { token } => self.read(token),
            Input::LeaseRead { token } => self.read_with_lease(token),
            Input::MissedTicks { ticks } => self.add_missed_ticks(ticks),
            Input::Persisted { sequence } => self.on_persisted(sequence),
            Input::SnapshotTaken { last, data } => self.on_snapshot_taken(last, data),
            Input::RewriteLog => self.rewrite_log(),
            Input::Continue => {}
        }
        if before != (self.role(), self.term(), self.leader) {
            self.effects.push(Effect::StatusChanged(self.status()));
        }
        if revision != self.log.revision() {
            let membership = self.log.membership().clone();
            self.effects.push(Effect::MembershipChanged { membership });
        }
        self.request_snapshot();
        effects.append(&mut self.effects);
    }

    /// Compares terms first (paper §5.1), then does what the message asks.
    fn receive(&mut self, from: ServerId, message: Message) {
        let Message { term, content } = message;
        // Whoever speaks may be a member that this server has not heard of yet.
        if from == self.config.id || self.in_leader_lease(&content) {
            return;
        }
        if term > self.term() {
            self.enter_term(term, None);
        }
        if term < self.term() {
            return self.reject_stale(from, &content);
        }
        match content {
            Content::RequestVote { pre, last, .. } => self.on_request_vote(from, pre, last),
            Content::VoteReply { pre, granted } => self.on_vote_reply(from, pre, granted),
            Content::AppendEntries { previous, entries, commit, round } => {
                self.on_append(from, append::AppendRequest { previous, entries, commit, round });
            }
            Content::AppendAccepted { index, round } => self.on_append_accepted(from, index, round),
            Content::AppendRejected { rejected, hint, round } => {
                self.on_append_rejected(from, rejected, hint, round);
            }
            Content::InstallSnapshot { last, membership, size, offset, data, round } => {
                let chunk = snapshot::SnapshotChunk { last, membership, size, offset, data, round };
                self.on_snapshot(from, chunk);
            }
            Content::SnapshotReceived { last, received, round } => {
                self.on_snapshot_received(from, last, received, round)
            }
            Content::StaleTerm => {}
            Content::TimeoutNow => self.on_timeout_now(from),
            Content::ReadIndex { request } => self.on_read_index(from, request),
            Content::ReadIndexReply { request, index } => self.on_read_index_reply(request, index),
        }
    }

    /// What this server is now.
    pub fn status(&self) -> Status {
        Status {
            role: self.role(),
            term: self.term(),
            leader: self.leader,
            last_index: self.log.last().index,
            commit_index: self.commit_index,
        }
    }

    /// Who takes part, as far as this server has heard; it need not be committed.
    pub fn membership(&self) -> &Membership {
        self.log.membership()
    }

    /// Its log, from after [`Raft::start`].
    pub fn log(&self) -> &[Entry] {
        self.log.entries()
    }

    /// The last place that was cut off its log.
    pub fn start(&self) -> Position {
        self.log.start()
    }

    /// Sends a message that depends on the `Persist` of that number.
    fn send(&mut self, to: ServerId, content: Content, after: u64) {
        let message = Message { term: self.term(), content };
        self.effects.push(Effect::Send { to, message, after });
    }

    /// Writes to stable storage.
    fn persist(&mut self, hard_state: Option<HardState>, entries: Vec<Entry>) {
        let sequence = self.writes.begin_write(hard_state.is_some(), &entries);
        self.emit_persist(Persist { sequence, hard_state, entries, snapshot: None, start: None });
    }

    fn emit_persist(&mut self, persist: Persist) {
        let sequence = persist.sequence;
        self.effects.push(Effect::Persist(persist));
        if self.config.has(Bug::NoFsync) {
            self.writes.complete(sequence);
        }
    }

    /// Counts for this server what waited for its disk.
    fn on_persisted(&mut self, sequence: u64) {
        self.writes.complete(sequence);
        self.count_own_vote();
        self.advance_commit();
    }
}
