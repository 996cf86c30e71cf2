//! Feeds the brain and carries out what it wants, in the order and under the laws of
//! [`crate::raft`].
//!
//! One task owns the brain, the store and everything that waits; whatever happens elsewhere (a
//! client asks, a peer speaks, the disk is done) reaches it as an [`Event`]. It never waits for
//! anything but the next event or tick.

use super::log::Log;
use super::members::Members;
use super::request::{Ask, Finding, Reason, Reply, Request, Stage, Waiting, Writer};
use super::transport::{Answer, Frame, Link};
use super::view::View;
use crate::kv::{Command, Outcome, Store};
use crate::raft::{Effect, Entry, Index, Input, Message, Payload, Persist, Raft};
use crate::raft::{ServerId, Status, Token};
use crate::wire::Origin;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

/// One tick of the brain's clock.
pub(super) const TICK: Duration = Duration::from_millis(10);
const MOST_WAITING: usize = 8192;
const MOST_EVENTS: usize = 256;
/// How many outcomes of applied commands are kept for acknowledgements to come.
const OUTCOMES: usize = 4096;

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event {
    /// A client asks.
    Ask(Ask),
    /// A peer sent something.
    Frame { from: ServerId, frame: Frame },
    /// The connection to a peer stands, or broke, and why.
    Link { peer: ServerId, broken: Option<String> },
    /// Everything up to this `Persist` is durable, or cannot be made so.
    Persisted(Result<u64, String>),
}

/// What the driver is made of.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) raft: Raft,
    pub(super) store: Store,
    pub(super) members: Members,
    pub(super) links: Arc<BTreeMap<ServerId, Arc<Link>>>,
    pub(super) disk: mpsc::UnboundedSender<Persist>,
    pub(super) view: View,
    pub(super) log: Log,
    pub(super) memory: Memory,
}

/// What the driver remembers from one event to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    waiting: Waiting,
    outcomes: BTreeMap<Index, Outcome>,
    durable: u64,
    held: BTreeMap<u64, Vec<(ServerId, Message)>>,
}

impl Memory {
    /// Remembers nothing yet; `start` is unlike that of any earlier start.
    pub(super) fn new(start: u64) -> Self {
        Self { waiting: Waiting::new(start), ..Self::default() }
    }
}

