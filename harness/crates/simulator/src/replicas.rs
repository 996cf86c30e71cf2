//! Lets replicas start, act and crash in a world, and carries out what they want.

use super::invariant_checker::Violation;
use super::network::PeerMessage;
use super::outcome::Failure;
use super::setting::Micros;
use super::sim_node::{CallNumber, SimNode};
use super::world::{Event, TICK, World};
use super::{translate, world};
use node::raft::{Effect, Input, Persist, Role, ServerId};
use node::runtime::{Output, Reply, Runtime};

impl World<'_> {
    /// Starts a replica from its disk, which it must be able to read: whatever a loss of power left
    /// is a state that recovery has to expect.
    pub(super) fn start_replica(&mut self, id: ServerId) -> Result<(), Failure> {
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        let started = node.recover_log().map_err(|error| error.to_string()).and_then(|recovered| {
            self.invariants.observe_start(id, &recovered.stored);
            node.start_runtime(recovered)
        });
        let starts = node.incarnation;
        started.map_err(|why| {
            self.make_failure("Recovery", format!("n{id} refuses its disk: {why}"))
        })?;
        self.trace.record_event(self.now, [1, id, starts, 0], format_args!("n{id} starts"));
        self.schedule_after(self.tick_lengths[&id], Event::Tick(id, starts));
        Ok(())
    }

    /// Cuts a replica's power.
    pub(super) fn crash_replica(&mut self, id: ServerId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let random = &mut self.disk_random;
        node.lose_power(&mut |n| random.below(n));
        self.invariants.observe_stop(id);
        self.trace.record_event(self.now, [2, id, 0, 0], format_args!("n{id} stops"));
    }

    pub(super) fn is_running(&self, id: ServerId) -> bool {
        self.nodes.get(&id).is_some_and(SimNode::is_running)
    }

    fn is_paused(&self, id: ServerId) -> bool {
        self.paused.get(&id).is_some_and(|count| *count > 0)
    }

    /// Whether the replica still runs that an event was meant for.
    fn is_same_incarnation(&self, id: ServerId, starts: u64) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.incarnation == starts && node.is_running())
    }

    pub(super) fn tick_replica(&mut self, id: ServerId, starts: u64) -> Result<(), Failure> {
        if !self.is_same_incarnation(id, starts) {
            return Ok(());
        }
        self.schedule_after(self.tick_lengths[&id], Event::Tick(id, starts));
        if self.is_paused(id) {
            self.nodes.entry(id).and_modify(SimNode::miss_tick);
        }
        self.step_replica(id, Runtime::tick)
    }

    pub(super) fn deliver_message(
        &mut self,
        from: ServerId,
        to: ServerId,
        message: PeerMessage,
    ) -> Result<(), Failure> {
        // What reaches a paused replica waits in its socket.
        if self.is_paused(to) {
            self.schedule_after(TICK, Event::Deliver { from, to, message });
            return Ok(());
        }
        self.step_replica(to, |runtime| match message {
            PeerMessage::Raft(message) => runtime.step(Input::Receive { from, message }),
            PeerMessage::Forward { request, timeout, proposal } => {
                runtime.receive_forward((from, request), proposal, timeout);
            }
            PeerMessage::ForwardResult { request, result } => {
                runtime.receive_result(from, request, result);
            }
        })
    }

    /// The time of a sync is over.
    pub(super) fn finish_sync(&mut self, id: ServerId, starts: u64) -> Result<(), Failure> {
        if !self.is_same_incarnation(id, starts) {
            return Ok(());
        }
        if self.failing_disks.remove(&id) {
            self.crash_replica(id);
            return Ok(());
        }
        if self.is_paused(id) {
            self.schedule_after(TICK, Event::SyncDone(id, starts));
            return Ok(());
        }
        match self.nodes.get_mut(&id).and_then(SimNode::end_sync) {
            Some(sequence) => {
                self.step_replica(id, |runtime| runtime.step(Input::Persisted { sequence }))
            }
            None => Ok(()),
        }
    }

    /// Lets a replica act, and carries out what it wants.
    pub(super) fn step_replica(
        &mut self,
        id: ServerId,
        act: impl FnOnce(&mut Runtime<CallNumber>),
    ) -> Result<(), Failure> {
        if self.is_paused(id) {
            return Ok(());
        }
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        node.with_runtime(self.now, act);
        let mut outputs = std::mem::take(&mut self.outputs);
        while let Some(node) = self.nodes.get_mut(&id) {
            node.take_outputs(&mut outputs);
            if outputs.is_empty() {
                break;
            }
            outputs.drain(..).try_for_each(|output| self.handle_output(id, output))?;
        }
        self.outputs = outputs;
        if self.nodes.get_mut(&id).is_some_and(SimNode::begin_sync) {
            self.schedule_sync(id);
        }
        Ok(())
    }

    fn handle_output(&mut self, id: ServerId, output: Output<CallNumber>) -> Result<(), Failure> {
        match output {
            Output::Write(persist) => return self.queue_write(id, persist),
            Output::Send { to, message } => self.send_message(id, to, PeerMessage::Raft(message)),
            Output::Forward { to, request, timeout, proposal } if self.plan.conditions.forward => {
                self.send_message(id, to, PeerMessage::Forward { request, timeout, proposal });
            }
            Output::Forward { request, .. } => {
                let node = self.nodes.get_mut(&id);
                node.into_iter()
                    .for_each(|it| it.with_runtime(self.now, |it| it.fail_forward(request)));
            }
            Output::ForwardResult { to, request, result } => {
                self.send_message(id, to, PeerMessage::ForwardResult { request, result });
            }
            Output::Reply(Reply { client, answer, .. }) => {
                let leader = self.replica_runtime(id).and_then(|runtime| runtime.status().leader);
                let reply = translate::to_reply(answer);
                self.schedule_after(
                    world::CLIENT_LATENCY,
                    Event::Reply { number: client, reply, leader },
                );
            }
            Output::SnapshotTaken { last, .. } => {
                let told = format_args!("n{id} takes a snapshot up to {}", last.index);
                self.trace.record_event(self.now, [12, id, last.index, 0], told);
            }
            Output::BalanceLeaders { .. } => {}
            Output::Done(effect) => return self.observe_effect(id, &effect),
            Output::Failed(why) if self.setting.bugs.is_empty() => {
                return Err(self.make_failure("Accusation", format!("n{id} stops: {why}")));
            }
            Output::Failed(_) => self.crash_replica(id),
        }
        Ok(())
    }

    fn replica_runtime(&self, id: ServerId) -> Option<&Runtime<CallNumber>> {
        self.nodes.get(&id)?.runtime()
    }

    fn replica_term(&self, id: ServerId) -> u64 {
        self.replica_runtime(id).map_or(0, |runtime| runtime.status().term)
    }

    fn queue_write(&mut self, id: ServerId, persist: Persist) -> Result<(), Failure> {
        let seen = self.invariants.check_write(id, self.replica_term(id), &persist);
        seen.map_err(|Violation { property, message: seen }| self.make_failure(property, seen))?;
        if let Some(node) = self.nodes.get_mut(&id) {
            node.queue_write(persist);
        }
        Ok(())
    }

    fn send_message(&mut self, from: ServerId, to: ServerId, message: PeerMessage) {
        let mut delays = self.network.draw_delays(from, to);
        // The core bears duplicates. A proposal is forwarded over TCP, which makes none.
        if !matches!(message, PeerMessage::Raft(_)) {
            delays.truncate(1);
        }
        let mark = [3, from << 32 | to, message.digest_key(), delays.len() as u64];
        let arrive = if delays.is_empty() { "  (lost)" } else { "" };
        let told = format_args!("n{from} → n{to} {message}{arrive}");
        self.trace.record_event(self.now, mark, told);
        let Some((last, others)) = delays.split_last() else { return };
        for delay in others {
            self.schedule_after(*delay, Event::Deliver { from, to, message: message.clone() });
        }
        self.schedule_after(*last, Event::Deliver { from, to, message });
    }

    fn schedule_sync(&mut self, id: ServerId) {
        let (least, most) = self.plan.conditions.fsync;
        let slow = self.slow_disks.get(&id).and_then(|all| all.iter().max()).copied().unwrap_or(0);
        let delay: Micros = self.disk_random.between(least, most + 1) + slow;
        let starts = self.nodes[&id].incarnation;
        self.schedule_after(delay, Event::SyncDone(id, starts));
    }

    fn observe_effect(&mut self, id: ServerId, effect: &Effect) -> Result<(), Failure> {
        match effect {
            Effect::StatusChanged(status) => {
                let mark = [4, id, status.term, status.role as u64];
                let (role, term) = (role_name(status.role), status.term);
                self.trace.record_event(
                    self.now,
                    mark,
                    format_args!("n{id} is {role} of term {term}"),
                );
            }
            Effect::Commit { entries } => {
                let last = entries.last().map_or(0, |entry| entry.index);
                let told = format_args!("n{id} applies up to {last}");
                self.trace.record_event(self.now, [5, id, last, 0], told);
                let seen = self.observe_membership(entries);
                seen.map_err(|Violation { property, message: seen }| {
                    self.make_failure(property, seen)
                })?;
            }
            Effect::Restore { snapshot } => {
                let last = snapshot.last.index;
                let told = format_args!("n{id} takes over a snapshot up to {last}");
                self.trace.record_event(self.now, [11, id, last, 0], told);
            }
            Effect::Fatal { .. } | Effect::PeerLostEntries { .. }
                if self.setting.bugs.is_empty() =>
            {
                return Err(self.make_failure(
                    "Accusation",
                    format!("n{id} reports data loss, but no data was lost: {effect:?}"),
                ));
            }
            _ => {}
        }
        self.invariants
            .check_effect(id, self.replica_term(id), effect)
            .map_err(|Violation { property, message: seen }| self.make_failure(property, seen))
    }
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}
