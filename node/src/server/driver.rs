//! Feeds the brain and carries out what it wants, in the order and under the laws of
//! [`crate::raft`].
//!
//! One task owns the brain, the store and everything that waits of one group; whatever happens
//! elsewhere (a client asks, a peer speaks, the disk is done) reaches it through its [`Inbox`]. It
//! never waits for anything but the next of these or a tick, and takes clients last.

use super::flaws::Flaws;
use super::links::Links;
use super::log::Log;
use super::members::Members;
use super::request::{Ask, Finding, LONGEST_TIMEOUT, Reason, Request, Stage, Waiting, Writer};
use super::storage::Report;
use super::ticks::Ticks;
use super::trace::Trace;
use super::transport::{Answer, Frame, Proposal};
use super::view::View;
use crate::kv::{Outcome, Store};
use crate::raft::{Effect, Index, Input, Message, Persist, Position, Raft};
use crate::raft::{ServerId, Status, Token};
use crate::runtime::LogWrite;
use crate::wal::Group;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Interval, MissedTickBehavior, interval};

mod answers;
mod apply;
mod changes;
mod spread;
#[cfg(test)]
mod tests;

/// One tick of the brain's clock.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// How many peers' events one turn handles.
const MOST_EVENTS: usize = 256;
/// How many more clients one turn serves.
const MOST_CLIENTS: usize = 16;

/// Something that happened between this replica and a peer.
#[derive(Debug)]
pub(super) enum Event {
    /// The peer sent something.
    Frame { from: ServerId, frame: Frame },
    /// The connection to the peer stands, or broke, and why.
    Link { peer: ServerId, broken: Option<String> },
    /// A peer takes this replica for another than it met, and says so.
    Refused(String),
}

/// What the driver waits for, each in a queue of its own: clients cannot keep the disk's word, the
/// clock or the peers from being heard.
#[derive(Debug)]
pub(super) struct Inbox {
    /// What is durable, or why nothing is any more.
    pub(super) disk: mpsc::Receiver<Result<Report, String>>,
    pub(super) peers: mpsc::Receiver<Event>,
    pub(super) clients: mpsc::Receiver<Ask>,
}

/// What the driver of one group is made of.
#[derive(Debug)]
pub(super) struct Driver {
    /// Which of them, and of how many.
    pub(super) group: Group,
    pub(super) groups: Group,
    pub(super) raft: Raft,
    pub(super) store: Store,
    pub(super) members: Members,
    pub(super) links: Links,
    pub(super) disk: mpsc::UnboundedSender<LogWrite>,
    pub(super) view: View,
    pub(super) log: Log,
    pub(super) memory: Memory,
    pub(super) flaws: Flaws,
    pub(super) trace: Option<Trace>,
}

/// What the driver remembers from one event to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    waiting: Waiting,
    ticks: Ticks,
    /// What the commands applied in the current step returned, for its acknowledgements.
    outcomes: BTreeMap<Index, Outcome>,
    durable: u64,
    held: BTreeMap<u64, Vec<(ServerId, Message)>>,
    /// The snapshot that the brain has asked for in the current step.
    taken: Option<(Position, Vec<u8>)>,
    /// The wish for another leader that is under way.
    handing: Option<changes::Handing>,
    /// In how many ticks whoever has gone is no longer dialled.
    parting: u32,
    /// For how many ticks this replica has led.
    led: u32,
    /// Why this replica cannot go on.
    failure: Option<String>,
}

impl Memory {
    /// Remembers nothing yet; `start` is unlike that of any earlier start, and so many groups share
    /// the room for what waits.
    pub(super) fn new(start: u64, groups: Group) -> Self {
        Self { waiting: Waiting::new(start, groups), ..Self::default() }
    }
}

