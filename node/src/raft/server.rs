//! Defines the server, its entry point [`Raft::step`] and the comparison of terms that every
//! message passes first (paper §5.1).

use super::config::Config;
use super::effect::{Effect, Persist};
use super::entry::Entry;
use super::input::Input;
use super::log::Log;
use super::membership::Membership;
use super::message::{Content, Message};
use super::random::Random;
use super::read_rounds::ForwardedReads;
use super::role::RoleState;
use super::snapshot_state::SnapshotState;
use super::stored::Stored;
use super::types::{HardState, Index, Position, ServerId, Status};
use super::write_tracker::WriteTracker;
use crate::bug::Bug;
use alloc::vec::Vec;

/// One server.
#[derive(Debug)]
pub struct Raft {
    pub(super) config: Config,
    pub(super) random: Random,
    pub(super) hard_state: HardState,
    pub(super) log: Log,
    pub(super) writes: WriteTracker,
    /// The last entry known to be committed.
    pub(super) commit_index: Index,
    /// The last entry that was delivered to the runtime.
    pub(super) delivered: Index,
    /// How many more entries the current step may deliver.
    pub(super) delivery_budget: Index,
    /// Up to where this log is known to equal that of the current term's leader. A leader never
    /// changes its own entries, so this holds until the term ends.
    pub(super) leader_match: Index,
    pub(super) state: RoleState,
    /// The leader of the current term, once it has been heard.
    pub(super) leader: Option<ServerId>,
    /// Ticks since this server started.
    pub(super) ticks: u64,
    /// Time that passed without ticks, in ticks: the process was paused or starved.
    pub(super) missed_ticks: u64,
    /// Until when, in `ticks`, this server gives no vote: a leader may hold a lease on it.
    pub(super) withhold_votes_until: u64,
    /// Ticks since a leader was heard, a vote was given or an election began.
    pub(super) election_elapsed: u32,
    /// The value of `election_elapsed` at which an election begins.
    pub(super) election_timeout: u32,
    /// The last snapshot, and the progress of the next.
    pub(super) snapshots: SnapshotState,
    /// The reads that wait for the leader's reply.
    pub(super) forwarded_reads: ForwardedReads,
    /// The effects of the current step so far.
    pub(super) effects: Vec<Effect>,
}

impl Raft {
    /// Creates a server from its durable state, at its first start or after a restart.
    pub fn new(config: Config, stored: Stored) -> Self {
        let mut random = Random::new(config.seed, config.id);
        let mut hard_state = stored.hard_state;
        // Seeded bug: a server that forgets its vote can vote twice in one term and so elect two
        // leaders (paper §5.2).
        if config.has_bug(Bug::ForgetVote) {
            hard_state.voted_for = None;
        }
        let base = match &stored.snapshot {
            Some(snapshot) => (snapshot.last.index, snapshot.membership.clone()),
            None => (0, Membership::from_voters(&config.voters)),
        };
        let log = Log::new(stored.start, stored.entries, base);
        let mut raft = Self {
            hard_state,
            writes: WriteTracker::new(log.last_position().index, config.bugs),
            log,
            // The commit index is not durable: it is learned again from the leader (figure 2).
            commit_index: 0,
            delivered: 0,
            delivery_budget: 0,
            leader_match: 0,
            state: RoleState::Follower,
            leader: None,
            ticks: 0,
            missed_ticks: 0,
            // The previous start may have acknowledged a leader that still holds a lease on it.
            withhold_votes_until: u64::from(config.election_ticks),
            election_elapsed: 0,
            election_timeout: 0,
            snapshots: SnapshotState::default(),
            forwarded_reads: ForwardedReads::new(match config.has_bug(Bug::ReuseReadNumbers) {
                true => 0,
                false => random.next_u64(),
            }),
            effects: Vec::new(),
            random,
            config,
        };
        raft.recover_snapshot(stored.snapshot);
        raft.reset_election_timer();
        raft
    }

