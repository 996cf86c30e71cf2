//! Advances simulated time: takes the next event, handles it, and checks the invariants.

use super::clients::Clients;
use super::invariant_checker::InvariantChecker;
use super::network::{Network, PeerMessage};
use super::outcome::{Failure, Outcome};
use super::plan::Plan;
use super::queue::EventQueue;
use super::setting::{Micros, SECOND, SimConfig};
use super::sim_node::{CallNumber, SimNode};
use super::trace::Trace;
use super::translate;
use checker::History;
use node::raft::{Config, Membership, ServerId};
use node::runtime::{ClientRequest, Output, Request};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use workloads::{Call, GeneratorFactory, Next, Reply, Rng, Traffic, TrafficConfig};

/// Between two ticks of a server's clock, as in the real node.
pub(super) const TICK: Micros = 10_000;
/// The real node's defaults, in ticks.
const HEARTBEAT_TICKS: u32 = 5;
const ELECTION_TICKS: u32 = 30;
/// A client waits as long as this for an answer.
const TIMEOUT: Micros = SECOND;
/// Between a client and a server.
pub(super) const CLIENT_LATENCY: Micros = 100;
/// Within this time after everything has healed there is a leader, and every replica answers.
const RECOVERY: Micros = 10 * SECOND;

/// Something that is going to happen.
pub(super) enum Event {
    Tick(ServerId, u64),
    Deliver {
        from: ServerId,
        to: ServerId,
        message: PeerMessage,
    },
    SyncDone(ServerId, u64),
    NextCall,
    Request {
        number: u64,
        to: ServerId,
        request: Request,
        /// When the client gives up.
        deadline: Micros,
    },
    Reply {
        number: u64,
        reply: Reply,
        leader: Option<ServerId>,
    },
    BeginFault(usize),
    RestartTargets(usize),
    EndFault(usize),
    /// A newcomer starts.
    StartNewcomer(ServerId),
    /// A former member is removed.
    Remove(ServerId),
}

