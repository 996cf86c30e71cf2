//! Lets simulated time pass: takes the next event, lets it happen, and asks the onlooker.

use super::ask::{self, Request};
use super::clients::Clients;
use super::machine::{Machine, Wish};
use super::network::Network;
use super::plan::Plan;
use super::story::Story;
use super::watch::{Onlooker, Violation};
use super::{Harm, Micros, Outcome, SECOND, Setting};
use checker::History;
use node::raft::{Config, Effect, Input, Membership, Message, Role, ServerId};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use workloads::{Call, GeneratorFactory, Next, Reply, Rng, Traffic, TrafficConfig};

/// Between two ticks of a server's clock, as in the real node.
pub(super) const TICK: Micros = 10_000;
/// The real node's defaults, in ticks.
const HEARTBEAT_TICKS: u32 = 5;
const ELECTION_TICKS: u32 = 30;
/// A client waits as long as this for an answer.
const TIMEOUT: Micros = SECOND;
/// Between a client and a server.
const NEAR: Micros = 100;
/// By then after everything has healed there is a leader, and everybody answers.
const RECOVERY: Micros = 10 * SECOND;

/// Something that is going to happen.
pub(super) enum Event {
    Tick(ServerId, u64),
    Deliver {
        from: ServerId,
        to: ServerId,
        message: Message,
    },
    Synced(ServerId, u64),
    NextCall,
    Ask {
        number: u64,
        to: ServerId,
        request: Request,
    },
    Answer {
        number: u64,
        reply: Reply,
        leader: Option<ServerId>,
    },
    Begin(usize),
    Blink(usize),
    End(usize),
    /// A newcomer starts.
    Welcome(ServerId),
    /// Somebody who has gone is taken away.
    TakeAway(ServerId),
}

