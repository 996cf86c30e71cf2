//! Steps the Raft core and carries out its effects, in their order and under the laws of
//! [`crate::raft`].

use super::leader_balance::LeaderBalance;
use super::pending::{PendingRequests, Proposer, Stage, Transfer};
use super::request::Answer;
use super::request::{ClientRequest, FailureReason, Proposal, ProposalResult, Reply, Request};
use super::store_bugs::BuggyStore;
use crate::bug::Bug;
use crate::kv::{Outcome, Store};
use crate::raft::{Config, ServerId, Status, Stored, Token};
use crate::raft::{Effect, Index, Input, Membership, Message, Persist, Position, Raft};
use crate::wal::GroupId;
use crate::wire::MemberReply;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

/// The longest that a request may wait.
pub const MAX_REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// What a runtime is made of.
#[derive(Debug)]
pub struct RuntimeConfig {
    /// The settings of the core.
    pub raft: Config,
    /// The group, and how many there are.
    pub group: GroupId,
    /// See `group`.
    pub groups: GroupId,
    /// A number unlike that of any earlier start of this replica.
    pub start: u64,
    /// The shortest election timeout.
    pub election: Duration,
}

/// What the caller has to do, in this order. `C` is how it finds a client again.
#[derive(Debug)]
pub enum Output<C> {
    /// Make this durable, and report it by [`Input::Persisted`]; writes become durable in order.
    Write(Persist),
    /// Send a message: everything that it depends on is durable.
    Send {
        /// The receiver.
        to: ServerId,
        /// The message.
        message: Message,
    },
    /// Send a client's proposal to the leader; where that is certainly impossible, call
    /// [`Runtime::fail_forward`].
    Forward {
        /// The leader.
        to: ServerId,
        /// Names the proposal; the result comes back under it.
        request: Token,
        /// How long the client waits.
        timeout: Duration,
        /// The proposal.
        proposal: Proposal,
    },
    /// Tell a peer what became of a proposal that it forwarded.
    ForwardResult {
        /// The peer.
        to: ServerId,
        /// The peer's name for it.
        request: u64,
        /// What became of it.
        result: ProposalResult,
    },
    /// Answer a client.
    Reply(Reply<C>),
    /// The core asked for a snapshot, and the store was encoded.
    SnapshotTaken {
        /// The last entry that it contains.
        last: Position,
        /// How many bytes it has.
        bytes: usize,
    },
    /// The leadership of this group is handed to another replica, so that the leaders of all groups
    /// are spread over the members.
    BalanceLeaders {
        /// The next leader.
        to: ServerId,
    },
    /// An effect that was carried out here, for connections, logs, traces and invariant checkers:
    /// `Commit`, `Restore`, `MembershipChanged`, `StatusChanged`, `PeerLostEntries` or `Fatal`.
    Done(Effect),
    /// The replica cannot continue, and this is why. Nothing follows.
    Failed(String),
}

/// One group of a replica: the core, the store, and every request that waits.
///
/// It is a deterministic value: methods take what happens, and [`Runtime::take_outputs`] returns
/// what the caller has to do.
#[derive(Debug)]
pub struct Runtime<C> {
    pub(super) raft: Raft,
    pub(super) store: Store,
    pub(super) bugs: BuggyStore,
    pub(super) pending: PendingRequests<C>,
    /// What the commands applied in the current step returned, for its acknowledgements.
    pub(super) outcomes: BTreeMap<Index, Outcome>,
    /// The last durable write, and the messages that wait for later ones.
    pub(super) durable: u64,
    held: BTreeMap<u64, Vec<(ServerId, Message)>>,
    /// The snapshot that the core has asked for in the current step.
    snapshot: Option<(Position, Vec<u8>)>,
    /// The members with their names, as the caller describes them.
    pub(super) roster: Vec<MemberReply>,
    pub(super) me: ServerId,
    pub(super) balance: LeaderBalance,
    /// The request for another leader that is under way.
    pub(super) transfer: Option<Transfer>,
    /// The time since this replica started, and the wall clock.
    pub(super) now: Duration,
    pub(super) wall: Duration,
    pub(super) outputs: Vec<Output<C>>,
    /// An empty vector that keeps its memory from one step to the next.
    effects: Vec<Effect>,
    failed: bool,
}

