//! Connects one group's [`Runtime`] to the world: queues, connections, the storage thread, the
//! clock.
//!
//! One task owns the runtime. Whatever happens elsewhere (a client's request, a peer's frame, a
//! report of the disk) reaches it through its [`Inbox`]. The task waits for nothing but the next of
//! these or a tick, and serves clients last.

use super::frame::Frame;
use super::links::Links;
use super::log::Logger;
use super::members::Members;
use super::peer_event::PeerEvent;
use super::published_status::{PublishedStatus, role_name};
use super::request::{QueuedRequest, ReplySender};
use super::storage::StorageReport;
use super::ticks::{TICK, Ticks};
use super::trace::Trace;
use crate::raft::{Effect, Input, Persist, Position, ServerId, Status};
use crate::runtime::{ClientRequest, LogWrite, Output, Reply, Request, Runtime};
use crate::wal::GroupId;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{Interval, MissedTickBehavior, interval};

mod connections;
#[cfg(test)]
mod tests;

/// How many peers' events one turn handles.
const MAX_EVENTS_PER_TURN: usize = 256;
/// How many more clients one turn serves.
const MAX_REQUESTS_PER_TURN: usize = 16;

/// What the driver waits for, each in a queue of its own: clients cannot delay the disk, the clock
/// or the peers.
#[derive(Debug)]
pub(super) struct Inbox {
    /// What is durable, or why nothing is any more.
    pub(super) disk: mpsc::Receiver<Result<StorageReport, String>>,
    pub(super) peers: mpsc::Receiver<PeerEvent>,
    pub(super) clients: mpsc::Receiver<QueuedRequest>,
}

/// The driver of one group.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) group: GroupId,
    pub(super) runtime: Runtime<ReplySender>,
    pub(super) members: Members,
    pub(super) links: Links,
    pub(super) disk: mpsc::UnboundedSender<LogWrite>,
    pub(super) published: PublishedStatus,
    pub(super) log: Logger,
    pub(super) trace: Option<Trace>,
    pub(super) clock: Clock,
}

/// What the driver measures and counts from one event to the next.
#[derive(Debug)]
pub(super) struct Clock {
    began: Instant,
    ticks: Ticks,
    /// In how many ticks members that were removed are no longer dialled.
    departure_ticks: u32,
    /// Why this replica cannot continue.
    failure: Option<String>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { began: Instant::now(), ticks: Ticks::default(), departure_ticks: 0, failure: None }
    }
}