/// A world.
pub(super) struct World<'a> {
    pub(super) setting: &'a SimConfig,
    pub(super) plan: &'a Plan,
    pub(super) trace: &'a mut Trace,
    pub(super) now: Micros,
    queue: EventQueue<Event>,
    /// What every server is like.
    pub(super) config: Config,
    /// The committed members, and the entry that made them so.
    pub(super) membership: Membership,
    pub(super) membership_index: u64,
    pub(super) nodes: BTreeMap<ServerId, SimNode>,
    pub(super) network: Network,
    clients: Clients,
    /// What each server must answer when everything is healed, and at the end.
    final_phases: [(&'static str, GeneratorFactory); 2],
    pub(super) invariants: InvariantChecker,
    pub(super) disk_random: Rng,
    /// How long a tick of each server takes.
    pub(super) tick_lengths: BTreeMap<ServerId, Micros>,
    /// The paused servers, and how many faults pause each.
    pub(super) paused: BTreeMap<ServerId, u32>,
    pub(super) slow_disks: BTreeMap<ServerId, Vec<Micros>>,
    pub(super) failing_disks: BTreeSet<ServerId>,
    /// How many faults keep a server down.
    pub(super) down: BTreeMap<ServerId, u32>,
    /// The targets of each fault that lasts.
    pub(super) active_targets: BTreeMap<usize, Vec<ServerId>>,
    pub(super) outcome: Outcome,
    /// An empty vector that keeps its memory.
    pub(super) outputs: Vec<Output<CallNumber>>,
}

impl<'a> World<'a> {
    pub(super) fn new(setting: &'a SimConfig, plan: &'a Plan, trace: &'a mut Trace) -> Self {
        let root = Rng::new(plan.seed);
        let voters: Vec<ServerId> = (1..=setting.nodes).collect();
        let config = Config {
            id: 0,
            voters: voters.clone(),
            heartbeat_ticks: HEARTBEAT_TICKS,
            election_ticks: ELECTION_TICKS,
            seed: plan.seed,
            lease_reads: plan.conditions.lease,
            compaction: plan.conditions.compaction,
            bugs: setting.bugs,
            variations: setting.variations,
        };
        let node = |id: &ServerId| (*id, SimNode::new(Config { id: *id, ..config.clone() }));
        let mut clocks = root.fork("clocks");
        let drift = plan.conditions.drift;
        let tick =
            |id: &ServerId| (*id, TICK * (1000 - drift + clocks.below(2 * drift + 1)) / 1000);
        let traffic_config = TrafficConfig::new(usize::try_from(setting.nodes).unwrap_or(1));
        let Traffic { main, recovery, final_reads } =
            setting.workload.make_traffic(root.fork("workload"), &traffic_config);
        Self {
            nodes: voters.iter().map(node).collect(),
            membership: Membership::from_voters(&voters),
            membership_index: 0,
            tick_lengths: voters.iter().map(tick).collect(),
            network: Network::new(plan.conditions, root.fork("network")),
            clients: Clients::new(main, root.fork("clients")),
            final_phases: [("recovery", recovery), ("final reads", final_reads)],
            invariants: InvariantChecker::default(),
            disk_random: root.fork("disk"),
            config,
            setting,
            plan,
            trace,
            now: 0,
            queue: EventQueue::new(),
            paused: BTreeMap::new(),
            slow_disks: BTreeMap::new(),
            failing_disks: BTreeSet::new(),
            down: BTreeMap::new(),
            active_targets: BTreeMap::new(),
            outcome: Outcome::default(),
            outputs: Vec::new(),
        }
    }

    /// Runs the plan, heals, and waits for answers; the first failure.
    pub(super) fn run_plan(&mut self) -> Result<(), Failure> {
        for id in self.node_ids() {
            self.start_replica(id)?;
        }
        for (number, fault) in self.plan.faults.iter().enumerate() {
            self.schedule_at(fault.at, Event::BeginFault(number));
            self.schedule_at(fault.until, Event::EndFault(number));
        }
        self.schedule_at(SECOND / 2, Event::NextCall);
        self.run_until(self.plan.span + 1)?;
        self.end_all_faults()?;
        self.check_recovery()
    }

    /// The outcome, and the history of the clients.
    pub(super) fn into_results(mut self) -> (Outcome, History) {
        self.outcome.operations = self.clients.operation_count();
        self.outcome.ok = self.clients.ok;
        self.outcome.leader_changes = self.invariants.leader_changes;
        self.outcome.simulated_time = self.now;
        self.outcome.digest = self.trace.digest();
        (self.outcome, self.clients.into_history().unwrap_or_default())
    }

    fn node_ids(&self) -> Vec<ServerId> {
        self.nodes.keys().copied().collect()
    }

    fn schedule_at(&mut self, at: Micros, event: Event) {
        self.queue.push(at, event);
    }

    pub(super) fn schedule_after(&mut self, delay: Micros, event: Event) {
        self.schedule_at(self.now + delay, event);
    }

    /// Lets everything before `end` happen.
    fn run_until(&mut self, end: Micros) -> Result<(), Failure> {
        while let Some((at, event)) = self.queue.pop_before(end) {
            self.now = at;
            self.outcome.events += 1;
            self.handle_event(event)?;
        }
        self.now = end;
        Ok(())
    }

    fn handle_event(&mut self, event: Event) -> Result<(), Failure> {
        match event {
            Event::Tick(id, life) => self.tick_replica(id, life),
            Event::Deliver { from, to, message } => self.deliver_message(from, to, message),
            Event::SyncDone(id, life) => self.finish_sync(id, life),
            Event::NextCall => {
                self.next_call();
                Ok(())
            }
            Event::Request { number, to, request, deadline } => self.step_replica(to, |runtime| {
                let deadline = Duration::from_micros(deadline);
                runtime.submit_request(ClientRequest { request, deadline, client: number });
            }),
            Event::Reply { number, reply, leader } => {
                self.complete_call(number, &reply, leader);
                Ok(())
            }
            Event::StartNewcomer(id) => self.start_replica(id),
            Event::Remove(id) => {
                self.remove_node(id);
                Ok(())
            }
            Event::BeginFault(fault) => self.begin_fault(fault),
            Event::RestartTargets(fault) => self.restart_targets(fault),
            Event::EndFault(fault) => self.end_fault(fault),
        }
    }

    pub(super) fn make_failure(&self, property: &str, message: String) -> Failure {
        Failure { property: property.to_owned(), message, at: self.now }
    }

    // ---- clients ----

    fn next_call(&mut self) {
        if self.now >= self.plan.span {
            return;
        }
        self.schedule_after(SECOND / self.plan.rate, Event::NextCall);
        let members = self.members();
        if let Some((number, to, call)) = self.clients.invoke_next(self.now, &members) {
            self.send_request(number, to, &call);
        }
    }

    fn send_request(&mut self, number: u64, to: ServerId, call: &Call) {
        let told = format_args!("client calls n{to} ({number}) {call:?}");
        self.trace.record_event(self.now, [6, number, to, 0], told);
        let timeout = Reply::info("timeout");
        self.schedule_after(TIMEOUT, Event::Reply { number, reply: timeout, leader: None });
        let event =
            match (translate::to_request(call, self.config.lease_reads), self.is_running(to)) {
                (None, _) => {
                    let reply = Reply::fail("unsupported");
                    Event::Reply { number, reply, leader: None }
                }
                (_, false) => {
                    let reply = Reply::fail("connection-refused");
                    Event::Reply { number, reply, leader: None }
                }
                (Some(request), true) => {
                    Event::Request { number, to, request, deadline: self.now + TIMEOUT }
                }
            };
        self.schedule_after(CLIENT_LATENCY, event);
    }

    fn complete_call(&mut self, number: u64, reply: &Reply, leader: Option<ServerId>) {
        if !self.clients.record_completion(self.now, number, reply) {
            return;
        }
        let mark = [7, number, reply.outcome as u64, 0];
        self.trace.record_event(
            self.now,
            mark,
            format_args!("client receives ({number}) {reply:?}"),
        );
        if reply.outcome != workloads::Outcome::Ok {
            self.clients.set_leader_hint(leader);
        }
    }

    // ---- the end ----

    fn end_all_faults(&mut self) -> Result<(), Failure> {
        let lasting: Vec<usize> = self.active_targets.keys().copied().collect();
        lasting.into_iter().try_for_each(|number| self.end_fault(number))?;
        self.trace.record_event(self.now, [10, 0, 0, 0], format_args!("everything is healed"));
        Ok(())
    }

    /// Every server that runs answers a write and a read, and then the final reads.
    fn check_recovery(&mut self) -> Result<(), Failure> {
        // Every earlier call is answered or times out first.
        self.run_until(self.now + TIMEOUT)?;
        for phase in 0..self.final_phases.len() {
            for id in self.members() {
                if self.is_running(id) {
                    let generator = (self.final_phases[phase].1)();
                    self.clients.begin_phase(generator);
                    self.drain_calls(id, self.final_phases[phase].0)?;
                }
            }
        }
        Ok(())
    }

    /// Plays the generator's calls at a server; the time between two *ok* is bounded.
    fn drain_calls(&mut self, id: ServerId, phase: &str) -> Result<(), Failure> {
        let mut deadline = self.now + RECOVERY;
        while self.now < deadline {
            let call = match self.clients.next_call() {
                Next::Call(call) => call,
                Next::Pending => {
                    self.run_until(self.now + TICK)?;
                    continue;
                }
                Next::Done => return Ok(()),
            };
            let ok = self.clients.ok;
            self.call_and_wait(id, &call)?;
            if self.clients.ok > ok {
                deadline = self.now + RECOVERY;
            }
        }
        let message = format!(
            "{phase}: n{id} gave no answer within {} s after everything was healed; \
             committed up to {}",
            RECOVERY / SECOND,
            self.invariants.commit_index()
        );
        Err(self.make_failure("liveness", message))
    }

    /// Calls once and waits; a write goes to the leader.
    fn call_and_wait(&mut self, id: ServerId, call: &Call) -> Result<(), Failure> {
        let to = match call {
            Call::Read { .. } => id,
            _ => self.invariants.current_leader().unwrap_or(id),
        };
        let number = self.clients.record_invocation(self.now, 0, to, call.clone());
        self.send_request(number, to, call);
        while self.clients.has_open_calls() {
            self.run_until(self.now + TICK)?;
        }
        Ok(())
    }
}