/// An event, ordered by time and then by when it was decided.
struct Due {
    at: Micros,
    number: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// A world.
pub(super) struct World<'a> {
    pub(super) setting: &'a Setting,
    pub(super) plan: &'a Plan,
    pub(super) story: &'a mut Story,
    pub(super) now: Micros,
    queue: BinaryHeap<Reverse<Due>>,
    decided: u64,
    /// What every server is like.
    pub(super) config: Config,
    /// Who takes part, as far as it is committed, and by which entry.
    pub(super) membership: Membership,
    pub(super) membership_index: u64,
    pub(super) machines: BTreeMap<ServerId, Machine>,
    pub(super) network: Network,
    clients: Clients,
    /// What each server must answer when everything is healed, and at the end.
    last: [(&'static str, GeneratorFactory); 2],
    pub(super) onlooker: Onlooker,
    disk_rng: Rng,
    /// How long a tick of each server takes.
    pub(super) ticks: BTreeMap<ServerId, Micros>,
    /// What stands still, and how many faults want it so.
    pub(super) paused: BTreeMap<ServerId, u32>,
    pub(super) slow: BTreeMap<ServerId, Vec<Micros>>,
    pub(super) bad: BTreeSet<ServerId>,
    /// How many faults keep a server down.
    pub(super) down: BTreeMap<ServerId, u32>,
    /// Whom each fault that lasts has hit.
    pub(super) hit: BTreeMap<usize, Vec<ServerId>>,
    pub(super) outcome: Outcome,
}

impl<'a> World<'a> {
    pub(super) fn new(setting: &'a Setting, plan: &'a Plan, story: &'a mut Story) -> Self {
        let root = Rng::new(plan.seed);
        let voters: Vec<ServerId> = (1..=setting.nodes).collect();
        let config = Config {
            id: 0,
            voters: voters.clone(),
            heartbeat_ticks: HEARTBEAT_TICKS,
            election_ticks: ELECTION_TICKS,
            seed: plan.seed,
            lease_reads: plan.habits.lease,
            compaction: plan.habits.compaction,
            unsafe_bugs: setting.bugs.clone(),
        };
        let machine = |id: &ServerId| (*id, Machine::new(Config { id: *id, ..config.clone() }));
        let mut clocks = root.fork("clocks");
        let drift = plan.habits.drift;
        let tick =
            |id: &ServerId| (*id, TICK * (1000 - drift + clocks.below(2 * drift + 1)) / 1000);
        let scene = TrafficConfig { replicas: usize::try_from(setting.nodes).unwrap_or(1) };
        let Traffic { main, recovery, final_reads } =
            setting.workload.make_traffic(root.fork("workload"), &scene);
        Self {
            machines: voters.iter().map(machine).collect(),
            membership: Membership::from_voters(&voters),
            membership_index: 0,
            ticks: voters.iter().map(tick).collect(),
            network: Network::new(plan.habits, root.fork("network")),
            clients: Clients::new(main, root.fork("clients")),
            last: [("recovery", recovery), ("final reads", final_reads)],
            onlooker: Onlooker::default(),
            disk_rng: root.fork("disk"),
            config,
            setting,
            plan,
            story,
            now: 0,
            queue: BinaryHeap::new(),
            decided: 0,
            paused: BTreeMap::new(),
            slow: BTreeMap::new(),
            bad: BTreeSet::new(),
            down: BTreeMap::new(),
            hit: BTreeMap::new(),
            outcome: Outcome::default(),
        }
    }

    /// Lives through the plan, heals, and waits for answers; the first promise seen broken.
    pub(super) fn live(&mut self) -> Result<(), Harm> {
        for id in self.ids() {
            self.start(id);
        }
        for (number, fault) in self.plan.faults.iter().enumerate() {
            self.at(fault.at, Event::Begin(number));
            self.at(fault.until, Event::End(number));
        }
        self.at(SECOND / 2, Event::NextCall);
        self.until(self.plan.span + 1)?;
        self.heal();
        self.recover()
    }

    /// What came of it, and what clients were told.
    pub(super) fn close(mut self) -> (Outcome, History) {
        self.outcome.operations = self.clients.operations();
        self.outcome.ok = self.clients.ok;
        self.outcome.leaders = self.onlooker.changes;
        self.outcome.simulated = self.now;
        self.outcome.digest = self.story.digest();
        (self.outcome, self.clients.close().unwrap_or_default())
    }

    fn ids(&self) -> Vec<ServerId> {
        self.machines.keys().copied().collect()
    }

    fn at(&mut self, at: Micros, event: Event) {
        self.decided += 1;
        self.queue.push(Reverse(Due { at, number: self.decided, event }));
    }

    pub(super) fn after(&mut self, delay: Micros, event: Event) {
        self.at(self.now + delay, event);
    }

    /// Lets everything before `end` happen.
    fn until(&mut self, end: Micros) -> Result<(), Harm> {
        while self.queue.peek().is_some_and(|Reverse(due)| due.at < end) {
            let Some(Reverse(due)) = self.queue.pop() else { break };
            self.now = due.at;
            self.outcome.events += 1;
            self.happen(due.event)?;
        }
        self.now = end;
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), Harm> {
        match event {
            Event::Tick(id, life) => self.tick(id, life),
            Event::Deliver { from, to, message } => self.deliver(from, to, message),
            Event::Synced(id, life) => self.synced(id, life),
            Event::NextCall => {
                self.next_call();
                Ok(())
            }
            Event::Ask { number, to, request } => {
                self.step(to, |machine, wishes| machine.ask(number, request, wishes))
            }
            Event::Answer { number, reply, leader } => {
                self.answer(number, &reply, leader);
                Ok(())
            }
            Event::Welcome(id) => {
                self.start(id);
                Ok(())
            }
            Event::TakeAway(id) => {
                self.take_away(id);
                Ok(())
            }
            Event::Begin(fault) => self.begin(fault),
            Event::Blink(fault) => {
                self.blink(fault);
                Ok(())
            }
            Event::End(fault) => {
                self.end(fault);
                Ok(())
            }
        }
    }

    // ---- servers ----

    pub(super) fn start(&mut self, id: ServerId) {
        let Some(machine) = self.machines.get_mut(&id) else { return };
        machine.start();
        self.onlooker.starts(id, machine.stored());
        let life = machine.life;
        self.story.tell(self.now, [1, id, life, 0], format_args!("n{id} starts"));
        self.after(self.ticks[&id], Event::Tick(id, life));
    }

    pub(super) fn crash(&mut self, id: ServerId) {
        let Some(machine) = self.machines.get_mut(&id) else { return };
        let survive = self.disk_rng.below(machine.unsynced() as u64 + 1) as usize;
        machine.crash(survive, self.disk_rng.percent(50));
        self.onlooker.stops(id);
        self.story.tell(self.now, [2, id, survive as u64, 0], format_args!("n{id} stops"));
    }

    pub(super) fn runs(&self, id: ServerId) -> bool {
        self.machines.get(&id).is_some_and(|machine| machine.raft().is_some())
    }

    fn is_paused(&self, id: ServerId) -> bool {
        self.paused.get(&id).is_some_and(|count| *count > 0)
    }

    fn tick(&mut self, id: ServerId, life: u64) -> Result<(), Harm> {
        if self.machines[&id].life != life || !self.runs(id) {
            return Ok(());
        }
        self.after(self.ticks[&id], Event::Tick(id, life));
        if self.is_paused(id) {
            self.machines.entry(id).and_modify(Machine::sleep);
        }
        self.step(id, |machine, wishes| machine.step(Input::Tick, wishes))
    }

    fn deliver(&mut self, from: ServerId, to: ServerId, message: Message) -> Result<(), Harm> {
        // What reaches a server that stands still waits in its socket.
        if self.is_paused(to) {
            self.after(TICK, Event::Deliver { from, to, message });
            return Ok(());
        }
        self.step(to, |machine, wishes| machine.step(Input::Receive { from, message }, wishes))
    }

    fn synced(&mut self, id: ServerId, life: u64) -> Result<(), Harm> {
        if self.machines[&id].life != life {
            return Ok(());
        }
        if self.bad.remove(&id) {
            self.crash(id);
            return Ok(());
        }
        if self.is_paused(id) {
            self.after(TICK, Event::Synced(id, life));
            return Ok(());
        }
        self.step(id, Machine::synced)
    }

    /// Lets a server do something, and does what it wishes.
    pub(super) fn step(
        &mut self,
        id: ServerId,
        act: impl FnOnce(&mut Machine, &mut Vec<Wish>),
    ) -> Result<(), Harm> {
        if self.is_paused(id) || !self.runs(id) {
            return Ok(());
        }
        let mut wishes = Vec::new();
        let Some(machine) = self.machines.get_mut(&id) else { return Ok(()) };
        machine.wake(&mut wishes);
        act(machine, &mut wishes);
        wishes.into_iter().try_for_each(|wish| self.grant(id, wish))
    }

    fn grant(&mut self, id: ServerId, wish: Wish) -> Result<(), Harm> {
        match wish {
            Wish::Send(to, message) => self.send(id, to, message),
            Wish::Sync => self.sync(id),
            Wish::Answer(number, reply, leader) => {
                self.after(NEAR, Event::Answer { number, reply, leader });
            }
            Wish::Seen(effect) => return self.see(id, &effect),
        }
        Ok(())
    }

    fn send(&mut self, from: ServerId, to: ServerId, message: Message) {
        let delays = self.network.route(from, to);
        let mark = [3, from << 32 | to, message.term, delays.len() as u64];
        let arrive = if delays.is_empty() { "  (lost)" } else { "" };
        let told = format_args!("n{from} → n{to} {message:?}{arrive}");
        self.story.tell(self.now, mark, told);
        for delay in delays {
            self.after(delay, Event::Deliver { from, to, message: message.clone() });
        }
    }

    fn sync(&mut self, id: ServerId) {
        let (least, most) = self.plan.habits.fsync;
        let slow = self.slow.get(&id).and_then(|all| all.iter().max()).copied().unwrap_or(0);
        let delay = self.disk_rng.between(least, most + 1) + slow;
        let life = self.machines[&id].life;
        self.after(delay, Event::Synced(id, life));
    }

    fn see(&mut self, id: ServerId, effect: &Effect) -> Result<(), Harm> {
        let term = self.machines[&id].raft().map_or(0, |raft| raft.status().term);
        match effect {
            Effect::StatusChanged(status) => {
                let mark = [4, id, status.term, status.role as u64];
                let (role, term) = (role(status.role), status.term);
                self.story.tell(self.now, mark, format_args!("n{id} is {role} of term {term}"));
            }
            Effect::Commit { entries } => {
                let last = entries.last().map_or(0, |entry| entry.index);
                let told = format_args!("n{id} applies up to {last}");
                self.story.tell(self.now, [5, id, last, 0], told);
                let seen = self.see_members(entries);
                seen.map_err(|Violation { property, seen }| self.harm(property, seen))?;
            }
            Effect::Restore { snapshot } => {
                let last = snapshot.last.index;
                let told = format_args!("n{id} takes over a snapshot up to {last}");
                self.story.tell(self.now, [11, id, last, 0], told);
            }
            Effect::TakeSnapshot { last } => {
                let told = format_args!("n{id} takes a snapshot up to {}", last.index);
                self.story.tell(self.now, [12, id, last.index, 0], told);
            }
            Effect::Fatal { .. } | Effect::PeerLostEntries { .. }
                if self.setting.bugs.is_empty() =>
            {
                return Err(
                    self.harm("Accusation", format!("n{id} accuses a sound server: {effect:?}"))
                );
            }
            _ => {}
        }
        self.onlooker
            .see(id, term, effect)
            .map_err(|Violation { property, seen }| self.harm(property, seen))
    }

    fn harm(&self, promise: &str, sentence: String) -> Harm {
        Harm { promise: promise.to_owned(), sentence, at: self.now }
    }

    // ---- clients ----

    fn next_call(&mut self) {
        if self.now >= self.plan.span {
            return;
        }
        self.after(SECOND / self.plan.rate, Event::NextCall);
        let members = self.members();
        if let Some((number, to, call)) = self.clients.call(self.now, &members) {
            self.ask(number, to, &call);
        }
    }

    fn ask(&mut self, number: u64, to: ServerId, call: &Call) {
        let told = format_args!("client asks n{to} ({number}) {call:?}");
        self.story.tell(self.now, [6, number, to, 0], told);
        let timeout = Reply::info("timeout");
        self.after(TIMEOUT, Event::Answer { number, reply: timeout, leader: None });
        let event = match (ask::request(call), self.runs(to)) {
            (None, _) => {
                let reply = Reply::fail("unsupported");
                Event::Answer { number, reply, leader: None }
            }
            (_, false) => {
                let reply = Reply::fail("connection-refused");
                Event::Answer { number, reply, leader: None }
            }
            (Some(request), true) => Event::Ask { number, to, request },
        };
        self.after(NEAR, event);
    }

    fn answer(&mut self, number: u64, reply: &Reply, leader: Option<ServerId>) {
        if !self.clients.complete(self.now, number, reply) {
            return;
        }
        let mark = [7, number, reply.outcome as u64, 0];
        self.story.tell(self.now, mark, format_args!("client is told ({number}) {reply:?}"));
        if reply.outcome != workloads::Outcome::Ok {
            self.clients.hear(leader);
        }
    }

    // ---- the end ----

    fn heal(&mut self) {
        let lasting: Vec<usize> = self.hit.keys().copied().collect();
        lasting.into_iter().for_each(|number| self.end(number));
        self.story.tell(self.now, [10, 0, 0, 0], format_args!("everything is healed"));
    }

    /// Every server that runs answers a write and a read, and then the final reads.
    fn recover(&mut self) -> Result<(), Harm> {
        self.until(self.now + TIMEOUT)?; // Whoever asked before has been answered or has given up.
        for phase in 0..self.last.len() {
            for id in self.members() {
                if self.runs(id) {
                    let generator = (self.last[phase].1)();
                    self.clients.begin(generator);
                    self.work_off(id, self.last[phase].0)?;
                }
            }
        }
        Ok(())
    }

    /// Asks what there is to ask of a server; between two *ok* there may not be more than the bound.
    fn work_off(&mut self, id: ServerId, phase: &str) -> Result<(), Harm> {
        let mut deadline = self.now + RECOVERY;
        while self.now < deadline {
            let call = match self.clients.next() {
                Next::Call(call) => call,
                Next::Pending => {
                    self.until(self.now + TICK)?;
                    continue;
                }
                Next::Done => return Ok(()),
            };
            let ok = self.clients.ok;
            self.insist(id, &call)?;
            if self.clients.ok > ok {
                deadline = self.now + RECOVERY;
            }
        }
        let sentence = format!(
            "{phase}: n{id} gave no answer within {} s after everything was healed; committed up to {}",
            RECOVERY / SECOND,
            self.onlooker.committed()
        );
        Err(self.harm("liveness", sentence))
    }

    /// Asks once and waits; a write is asked of whoever leads.
    fn insist(&mut self, id: ServerId, call: &Call) -> Result<(), Harm> {
        let to = match call {
            Call::Read { .. } => id,
            _ => self.onlooker.leader().unwrap_or(id),
        };
        let number = self.clients.invoke(self.now, 0, to, call.clone());
        self.ask(number, to, call);
        while self.clients.are_waiting() {
            self.until(self.now + TICK)?;
        }
        Ok(())
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