impl Driver {
    /// Runs until this replica cannot continue, and returns why.
    pub(super) async fn run(mut self, mut inbox: Inbox) -> String {
        let mut ticks = interval(TICK);
        // After a pause one tick is enough: a burst of them would look like the passing of time.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.handle_events(&mut inbox, &mut ticks).await;
            if let Some(trace) = &self.trace {
                trace.flush();
            }
            if let Some(failure) = self.clock.failure {
                if let Some(trace) = &self.trace {
                    trace.record_stop(self.runtime.status().term, &failure);
                }
                return failure;
            }
            self.published.publish(self.runtime.status(), self.runtime.applied());
        }
    }

    /// Waits for something to happen and handles it, most urgent first; then serves a few clients,
    /// so that the others cannot starve them.
    async fn handle_events(&mut self, inbox: &mut Inbox, ticks: &mut Interval) {
        let mut events = Vec::new();
        tokio::select! {
            biased;
            Some(result) = inbox.disk.recv() => self.handle_disk_report(result),
            _ = ticks.tick() => self.tick(),
            _ = inbox.peers.recv_many(&mut events, MAX_EVENTS_PER_TURN) => {
                events.into_iter().for_each(|event| self.handle_peer_event(event));
            }
            Some(ask) = inbox.clients.recv() => self.handle_request(ask),
            () = yield_now(), if self.runtime.has_undelivered() => self.step(Input::Continue),
        }
        for _ in 0..MAX_REQUESTS_PER_TURN {
            let Ok(ask) = inbox.clients.try_recv() else { return };
            self.handle_request(ask);
        }
    }

    fn tick(&mut self) {
        self.set_time();
        self.clock.ticks.count();
        self.runtime.tick();
        self.carry_out();
        self.report_missed_ticks();
        self.close_removed();
    }

    fn set_time(&mut self) {
        // A clock that was set to a time before 1970 reads as 1970.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.runtime.set_time(self.clock.began.elapsed(), wall);
    }

    /// Reports missed ticks to the core, each once.
    fn report_missed_ticks(&mut self) {
        let ticks = self.clock.ticks.take_missed();
        if ticks > 0 {
            self.step(Input::MissedTicks { ticks });
        }
    }

    fn step(&mut self, input: Input) {
        self.runtime.step(input);
        self.carry_out();
    }

    fn handle_peer_event(&mut self, event: PeerEvent) {
        match event {
            PeerEvent::Frame { from, frame } => self.handle_frame(from, frame),
            PeerEvent::Link { peer, broken } => self.link_changed(peer, broken.as_deref()),
            PeerEvent::Rejected(why) => self.fail(why),
        }
    }

    fn handle_frame(&mut self, from: ServerId, frame: Frame) {
        match frame {
            Frame::Raft(message) => {
                self.step(Input::Receive { from, message });
                self.published.record_message(from);
            }
            Frame::Forward { request, timeout_ms, proposal } => {
                self.set_time();
                let timeout = Duration::from_millis(timeout_ms);
                self.runtime.receive_forward((from, request), proposal, timeout);
                self.carry_out();
            }
            Frame::Forwarded { request, result } => {
                self.runtime.receive_result(from, request, result);
                self.carry_out();
            }
            Frame::Hello { .. } => {}
        }
    }

    fn handle_request(&mut self, QueuedRequest { request, deadline, reply }: QueuedRequest) {
        if reply.is_closed() {
            return; // The client has disconnected, or its deadline has passed.
        }
        self.set_time();
        if matches!(request, Request::Read { lease: true, .. }) {
            self.report_missed_ticks(); // A lease counts on the core's clock.
        }
        let deadline = deadline.saturating_duration_since(self.clock.began);
        self.runtime.submit_request(ClientRequest { request, deadline, client: reply });
        self.carry_out();
    }

    fn handle_disk_report(&mut self, result: Result<StorageReport, String>) {
        match result {
            Ok(StorageReport::Durable(sequence)) => {
                if let Some(trace) = &self.trace {
                    trace.record_durable(self.runtime.status().term, sequence);
                }
                self.step(Input::Persisted { sequence });
            }
            Ok(StorageReport::BlocksLog) => self.step(Input::RewriteLog),
            Err(failure) => self.fail(failure),
        }
    }

    /// Ends this replica after what it is doing.
    fn fail(&mut self, why: String) {
        self.runtime.fail(why);
        self.carry_out();
    }

    /// Does what the runtime wants, in its order, until it wants nothing more.
    pub(super) fn carry_out(&mut self) {
        loop {
            let outputs = self.runtime.take_outputs();
            if outputs.is_empty() {
                return;
            }
            for output in outputs {
                if self.clock.failure.is_none() {
                    self.carry_out_one(output);
                }
            }
        }
    }

    fn carry_out_one(&mut self, output: Output<ReplySender>) {
        self.flush_trace_before(&output);
        match output {
            Output::Write(persist) => self.queue_write(persist),
            Output::Send { to, message } => drop(self.links.send(to, Frame::Raft(message))),
            Output::Forward { to, request, timeout, proposal } => {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                if !self.links.send(to, Frame::Forward { request, timeout_ms, proposal }) {
                    self.runtime.fail_forward(request);
                }
            }
            Output::ForwardResult { to, request, result } => {
                self.links.send(to, Frame::Forwarded { request, result });
            }
            Output::Reply(Reply { client, answer, term, applied }) => {
                // A client that has gone away needs no answer.
                drop(client.send((answer, self.published.origin_at(term, applied))));
            }
            Output::SnapshotTaken { bytes, .. } => self.published.metrics().count_snapshot(bytes),
            Output::BalanceLeaders { to } => self.log.write_line(format_args!(
                "transfers leadership to {}, to balance leaders",
                self.members.name(to)
            )),
            Output::Done(effect) => self.record_effect(&effect),
            Output::Failed(why) => self.clock.failure = Some(why),
        }
    }

    /// What leaves this replica must not be ahead of its trace, which would then miss the cause of
    /// what others do.
    fn flush_trace_before(&self, output: &Output<ReplySender>) {
        let leaves = matches!(
            output,
            Output::Send { .. }
                | Output::Forward { .. }
                | Output::ForwardResult { .. }
                | Output::Reply(_)
        );
        if let Some(trace) = self.trace.as_ref().filter(|_| leaves) {
            trace.flush();
        }
    }

    /// Hands a write to the storage thread. Where that has ended, nothing becomes durable any more:
    /// its own report of why may still be under way.
    fn queue_write(&mut self, persist: Persist) {
        if let Some(trace) = &self.trace {
            trace.record_write(self.runtime.status().term, &persist);
        }
        if self.disk.send(LogWrite { group: self.group, persist }).is_err() {
            let why = "the storage thread has stopped, so nothing can be made durable";
            self.clock.failure = Some(why.to_owned());
        }
    }

    /// Lets traces, logs and connections follow what the runtime did.
    fn record_effect(&mut self, effect: &Effect) {
        if let Some(trace) = &self.trace {
            trace.record_effect(self.runtime.status().term, effect);
        }
        match effect {
            Effect::StatusChanged(status) => self.status_changed(status),
            Effect::MembershipChanged { membership } => self.membership_changed(membership),
            Effect::Restore { snapshot } => {
                let Position { term, index } = snapshot.last;
                self.log.write_line(format_args!(
                    "took over a snapshot up to entry {index} of term {term}"
                ));
            }
            Effect::PeerLostEntries { peer, acknowledged, rejected } => {
                let name = self.members.name(*peer);
                self.log.write_line(format_args!(
                    "{name} lost entries it had acknowledged: it had {acknowledged} and lacks \
                     {rejected}; it gets them again, but what it promised besides is not safe"
                ));
            }
            _ => {}
        }
    }

    fn status_changed(&self, status: &Status) {
        self.published.metrics().count_status_change();
        self.published.publish(status.clone(), self.runtime.applied());
        let (term, role) = (status.term, role_name(status.role));
        match status.leader.filter(|leader| *leader != self.members.me()) {
            Some(leader) => {
                let leader = self.members.name(leader);
                self.log.write_line(format_args!("term={term} became {role} of {leader}"));
            }
            None => self.log.write_line(format_args!("term={term} became {role}")),
        }
    }
}