impl Driver {
    /// Runs until this replica cannot go on, and says why.
    pub(super) async fn run(mut self, mut inbox: Inbox) -> String {
        let mut ticks = interval(TICK);
        // After a pause one tick is enough: a burst of them would look like the passing of time.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.turn(&mut inbox, &mut ticks).await;
            if let Some(trace) = &self.trace {
                trace.flush();
            }
            if let Some(failure) = self.memory.failure {
                if let Some(trace) = &self.trace {
                    trace.stops(self.raft.status().term, &failure);
                }
                return failure;
            }
            self.view.publish(self.raft.status(), self.store.applied());
        }
    }

    /// Waits for something to happen and does what follows, most urgent first; then serves a few
    /// clients, so that those come to their turn, too.
    async fn turn(&mut self, inbox: &mut Inbox, ticks: &mut Interval) {
        let mut events = Vec::new();
        tokio::select! {
            biased;
            Some(result) = inbox.disk.recv() => self.written(result),
            _ = ticks.tick() => self.tick(),
            _ = inbox.peers.recv_many(&mut events, MOST_EVENTS) => {
                events.into_iter().for_each(|event| self.handle(event));
            }
            Some(ask) = inbox.clients.recv() => self.ask(ask),
            () = yield_now(), if self.raft.has_undelivered() => self.step(Input::Continue),
        }
        for _ in 0..MOST_CLIENTS {
            let Ok(ask) = inbox.clients.try_recv() else { return };
            self.ask(ask);
        }
    }

    fn tick(&mut self) {
        self.memory.waiting.forget_late(Instant::now());
        self.flaws.tick(&mut self.store);
        self.memory.ticks.tell();
        self.step(Input::Tick);
        self.wake_up();
        self.part();
        self.look_after_handing(&self.raft.status());
        self.spread();
    }

    /// Tells the brain what time has passed, as far as it has not been told.
    fn wake_up(&mut self) {
        let ticks = self.memory.ticks.slept();
        if ticks > 0 {
            self.step(Input::MissedTicks { ticks });
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Frame { from, frame } => self.receive(from, frame),
            Event::Link { peer, broken } => self.link_changed(peer, broken.as_deref()),
            Event::Refused(why) => self.fail(why),
        }
    }

    fn step(&mut self, input: Input) {
        let mut effects = Vec::new();
        if let Some(trace) = &self.trace {
            trace.told(self.raft.status().term, &input);
        }
        if self.memory.failure.is_none() {
            self.raft.step(input, &mut effects);
        }
        for effect in effects {
            if let Some(trace) = &self.trace {
                trace.see(self.raft.status().term, &effect);
            }
            self.carry_out(effect);
            if self.memory.failure.is_some() {
                return;
            }
        }
        // Acknowledgements come in the step that commits: nobody will ask for these any more.
        self.memory.outcomes.clear();
        if let Some((last, data)) = self.memory.taken.take() {
            self.view.metrics().snapshot(data.len());
            self.step(Input::SnapshotTaken { last, data });
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Persist(persist) => self.write(persist),
            Effect::Send { to, message, after } if after <= self.memory.durable => {
                self.send(to, Frame::Raft(message));
            }
            Effect::Send { to, message, after } => {
                self.memory.held.entry(after).or_default().push((to, message));
            }
            Effect::Commit { entries } => self.apply(entries),
            Effect::MembershipChanged { membership } => self.configured(&membership),
            Effect::TakeSnapshot { last } => self.memory.taken = Some((last, self.store.encode())),
            Effect::Restore { snapshot } => self.restore(&snapshot),
            Effect::Acknowledge { token, index } => self.acknowledge(token, index),
            Effect::Refused { token, leader } => self.refused(token, leader),
            Effect::ChangeRejected { token, error } => self.objected(token, error),
            Effect::OutcomeUnknown { token } => self.finish_write(token, Answer::Lost),
            Effect::ReadReady { token, index } => self.read_ready(token, index),
            Effect::ReadFailed { token } => self.read_failed(token, Reason::NoLeader),
            Effect::ReadExpired { token } => self.read_failed(token, Reason::NoQuorum),
            Effect::Fatal { committed, new } => self.fail(contradiction(committed, new)),
            Effect::PeerLostEntries { peer, acknowledged, rejected } => {
                let name = self.members.name(peer);
                self.log.line(format_args!(
                    "{name} lost entries it had acknowledged: it had {acknowledged} and lacks \
                     {rejected}; it gets them again, but what it promised besides is not safe"
                ));
            }
            Effect::StatusChanged(status) => self.changed(&status),
        }
    }

    /// Ends this replica after what it is doing.
    fn fail(&mut self, why: String) {
        self.memory.failure.get_or_insert(why);
    }

    /// Hands a write to the storage thread. Where that has gone, nothing becomes durable any more:
    /// its own report of why may still be on its way.
    fn write(&mut self, persist: Persist) {
        if self.disk.send(LogWrite { group: self.group, persist }).is_err() {
            self.fail("the storage thread has stopped, so nothing can be made durable".to_owned());
        }
    }

    fn send(&self, to: ServerId, frame: Frame) -> bool {
        self.links.send(to, frame)
    }

    fn ask(&mut self, Ask { request, deadline, reply }: Ask) {
        if reply.is_closed() || deadline <= Instant::now() {
            return; // Whoever asked has been answered.
        }
        if !self.memory.waiting.has_room(request.size()) {
            self.answer(reply, Finding::Failed(Reason::Overloaded));
            return;
        }
        let token = self.memory.waiting.name();
        let (request, reply) = match self.flaws.receive(&self.store, request, reply) {
            Ok(asked) => asked,
            Err((reply, finding)) => return self.answer(reply, finding),
        };
        match request {
            Request::Write(command) => {
                let proposal = Proposal::Command(command.encode());
                self.propose(token, proposal, Writer::Client(reply), deadline);
            }
            Request::Members(request) => {
                self.propose(token, Proposal::Members(request), Writer::Client(reply), deadline);
            }
            Request::Leader(name) => {
                self.propose(token, Proposal::Leader(name), Writer::Client(reply), deadline);
            }
            Request::Read { query, after, .. } if self.flaws.is_leased(token) => {
                self.memory.waiting.enter_applying(token, after, (query, reply, deadline));
                self.serve_reads();
            }
            Request::Read { query, after, lease } => {
                let stage = Stage::Confirming { query, after, reply };
                self.memory.waiting.enter(token, stage, deadline);
                if lease {
                    self.wake_up();
                    self.step(Input::LeaseRead { token });
                } else {
                    self.step(Input::Read { token });
                }
            }
            Request::ReadStale { query, after } => {
                self.memory.waiting.enter_applying(token, after, (query, reply, deadline));
                self.serve_reads();
            }
        }
    }

    fn propose(&mut self, token: Token, proposal: Proposal, writer: Writer, deadline: Instant) {
        let stage = Stage::Proposed { proposal: proposal.clone(), writer };
        self.memory.waiting.enter(token, stage, deadline);
        match proposal {
            Proposal::Command(command) => self.step(Input::Propose { token, command }),
            Proposal::Members(request) => self.change_members(token, &request),
            Proposal::Leader(name) => self.hand_over_to(token, &name),
        }
    }

    fn receive(&mut self, from: ServerId, frame: Frame) {
        match frame {
            Frame::Raft(message) => {
                self.step(Input::Receive { from, message });
                self.view.heard(from);
            }
            Frame::Forward { request, timeout_ms, proposal } => {
                let patience = Duration::from_millis(timeout_ms).min(LONGEST_TIMEOUT);
                self.take_over((from, request), proposal, patience);
            }
            Frame::Forwarded { request, answer } => self.forwarded(from, request, answer),
            Frame::Hello { .. } => {}
        }
    }

    /// Proposes a peer's write, under the rule that holds for this replica's own clients.
    fn take_over(
        &mut self,
        (peer, request): (ServerId, u64),
        proposal: Proposal,
        patience: Duration,
    ) {
        if patience.is_zero() || !self.memory.waiting.has_room(proposal.size()) {
            self.send(peer, Frame::Forwarded { request, answer: Answer::Refused });
            return;
        }
        let token = self.memory.waiting.name();
        let writer = Writer::Peer { peer, request };
        self.propose(token, proposal, writer, Instant::now() + patience);
    }

    fn link_changed(&mut self, peer: ServerId, broken: Option<&str>) {
        let name = self.members.name(peer);
        match broken {
            None => self.log.line(format_args!("connected to {name}")),
            Some(why) => self.log.line(format_args!("lost the connection to {name}: {why}")),
        }
        if broken.is_some() {
            for reply in self.memory.waiting.leave_forwarded(peer) {
                self.answer(reply, Finding::Failed(Reason::ForwardLost));
            }
        }
    }

    fn written(&mut self, result: Result<Report, String>) {
        match result {
            Ok(Report::Durable(sequence)) => self.persisted(sequence),
            Ok(Report::BlocksLog) => self.step(Input::RewriteLog),
            Err(failure) => self.fail(failure),
        }
    }

    fn persisted(&mut self, sequence: u64) {
        self.memory.durable = sequence;
        let later = self.memory.held.split_off(&(sequence + 1));
        let free = std::mem::replace(&mut self.memory.held, later);
        for (to, message) in free.into_values().flatten() {
            self.send(to, Frame::Raft(message));
        }
        self.step(Input::Persisted { sequence });
    }

    fn changed(&mut self, status: &Status) {
        self.look_after_handing(status);
        self.view.metrics().changed();
        self.view.publish(status.clone(), self.store.applied());
        let (term, role) = (status.term, super::view::role_name(status.role));
        match status.leader.filter(|leader| *leader != self.members.me()) {
            Some(leader) => {
                let leader = self.members.name(leader);
                self.log.line(format_args!("term={term} became {role} of {leader}"));
            }
            None => self.log.line(format_args!("term={term} became {role}")),
        }
    }
}

fn contradiction(committed: Position, new: Position) -> String {
    let Position { term, index } = committed;
    let other = new.term;
    format!(
        "entry {index} is committed here with term {term}, but the leader replaces it by one of \
         term {other}: some replica has lost what it acknowledged, and going on would spread that"
    )
}