impl<C> Runtime<C> {
    /// A replica's group that starts from what its disk holds.
    pub fn new(config: RuntimeConfig, stored: Stored) -> Result<Self, String> {
        let store = match &stored.snapshot {
            Some(snapshot) => Store::decode(&snapshot.data)
                .map_err(|error| format!("the snapshot is not one of this version: {error}"))?,
            None => Store::default(),
        };
        let RuntimeConfig { raft, group, groups, start, election } = config;
        let (me, bugs) = (raft.id, raft.bugs);
        let raft = Raft::new(raft, stored);
        let last = raft.status().last_index;
        Ok(Self {
            raft,
            store,
            bugs: BuggyStore::new(bugs, me, last, election),
            pending: PendingRequests::new(
                if bugs.contains(Bug::ReuseTokens) { 0 } else { start },
                groups,
            ),
            outcomes: BTreeMap::new(),
            durable: 0,
            held: BTreeMap::new(),
            snapshot: None,
            roster: Vec::new(),
            me,
            balance: LeaderBalance::new(group, groups),
            transfer: None,
            now: Duration::ZERO,
            wall: Duration::ZERO,
            outputs: Vec::new(),
            effects: Vec::new(),
            failed: false,
        })
    }

    /// Sets the clocks: the time since this replica started, and the wall clock (since 1970).
    pub fn set_time(&mut self, now: Duration, wall: Duration) {
        (self.now, self.wall) = (now, wall);
    }

    /// Sets the members' names and addresses, which the core does not keep.
    pub fn set_roster(&mut self, roster: Vec<MemberReply>) {
        self.roster = roster;
    }

    /// What the caller has to do now.
    pub fn take_outputs(&mut self) -> Vec<Output<C>> {
        core::mem::take(&mut self.outputs)
    }

    /// The same, moved into an empty vector, which keeps its memory from one call to the next.
    pub fn swap_outputs(&mut self, outputs: &mut Vec<Output<C>>) {
        debug_assert!(outputs.is_empty(), "outputs would be lost");
        core::mem::swap(&mut self.outputs, outputs);
    }

    /// What the core is now.
    pub fn status(&self) -> Status {
        self.raft.status()
    }

    /// The last entry that the store contains.
    pub fn applied(&self) -> Index {
        self.store.applied()
    }

    /// The members, as far as this replica has received them.
    pub fn membership(&self) -> &Membership {
        self.raft.membership()
    }

    /// Whether committed entries wait for [`Input::Continue`].
    pub fn has_undelivered(&self) -> bool {
        self.raft.has_undelivered()
    }

    /// Whether it cannot continue.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Lets one tick pass.
    pub fn tick(&mut self) {
        self.pending.drop_expired(self.now);
        self.bugs.tick(&mut self.store);
        self.step(Input::Tick);
        self.watch_transfer(&self.raft.status());
        self.balance_leaders();
    }

    /// Gives the core an input and carries out what it wants.
    pub fn step(&mut self, input: Input) {
        if self.failed {
            return;
        }
        if let Input::Persisted { sequence } = input {
            self.send_held_messages(sequence);
        }
        let mut effects = core::mem::take(&mut self.effects);
        self.raft.step(input, &mut effects);
        for effect in effects.drain(..) {
            self.carry_out(effect);
            if self.failed {
                break;
            }
        }
        self.effects = effects;
        // Acknowledgements come in the step that commits: these are not needed again.
        self.outcomes.clear();
        if let Some((last, data)) = self.snapshot.take() {
            self.outputs.push(Output::SnapshotTaken { last, bytes: data.len() });
            self.step(Input::SnapshotTaken { last, data });
        }
    }

