//! Lets replicas start, act and crash in a world, and carries out what they want.

use super::invariant_checker::Violation;
use super::network::PeerMessage;
use super::outcome::Failure;
use super::setting::Micros;
use super::sim_node::{Caller, SimNode};
use super::world::{Event, TICK, World};
use super::{translate, world};
use node::raft::{Effect, Input, Persist, Role, ServerId};
use node::runtime::{Output, Reply, Runtime};

impl World<'_> {
    /// Starts a replica from its disk, which it must be able to read: whatever a loss of power left
    /// is a state that recovery has to expect.
    pub(super) fn start(&mut self, id: ServerId) -> Result<(), Failure> {
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        let started = node.recover().map_err(|error| error.to_string()).and_then(|recovered| {
            self.invariants.starts(id, &recovered.stored);
            node.start(recovered)
        });
        let starts = node.starts;
        started
            .map_err(|why| self.failure("Recovery", format!("n{id} refuses its disk: {why}")))?;
        self.trace.record(self.now, [1, id, starts, 0], format_args!("n{id} starts"));
        self.after(self.ticks[&id], Event::Tick(id, starts));
        Ok(())
    }

    /// Cuts a replica's power.
    pub(super) fn crash(&mut self, id: ServerId) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let random = &mut self.disk_random;
        node.crash(&mut |n| random.below(n));
        self.invariants.stops(id);
        self.trace.record(self.now, [2, id, 0, 0], format_args!("n{id} stops"));
    }

    pub(super) fn runs(&self, id: ServerId) -> bool {
        self.nodes.get(&id).is_some_and(SimNode::runs)
    }

    fn is_paused(&self, id: ServerId) -> bool {
        self.paused.get(&id).is_some_and(|count| *count > 0)
    }

    /// Whether the replica still runs that an event was meant for.
    fn is_same_start(&self, id: ServerId, starts: u64) -> bool {
        self.nodes.get(&id).is_some_and(|node| node.starts == starts && node.runs())
    }

    pub(super) fn tick(&mut self, id: ServerId, starts: u64) -> Result<(), Failure> {
        if !self.is_same_start(id, starts) {
            return Ok(());
        }
        self.after(self.ticks[&id], Event::Tick(id, starts));
        if self.is_paused(id) {
            self.nodes.entry(id).and_modify(SimNode::miss_tick);
        }
        self.act(id, Runtime::tick)
    }

    pub(super) fn deliver(
        &mut self,
        from: ServerId,
        to: ServerId,
        message: PeerMessage,
    ) -> Result<(), Failure> {
        // What reaches a paused replica waits in its socket.
        if self.is_paused(to) {
            self.after(TICK, Event::Deliver { from, to, message });
            return Ok(());
        }
        self.act(to, |runtime| match message {
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
    pub(super) fn synced(&mut self, id: ServerId, starts: u64) -> Result<(), Failure> {
        if !self.is_same_start(id, starts) {
            return Ok(());
        }
        if self.bad.remove(&id) {
            self.crash(id);
            return Ok(());
        }
        if self.is_paused(id) {
            self.after(TICK, Event::Synced(id, starts));
            return Ok(());
        }
        match self.nodes.get_mut(&id).and_then(SimNode::end_sync) {
            Some(sequence) => self.act(id, |runtime| runtime.step(Input::Persisted { sequence })),
            None => Ok(()),
        }
    }

    /// Lets a replica act, and carries out what it wants.
    pub(super) fn act(
        &mut self,
        id: ServerId,
        act: impl FnOnce(&mut Runtime<Caller>),
    ) -> Result<(), Failure> {
        if self.is_paused(id) {
            return Ok(());
        }
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        node.act(self.now, act);
        let mut outputs = std::mem::take(&mut self.outputs);
        while let Some(node) = self.nodes.get_mut(&id) {
            node.take_outputs(&mut outputs);
            if outputs.is_empty() {
                break;
            }
            outputs.drain(..).try_for_each(|output| self.carry_out(id, output))?;
        }
        self.outputs = outputs;
        if self.nodes.get_mut(&id).is_some_and(SimNode::begin_sync) {
            self.sync(id);
        }
        Ok(())
    }

    fn carry_out(&mut self, id: ServerId, output: Output<Caller>) -> Result<(), Failure> {
        match output {
            Output::Write(persist) => return self.write(id, persist),
            Output::Send { to, message } => self.send(id, to, PeerMessage::Raft(message)),
            Output::Forward { to, request, timeout, proposal } if self.plan.habits.forward => {
                self.send(id, to, PeerMessage::Forward { request, timeout, proposal });
            }
            Output::Forward { request, .. } => {
                let node = self.nodes.get_mut(&id);
                node.into_iter().for_each(|it| it.act(self.now, |it| it.fail_forward(request)));
            }
            Output::ForwardResult { to, request, result } => {
                self.send(id, to, PeerMessage::ForwardResult { request, result });
            }
            Output::Reply(Reply { client, answer, .. }) => {
                let leader = self.runtime(id).and_then(|runtime| runtime.status().leader);
                let reply = translate::reply(answer);
                self.after(world::NEAR, Event::Answer { number: client, reply, leader });
            }
            Output::SnapshotTaken { last, .. } => {
                let told = format_args!("n{id} takes a snapshot up to {}", last.index);
                self.trace.record(self.now, [12, id, last.index, 0], told);
            }
            Output::BalanceLeaders { .. } => {}
            Output::Done(effect) => return self.see(id, &effect),
            Output::Failed(why) if self.setting.bugs.is_empty() => {
                return Err(self.failure("Accusation", format!("n{id} stops: {why}")));
            }
            Output::Failed(_) => self.crash(id),
        }
        Ok(())
    }

    fn runtime(&self, id: ServerId) -> Option<&Runtime<Caller>> {
        self.nodes.get(&id)?.runtime()
    }

    fn term(&self, id: ServerId) -> u64 {
        self.runtime(id).map_or(0, |runtime| runtime.status().term)
    }

    fn write(&mut self, id: ServerId, persist: Persist) -> Result<(), Failure> {
        let seen = self.invariants.writes(id, self.term(id), &persist);
        seen.map_err(|Violation { property, seen }| self.failure(property, seen))?;
        if let Some(node) = self.nodes.get_mut(&id) {
            node.write(persist);
        }
        Ok(())
    }

    fn send(&mut self, from: ServerId, to: ServerId, message: PeerMessage) {
        let mut delays = self.network.route(from, to);
        // The core bears duplicates. A proposal is forwarded over TCP, which makes none.
        if !matches!(message, PeerMessage::Raft(_)) {
            delays.truncate(1);
        }
        let mark = [3, from << 32 | to, message.mark(), delays.len() as u64];
        let arrive = if delays.is_empty() { "  (lost)" } else { "" };
        let told = format_args!("n{from} → n{to} {message}{arrive}");
        self.trace.record(self.now, mark, told);
        let Some((last, others)) = delays.split_last() else { return };
        for delay in others {
            self.after(*delay, Event::Deliver { from, to, message: message.clone() });
        }
        self.after(*last, Event::Deliver { from, to, message });
    }

    fn sync(&mut self, id: ServerId) {
        let (least, most) = self.plan.habits.fsync;
        let slow = self.slow.get(&id).and_then(|all| all.iter().max()).copied().unwrap_or(0);
        let delay: Micros = self.disk_random.between(least, most + 1) + slow;
        let starts = self.nodes[&id].starts;
        self.after(delay, Event::Synced(id, starts));
    }

    fn see(&mut self, id: ServerId, effect: &Effect) -> Result<(), Failure> {
        match effect {
            Effect::StatusChanged(status) => {
                let mark = [4, id, status.term, status.role as u64];
                let (role, term) = (role(status.role), status.term);
                self.trace.record(self.now, mark, format_args!("n{id} is {role} of term {term}"));
            }
            Effect::Commit { entries } => {
                let last = entries.last().map_or(0, |entry| entry.index);
                let told = format_args!("n{id} applies up to {last}");
                self.trace.record(self.now, [5, id, last, 0], told);
                let seen = self.see_members(entries);
                seen.map_err(|Violation { property, seen }| self.failure(property, seen))?;
            }
            Effect::Restore { snapshot } => {
                let last = snapshot.last.index;
                let told = format_args!("n{id} takes over a snapshot up to {last}");
                self.trace.record(self.now, [11, id, last, 0], told);
            }
            Effect::Fatal { .. } | Effect::PeerLostEntries { .. }
                if self.setting.bugs.is_empty() =>
            {
                return Err(
                    self.failure("Accusation", format!("n{id} accuses a sound server: {effect:?}"))
                );
            }
            _ => {}
        }
        self.invariants
            .see(id, self.term(id), effect)
            .map_err(|Violation { property, seen }| self.failure(property, seen))
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}