impl Driver {
    /// Runs until the disk fails, and says how.
    pub(super) async fn run(mut self, mut events: mpsc::Receiver<Event>) -> String {
        let mut ticks = interval(TICK);
        // After a pause one tick is enough: a burst of them would look like the passing of time.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => self.tick(),
                _ = events.recv_many(&mut batch, MOST_EVENTS) => {
                    for event in batch.drain(..) {
                        if let Err(failure) = self.handle(event) {
                            return failure;
                        }
                    }
                }
            }
            self.view.publish(self.raft.status(), self.store.applied());
        }
    }

    fn tick(&mut self) {
        self.memory.waiting.forget_late(Instant::now());
        self.step(Input::Tick);
    }

    fn handle(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Ask(ask) => self.ask(ask),
            Event::Frame { from, frame } => self.receive(from, frame),
            Event::Link { peer, broken } => self.link_changed(peer, broken.as_deref()),
            Event::Persisted(result) => self.persisted(result?),
        }
        Ok(())
    }

    fn step(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.raft.step(input, &mut effects);
        for effect in effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            // The thread is gone only after it has reported a failure, which ends this task.
            Effect::Persist(persist) => drop(self.disk.send(persist)),
            Effect::Send { to, message, after } if after <= self.memory.durable => {
                self.send(to, Frame::Raft(message));
            }
            Effect::Send { to, message, after } => {
                self.memory.held.entry(after).or_default().push((to, message));
            }
            Effect::Commit { entries } => self.apply(entries),
            Effect::Acknowledge { token, index } => self.acknowledge(token, index),
            Effect::Refused { token, leader } => self.refused(token, leader),
            Effect::Lost { token } => self.finish_write(token, Answer::Lost),
            Effect::ReadReady { token, index } => self.read_ready(token, index),
            Effect::ReadFailed { token } => self.read_failed(token),
            Effect::Changed(status) => self.changed(&status),
        }
    }

    fn send(&self, to: ServerId, frame: Frame) -> bool {
        self.links.get(&to).is_some_and(|link| link.send(frame))
    }

    /// Answers a client, with the state that the answer was found in.
    fn answer(&self, reply: Reply, finding: Finding) {
        let replica = self.members.name(self.members.me()).to_owned();
        let (term, applied) = (self.raft.status().term, self.store.applied());
        // A client that has gone away needs no answer.
        drop(reply.send((finding, Origin { replica, term, applied })));
    }

    // ---- what happened ----

    fn ask(&mut self, Ask { request, deadline, reply }: Ask) {
        if self.memory.waiting.len() >= MOST_WAITING {
            self.answer(reply, Finding::Failed(Reason::Overloaded));
            return;
        }
        let token = self.memory.waiting.name();
        match request {
            Request::Write(command) => {
                self.propose(token, command.encode(), Writer::Client(reply), deadline);
            }
            Request::Read { key, after } => {
                let stage = Stage::Confirming { key, after, reply };
                self.memory.waiting.enter(token, stage, deadline);
                self.step(Input::Read { token });
            }
            Request::ReadStale { key, after } => {
                self.memory.waiting.enter_applying(token, after, (key, reply, deadline));
                self.serve_reads();
            }
        }
    }

    fn propose(&mut self, token: Token, command: Vec<u8>, writer: Writer, deadline: Instant) {
        let stage = Stage::Proposed { command: command.clone(), writer };
        self.memory.waiting.enter(token, stage, deadline);
        self.step(Input::Propose { token, command });
    }

    fn receive(&mut self, from: ServerId, frame: Frame) {
        match frame {
            Frame::Raft(message) => self.step(Input::Receive { from, message }),
            Frame::Forward { request, timeout_ms, command } => {
                let writer = Writer::Peer { peer: from, request };
                let token = self.memory.waiting.name();
                let deadline = Instant::now() + Duration::from_millis(timeout_ms);
                self.propose(token, command, writer, deadline);
            }
            Frame::Forwarded { request, answer } => self.forwarded(from, request, answer),
            Frame::Hello { .. } => {}
        }
    }

    fn forwarded(&mut self, from: ServerId, token: Token, answer: Answer) {
        match self.memory.waiting.leave(token) {
            Some((Stage::Forwarded { to, reply }, _)) if to == from => {
                let finding = match answer {
                    Answer::Refused => Finding::Failed(Reason::ForwardRefused),
                    answer => finding(answer),
                };
                self.answer(reply, finding);
            }
            Some((stage, deadline)) => self.memory.waiting.enter(token, stage, deadline),
            None => {}
        }
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

    fn persisted(&mut self, sequence: u64) {
        self.memory.durable = sequence;
        let later = self.memory.held.split_off(&(sequence + 1));
        let free = std::mem::replace(&mut self.memory.held, later);
        for (to, message) in free.into_values().flatten() {
            self.send(to, Frame::Raft(message));
        }
        self.step(Input::Persisted { sequence });
    }

    // ---- what the brain wants ----

    fn apply(&mut self, entries: Vec<Entry>) {
        for Entry { index, payload, .. } in entries {
            let command = match &payload {
                Payload::Command(bytes) => Command::decode(bytes).ok(),
                Payload::Noop => None,
            };
            match command {
                Some(command) => {
                    let outcome = self.store.apply(index, &command);
                    self.memory.outcomes.insert(index, outcome);
                }
                None => self.store.skip(index),
            }
        }
        while self.memory.outcomes.len() > OUTCOMES {
            self.memory.outcomes.pop_first();
        }
        self.serve_reads();
    }

    fn serve_reads(&mut self) {
        while let Some((key, reply)) = self.memory.waiting.leave_applied(self.store.applied()) {
            self.answer(reply, Finding::Value(self.store.get(&key).map(str::to_owned)));
        }
    }

    fn acknowledge(&mut self, token: Token, index: Index) {
        let outcome = match self.memory.outcomes.get(&index) {
            Some(outcome) => Some(outcome.clone()),
            None => self.foretell(token, index),
        };
        let answer = outcome.map_or(Answer::Lost, |outcome| Answer::Done { index, outcome });
        self.finish_write(token, answer);
    }

    /// What a command acknowledged before it is applied would find now: a brain without bugs never
    /// wants to know.
    fn foretell(&mut self, token: Token, index: Index) -> Option<Outcome> {
        let (stage, deadline) = self.memory.waiting.leave(token)?;
        let outcome = match &stage {
            Stage::Proposed { command, .. } if index > self.store.applied() => {
                Command::decode(command).ok().map(|command| self.store.evaluate(&command))
            }
            _ => None,
        };
        self.memory.waiting.enter(token, stage, deadline);
        outcome
    }

    fn finish_write(&mut self, token: Token, answer: Answer) {
        let Some((Stage::Proposed { writer, .. }, _)) = self.memory.waiting.leave(token) else {
            return;
        };
        match writer {
            Writer::Client(reply) => self.answer(reply, finding(answer)),
            Writer::Peer { peer, request } => {
                self.send(peer, Frame::Forwarded { request, answer });
            }
        }
    }

    /// Hands a client's write to the leader, once; a peer's write goes back.
    fn refused(&mut self, token: Token, leader: Option<ServerId>) {
        let Some((stage, deadline)) = self.memory.waiting.leave(token) else { return };
        match (stage, leader) {
            (Stage::Proposed { command, writer: Writer::Client(reply) }, Some(to)) => {
                let left = deadline.saturating_duration_since(Instant::now());
                let timeout_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
                if self.send(to, Frame::Forward { request: token, timeout_ms, command }) {
                    self.memory.waiting.enter(token, Stage::Forwarded { to, reply }, deadline);
                } else {
                    self.answer(reply, Finding::Failed(Reason::ForwardRefused));
                }
            }
            (stage, _) => {
                self.memory.waiting.enter(token, stage, deadline);
                self.finish_write(token, Answer::Refused);
            }
        }
    }

    fn read_ready(&mut self, token: Token, index: Index) {
        let confirmed = self.memory.waiting.leave(token);
        if let Some((Stage::Confirming { key, after, reply }, deadline)) = confirmed {
            let read = (key, reply, deadline);
            self.memory.waiting.enter_applying(token, index.max(after), read);
            self.serve_reads();
        }
    }

    fn read_failed(&mut self, token: Token) {
        let failed = self.memory.waiting.leave(token);
        if let Some((Stage::Confirming { reply, .. }, _)) = failed {
            self.answer(reply, Finding::Failed(Reason::NoLeader));
        }
    }

    fn changed(&self, status: &Status) {
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

/// What a client of this replica is told.
fn finding(answer: Answer) -> Finding {
    match answer {
        Answer::Done { index, outcome: Outcome::Done } => Finding::Written { index },
        Answer::Done { outcome: Outcome::Mismatch { current }, .. } => {
            Finding::Mismatch { current }
        }
        Answer::Refused => Finding::Failed(Reason::NoLeader),
        Answer::Lost => Finding::Failed(Reason::LeadershipLost),
    }
}