    /// Takes one input and appends its effects.
    pub fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        let before = (self.role(), self.term(), self.leader);
        let revision = self.log.revision();
        self.reset_delivery_budget();
        self.deliver_committed();
        match input {
            Input::Tick => self.tick(),
            Input::Receive { from, message } => self.receive_message(from, message),
            Input::Propose { token, command } => self.propose_command(token, command),
            Input::ChangeMembership { token, change } => self.change_membership(token, &change),
            Input::TransferLeadership { to } => self.transfer_leadership(to),
            Input::Read { token } => self.handle_read(token),
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

    /// Compares terms (paper §5.1), then dispatches the message.
    fn receive_message(&mut self, from: ServerId, message: Message) {
        let Message { term, content } = message;
        // The sender need not be in this server's configuration: a new leader may be a member
        // that this log does not name yet. Its votes and acknowledgements count only if it is.
        if from == self.config.id {
            return;
        }
        // Before the term comparison: a server cut off from the leader campaigns in ever higher
        // terms. Adopting such a term would depose a healthy leader (thesis §4.2.3).
        if self.in_leader_lease(&content) {
            return;
        }
        // A higher term ends this server's role, whatever the message: otherwise a leader or
        // candidate of an old term would go on beside the new one (paper §5.1).
        if term > self.term() && !self.keeps_term(&content) {
            self.enter_term(term, None);
        }
        // A vote or acknowledgement of an older term must not count in this one: the sender may
        // have voted for, or followed, another server since (paper §5.1).
        if term < self.term() && !self.counts_stale(&content) {
            return self.reject_stale(from, &content);
        }
        match content {
            Content::RequestVote { pre, last, .. } => self.on_request_vote(from, pre, last),
            Content::VoteReply { pre, granted } => self.on_vote_reply(from, pre, granted),
            Content::AppendEntries(append) => self.on_append(from, append),
            Content::AppendAccepted { index, round } => self.on_append_accepted(from, index, round),
            Content::AppendRejected { rejected, hint, round } => {
                self.on_append_rejected(from, rejected, hint, round);
            }
            Content::InstallSnapshot(chunk) => self.on_snapshot(from, chunk),
            Content::SnapshotReceived { last, received, round } => {
                self.on_snapshot_received(from, last, received, round);
            }
            // Its term was compared above; it carries nothing else.
            Content::StaleTerm => {}
            Content::TimeoutNow => self.on_timeout_now(from),
            Content::ReadIndex { request } => self.on_read_index(from, request),
            Content::ReadIndexReply { request, index } => self.on_read_index_reply(request, index),
        }
    }

    /// Returns this server's own view of its state.
    pub fn status(&self) -> Status {
        Status {
            role: self.role(),
            term: self.term(),
            leader: self.leader,
            last_index: self.log.last_position().index,
            commit_index: self.commit_index,
        }
    }

    /// Returns the configuration in force: the last one in the log, committed or not.
    pub fn membership(&self) -> &Membership {
        self.log.membership()
    }

    /// Returns the log from after [`Raft::start`].
    pub fn log(&self) -> &[Entry] {
        self.log.entries()
    }

    /// Returns the position up to which the log was compacted.
    pub fn log_start(&self) -> Position {
        self.log.start_position()
    }

    /// Sends a message once the `Persist` with sequence number `after` is durable.
    pub(super) fn send_message(&mut self, to: ServerId, content: Content, after: u64) {
        let message = Message { term: self.term(), content };
        self.effects.push(Effect::Send { to, message, after });
    }

    /// Writes a hard state or entries to stable storage.
    pub(super) fn persist_changes(&mut self, hard_state: Option<HardState>, entries: Vec<Entry>) {
        let sequence = self.writes.begin_write(hard_state.is_some(), &entries);
        self.emit_persist(Persist { sequence, hard_state, entries, snapshot: None, start: None });
    }

    pub(super) fn emit_persist(&mut self, persist: Persist) {
        let sequence = persist.sequence;
        self.effects.push(Effect::Persist(persist));
        // Seeded bug: votes and acknowledgements leave before their write is durable, so a power
        // loss takes back what others have counted (thesis §3.8).
        if self.config.has_bug(Bug::NoFsync) {
            self.writes.record_durable(sequence);
        }
    }

    /// Counts this server's own vote and entries, which had to become durable first.
    fn on_persisted(&mut self, sequence: u64) {
        self.writes.record_durable(sequence);
        self.count_own_vote();
        self.advance_commit();
    }
}