    /// Ends this replica after what it is doing.
    pub fn fail(&mut self, why: String) {
        if !self.failed {
            self.failed = true;
            self.outputs.push(Output::Failed(why));
        }
    }

    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Persist(persist) => self.outputs.push(Output::Write(persist)),
            Effect::Send { to, message, after } if after <= self.durable => {
                self.outputs.push(Output::Send { to, message });
            }
            Effect::Send { to, message, after } => {
                self.held.entry(after).or_default().push((to, message));
            }
            Effect::Commit { entries } => self.apply_entries(entries),
            Effect::TakeSnapshot { last } => self.snapshot = Some((last, self.encode_store())),
            Effect::Restore { snapshot } => self.restore_snapshot(snapshot),
            Effect::Acknowledge { token, index } => self.acknowledge_write(token, index),
            Effect::Refused { token, leader } => self.forward_or_refuse(token, leader),
            Effect::ChangeRejected { token, error } => self.reject_change(token, error),
            Effect::OutcomeUnknown { token } => {
                let fails = self.bugs.has_bug(Bug::FailOnStepDown);
                let result = if fails { ProposalResult::Refused } else { ProposalResult::Lost };
                self.finish_proposal(token, result);
            }
            Effect::ReadReady { token, index } => self.read_ready(token, index),
            Effect::ReadFailed { token } => self.fail_read(token, FailureReason::NoLeader),
            Effect::ReadExpired { token } => self.fail_read(token, FailureReason::NoQuorum),
            Effect::Fatal { committed, new } => {
                self.outputs.push(Output::Done(effect));
                self.fail(describe_overwrite(committed, new));
            }
            Effect::StatusChanged(ref status) => {
                self.watch_transfer(status);
                self.outputs.push(Output::Done(effect));
            }
            Effect::MembershipChanged { .. } | Effect::PeerLostEntries { .. } => {
                self.outputs.push(Output::Done(effect));
            }
        }
    }

    /// The store as bytes, for a snapshot.
    pub(super) fn encode_store(&self) -> Vec<u8> {
        if self.bugs.has_bug(Bug::SnapshotWithoutSessions) {
            return self.store.without_sessions().encode();
        }
        self.store.encode()
    }

    /// Sends what waited for writes up to this one.
    fn send_held_messages(&mut self, sequence: u64) {
        self.durable = self.durable.max(sequence);
        if self.held.is_empty() {
            return;
        }
        let later = self.held.split_off(&(sequence + 1));
        let free = core::mem::replace(&mut self.held, later);
        let send = |(to, message)| Output::Send { to, message };
        self.outputs.extend(free.into_values().flatten().map(send));
    }

    /// Takes a client's request. One whose deadline has passed is not carried out: its client has
    /// already received a timeout.
    pub fn submit_request(&mut self, asked: ClientRequest<C>) {
        let ClientRequest { request, deadline, client } = asked;
        if self.failed || deadline <= self.now {
            return;
        }
        if !self.pending.has_room(request.byte_size()) {
            return self.send_reply(client, Answer::Failed(FailureReason::Overloaded));
        }
        let token = self.pending.next_token();
        let (request, early) = match self.bugs.admit_request(&self.store, request) {
            Ok(admitted) => admitted,
            Err(answer) => return self.send_reply(client, answer),
        };
        let writer = |client| Proposer::Client { client, early };
        match request {
            Request::Write(command) => {
                let proposal = Proposal::Command(command.encode());
                self.submit_proposal(token, proposal, writer(client), deadline);
            }
            Request::ChangeMembers(request) => {
                self.submit_proposal(token, Proposal::Members(request), writer(client), deadline);
            }
            Request::TransferLeadership(name) => {
                self.submit_proposal(token, Proposal::Leader(name), writer(client), deadline);
            }
            Request::Read { query, after, .. } if self.bugs.is_leased(token, self.wall) => {
                self.pending.insert_applying(token, after, (query, client, deadline));
                self.serve_reads();
            }
            Request::Read { query, after, lease } => {
                let stage = Stage::Confirming { query, after, client };
                self.pending.insert(token, stage, deadline);
                self.step(if lease { Input::LeaseRead { token } } else { Input::Read { token } });
            }
            Request::ReadStale { query, after } => {
                self.pending.insert_applying(token, after, (query, client, deadline));
                self.serve_reads();
            }
        }
    }

    fn submit_proposal(
        &mut self,
        token: Token,
        proposal: Proposal,
        writer: Proposer<C>,
        until: Duration,
    ) {
        let stage = Stage::Proposed { proposal: proposal.clone(), proposer: writer };
        self.pending.insert(token, stage, until);
        match proposal {
            Proposal::Command(command) => self.step(Input::Propose { token, command }),
            Proposal::Members(request) => self.change_members(token, &request),
            Proposal::Leader(name) => self.transfer_to(token, &name),
        }
    }

    /// Proposes what a peer has forwarded, by the rule for this replica's own clients.
    pub fn receive_forward(
        &mut self,
        (peer, request): (ServerId, u64),
        proposal: Proposal,
        timeout: Duration,
    ) {
        if timeout.is_zero() || !self.pending.has_room(proposal.byte_size()) {
            let result = ProposalResult::Refused;
            return self.outputs.push(Output::ForwardResult { to: peer, request, result });
        }
        let token = self.pending.next_token();
        let writer = Proposer::Peer { peer, request };
        self.submit_proposal(token, proposal, writer, self.now + timeout.min(MAX_REQUEST_TIMEOUT));
    }
}

fn describe_overwrite(committed: Position, new: Position) -> String {
    let Position { term, index } = committed;
    let other = new.term;
    format!(
        "entry {index} is committed here with term {term}, but the leader replaces it by one of \
         term {other}: some replica has lost what it acknowledged, and going on would spread that"
    )
}
