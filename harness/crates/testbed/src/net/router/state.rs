//! Routes every message to its destination: a node, a client or a service.
//!
//! A message between nodes waits for its latency and then takes the link from the node that
//! *emitted* it, whatever its `src` says, to its destination; a link decides as the switch's
//! do ([`Exchange`]) whether it is cut, lost, late or doubled. Clients have links of their own
//! without latency. Services and the harness itself are reached by all.

use super::loss::Loss;
use super::message::{Body, Message, error_body, to_body};
use super::record::{DELIVERED, MessageLog, now_us};
use super::routing::{self, Routing};
use super::service::{SERVICES, Services};
use crate::net::plan::{CLIENTS, HostId, LinkPlan, host_ids};
use crate::net::probe::ProbeLog;
use crate::net::switch::LinkCounts;
use crate::net::switch::exchange::{Exchange, FrameOutcome, MAC_PREFIX};
use crate::net::switch::link::Fate;
use crate::random::Rng;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

/// The name of the harness itself, which initialises nodes and answers queries about them.
pub(super) const HARNESS: &str = "c0";
/// The bit that is set in numbers of probes and clear in those of messages.
const PROBE_FLAG: u64 = 1 << 63;
/// The `msg_id` of the first message that a node receives, `init`; then comes `topology`.
const INIT_ID: u64 = 1;
const TOPOLOGY_ID: u64 = 2;

/// The shared state; tasks hold it weakly, so that it ends with its router.
pub(super) type SharedState = Mutex<RouterState>;

/// Locks the state.
pub(super) fn lock_state(state: &SharedState) -> MutexGuard<'_, RouterState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All endpoints, and the messages between them.
pub(super) struct RouterState {
    weak_self: Weak<SharedState>,
    began: Instant,
    rng: Rng,
    exchange: Exchange,
    /// Messages that the exchange holds.
    pending: BTreeMap<u64, InFlight>,
    nodes: Vec<NodeProcess>,
    clients: BTreeMap<String, UnboundedSender<String>>,
    services: Services,
    routing: Routing,
    loss: Loss,
    record: MessageLog,
    message_count: u64,
    client_count: u64,
    errors: RouterErrors,
    /// The probes.
    pub(super) probe_log: ProbeLog,
    /// Wakes the task that drives the exchange.
    pub(super) wakeup: Arc<Notify>,
}

/// A program that runs or has run.
#[derive(Default)]
struct NodeProcess {
    /// How often it has been started.
    generation: u64,
    input: Option<UnboundedSender<String>>,
    phase: Phase,
}

/// The state of a node's initialisation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Down,
    /// It has not answered `init` yet.
    Starting,
    /// It has not answered `topology` yet.
    Joining,
    Ready,
}

/// A sender or receiver of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Endpoint {
    Node(HostId),
    Client(String),
    Service(&'static str),
    Harness,
}

/// A message under way.
#[derive(Clone)]
struct InFlight {
    message: Message,
    from: Endpoint,
    to: Endpoint,
    sent_us: u64,
    /// How many copies the exchange will still deliver.
    copies: usize,
}

/// Errors that no fault explains.
#[derive(Default)]
struct RouterErrors {
    /// The number of lines that were not messages, and the first of them.
    malformed: u64,
    first_malformed: Option<String>,
    /// Messages for unknown receivers, by name.
    strays: BTreeMap<String, u64>,
}

/// The configuration of a router.
pub(super) struct RouterConfig {
    pub(super) count: u8,
    pub(super) rng: Rng,
    pub(super) routing: Routing,
    pub(super) record: MessageLog,
}

impl RouterState {
    /// The state of a router whose nodes do not run yet.
    pub(super) fn new(setting: RouterConfig) -> Arc<SharedState> {
        let RouterConfig { count, rng, routing, record } = setting;
        Arc::new_cyclic(|own| {
            Mutex::new(Self {
                weak_self: own.clone(),
                began: Instant::now(),
                exchange: Exchange::new(count, &rng.fork("router")),
                pending: BTreeMap::new(),
                nodes: host_ids(count).map(|_| NodeProcess::default()).collect(),
                clients: BTreeMap::new(),
                services: Services::new(rng.fork("services")),
                loss: Loss::new(routing.loss, count, &rng.fork("loss")),
                rng: rng.fork("latency"),
                routing,
                record,
                message_count: 0,
                client_count: 0,
                errors: RouterErrors::default(),
                probe_log: ProbeLog::new(count, routing::MAX_IN_FLIGHT),
                wakeup: Arc::default(),
            })
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Applies the plan to all links.
    pub(super) fn apply_plan(&mut self, plan: &LinkPlan) {
        let now = self.now();
        self.exchange.apply_plan(now, plan);
        self.wakeup.notify_one();
    }

    /// The counters of every link.
    pub(super) fn link_counts(&self) -> LinkCounts {
        self.exchange.link_counts().collect()
    }

    /// Handles the start of a program: sends `init`; `input` carries its standard input.
    pub(super) fn start_node(&mut self, host: HostId, input: UnboundedSender<String>) -> u64 {
        let names: Vec<String> = host_ids(self.node_count()).map(|host| host.to_string()).collect();
        let node = &mut self.nodes[usize::from(host.0)];
        node.generation += 1;
        (node.input, node.phase) = (Some(input), Phase::Starting);
        let generation = node.generation;
        let name = host.to_string();
        let init = to_body(json!({
            "type": "init", "msg_id": INIT_ID, "node_id": name, "node_ids": names
        }));
        self.send_message(Endpoint::Harness, Message::new(HARNESS, &name, init));
        generation
    }

    /// Handles the end of a program's output.
    pub(super) fn end_node(&mut self, host: HostId, generation: u64) {
        let node = &mut self.nodes[usize::from(host.0)];
        if node.generation == generation {
            (node.input, node.phase) = (None, Phase::Down);
        }
    }

    /// Handles a line that a program wrote.
    pub(super) fn handle_node_line(&mut self, host: HostId, generation: u64, line: &[u8]) {
        if self.nodes[usize::from(host.0)].generation != generation || line.trim_ascii().is_empty()
        {
            return;
        }
        match Message::parse(line) {
            Ok(message) => self.send_message(Endpoint::Node(host), message),
            Err(why) => self.errors.record_malformed(host, line, &why),
        }
    }

    /// Adds a client; returns its name.
    pub(super) fn add_client(&mut self, output: UnboundedSender<String>) -> String {
        self.client_count += 1;
        let name = format!("c{}", self.client_count);
        let patience = routing::client_timeout(self.routing.latency).as_millis();
        let greeting = json!({ "type": "welcome", "patience_ms": u64::try_from(patience).ok() });
        // A client that has disconnected again needs no greeting.
        drop(output.send(Message::new(HARNESS, &name, to_body(greeting)).to_line()));
        self.clients.insert(name.clone(), output);
        name
    }

    /// Removes a client.
    pub(super) fn remove_client(&mut self, name: &str) {
        self.clients.remove(name);
    }

    /// Handles a message from a client.
    pub(super) fn handle_client_line(&mut self, name: &str, line: &str) {
        let Ok(message) = Message::parse(line.as_bytes()) else { return };
        let message = Message { src: name.to_owned(), ..message };
        let refusal = match self.find_endpoint(&message.dest) {
            Some(Endpoint::Node(host)) => self.unready_error(host),
            _ => None,
        };
        let from = Endpoint::Client(name.to_owned());
        // The harness answers queries about a node, and rejects requests that it is not ready for.
        match refusal.or_else(|| (message.kind() == "ready").then(ready_ok_body)) {
            Some(answer) => drop(self.deliver_message(&from, &message.reply_with(answer))),
            None => self.send_message(from, message),
        }
    }

    /// Why a node is not ready for requests, if it is not.
    fn unready_error(&self, host: HostId) -> Option<Body> {
        let why = match self.nodes[usize::from(host.0)].phase {
            Phase::Ready => return None,
            Phase::Down => "does not run",
            Phase::Starting => "has not answered init",
            Phase::Joining => "has not answered topology",
        };
        Some(error_body(1, &format!("{host} {why}")))
    }

    fn node_count(&self) -> u8 {
        u8::try_from(self.nodes.len()).unwrap_or(u8::MAX)
    }

    /// The endpoint of that name.
    fn find_endpoint(&self, name: &str) -> Option<Endpoint> {
        if let Some(service) = SERVICES.iter().find(|service| **service == name) {
            return Some(Endpoint::Service(service));
        }
        if name == HARNESS {
            return Some(Endpoint::Harness);
        }
        let node =
            host_ids(self.node_count()).find(|host| host.to_string() == name).map(Endpoint::Node);
        node.or_else(|| self.clients.contains_key(name).then(|| Endpoint::Client(name.to_owned())))
    }

    /// Accepts a message from its emitter.
    fn send_message(&mut self, from: Endpoint, mut message: Message) {
        self.message_count += 1;
        message.id = self.message_count;
        let Some(to) = self.find_endpoint(&message.dest) else {
            *self.errors.strays.entry(message.dest.clone()).or_default() += 1;
            self.record.append_message(&message, &from.name(), now_us(), "no such destination");
            return;
        };
        if let (Endpoint::Node(one), Endpoint::Node(other)) = (&from, &to)
            && self.loss.drops_next(*one, *other)
        {
            self.record.append_message(&message, &from.name(), now_us(), fate_name(Fate::Lost));
            return;
        }
        let late = from.has_latency() && to.has_latency() && from != to;
        let delay =
            if late { self.routing.latency.sample_delay(&mut self.rng) } else { Duration::ZERO };
        let in_flight = InFlight { message, from, to, sent_us: now_us(), copies: 0 };
        if delay.is_zero() {
            return self.forward_message(in_flight);
        }
        let own = self.weak_self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(state) = own.upgrade() {
                lock_state(&state).forward_message(in_flight);
            }
        });
    }

    /// Sends a message over its link, if it takes one.
    fn forward_message(&mut self, in_flight: InFlight) {
        let (Some(from), Some(to)) = (in_flight.from.host(), in_flight.to.host()) else {
            return self.finish_delivery(&in_flight);
        };
        if from == to {
            return self.finish_delivery(&in_flight);
        }
        let frame = encode_frame(to, in_flight.message.id, in_flight.message.to_line().as_bytes());
        match self.exchange.accept_frame(self.now(), self.port_of(from), &frame) {
            FrameOutcome::Now(_) | FrameOutcome::Stray => self.finish_delivery(&in_flight),
            FrameOutcome::Later { fate, due, .. } if due.is_empty() && fate != Fate::Held => {
                self.record_fate(&in_flight, fate_name(fate));
            }
            FrameOutcome::Later { due, .. } => {
                let copies = due.len().max(1);
                self.pending.insert(in_flight.message.id, InFlight { copies, ..in_flight });
                self.wakeup.notify_one();
            }
        }
    }

    /// The port of an endpoint on the exchange.
    fn port_of(&self, host: HostId) -> usize {
        if host == CLIENTS { self.nodes.len() } else { usize::from(host.0) }
    }

    /// Delivers what is due; returns when the next message is due.
    pub(super) fn deliver_due(&mut self) -> Option<Duration> {
        let now = self.now();
        while let Some((port, frame)) = self.exchange.pop_due(now) {
            self.receive_frame(port, &frame);
        }
        self.exchange.next_due().map(|at| Duration::from_nanos(at.saturating_sub(now)))
    }

    fn receive_frame(&mut self, port: usize, frame: &[u8]) {
        let Some((number, rest)) = decode_frame(frame) else { return };
        if number & PROBE_FLAG != 0 {
            self.record_probe_arrival(port, number & !PROBE_FLAG, rest);
            return;
        }
        let Some(mut in_flight) = self.pending.remove(&number) else { return };
        // A checksum would have detected it.
        if in_flight.message.to_line().as_bytes() == rest {
            self.finish_delivery(&in_flight);
        } else {
            self.record_fate(&in_flight, "corrupted");
        }
        in_flight.copies -= 1;
        if in_flight.copies > 0 {
            self.pending.insert(number, in_flight);
        }
    }

    /// Sends a probe over every link between nodes.
    pub(super) fn send_probes(&mut self) {
        for pair in crate::net::plan::directed_pairs(self.node_count()) {
            let (from, to) = pair;
            let number = self.probe_log.record_sent(pair);
            let frame = encode_frame(to, number | PROBE_FLAG, &[from.0]);
            if let FrameOutcome::Now(_) =
                self.exchange.accept_frame(self.now(), self.port_of(from), &frame)
            {
                self.probe_log.record_arrival(pair, number);
            }
        }
        self.wakeup.notify_one();
    }

    fn record_probe_arrival(&self, port: usize, number: u64, from: &[u8]) {
        let to = u8::try_from(port).map(HostId);
        if let (Some(from), Ok(to)) = (from.first(), to) {
            self.probe_log.record_arrival((HostId(*from), to), number);
        }
    }

    /// Delivers a message to its endpoint.
    fn finish_delivery(&mut self, in_flight: &InFlight) {
        let fate = if self.deliver_message(&in_flight.to, &in_flight.message) {
            DELIVERED
        } else {
            "destination is down"
        };
        self.record_fate(in_flight, fate);
    }

    fn deliver_message(&mut self, to: &Endpoint, message: &Message) -> bool {
        let line = || message.to_line();
        match to {
            Endpoint::Node(host) => {
                let input = &self.nodes[usize::from(host.0)].input;
                input.as_ref().is_some_and(|input| input.send(line()).is_ok())
            }
            Endpoint::Client(name) => {
                self.clients.get(name).is_some_and(|client| client.send(line()).is_ok())
            }
            Endpoint::Service(name) => {
                let answer = self.services.handle_request(name, &message.src, &message.body);
                self.send_message(Endpoint::Service(name), message.reply_with(answer));
                true
            }
            Endpoint::Harness => self.handle_harness_reply(message),
        }
    }

    /// Handles a node's reply to the harness.
    fn handle_harness_reply(&mut self, message: &Message) -> bool {
        let Some(Endpoint::Node(host)) = self.find_endpoint(&message.src) else { return false };
        let node = &mut self.nodes[usize::from(host.0)];
        let phase = node.phase;
        node.phase = match (phase, message.in_reply_to(), message.kind()) {
            (Phase::Starting, Some(INIT_ID), "init_ok") if self.routing.topology.is_some() => {
                Phase::Joining
            }
            (Phase::Starting, Some(INIT_ID), "init_ok") => Phase::Ready,
            // A node may answer `topology` with an error.
            (Phase::Joining, Some(TOPOLOGY_ID), _) => Phase::Ready,
            (phase, ..) => phase,
        };
        if phase != Phase::Joining && node.phase == Phase::Joining {
            let neighbours =
                self.routing.topology.unwrap_or_default().neighbours(self.node_count());
            let told = json!({ "type": "topology", "msg_id": TOPOLOGY_ID, "topology": neighbours });
            self.send_message(
                Endpoint::Harness,
                Message::new(HARNESS, &host.to_string(), to_body(told)),
            );
        }
        true
    }

    fn record_fate(&mut self, in_flight: &InFlight, fate: &str) {
        self.record.append_message(
            &in_flight.message,
            &in_flight.from.name(),
            in_flight.sent_us,
            fate,
        );
    }

    /// Describes how nodes broke the protocol.
    pub(super) fn protocol_error(&self) -> Option<String> {
        let RouterErrors { malformed: nonsense, first_malformed: first, .. } = &self.errors;
        first.as_ref().map(|first| {
            format!(
                "lines on standard output that were no messages: {nonsense}, the first {first}; \
                 log output belongs on standard error"
            )
        })
    }

    /// Describes losses that no fault explains.
    pub(super) fn network_error(&self) -> Option<String> {
        let mut told = Vec::new();
        for (name, count) in &self.errors.strays {
            told.push(format!("{count} messages were for {name:?}, which does not exist"));
        }
        told.extend(self.loss.describe_losses());
        if self.record.missed() > 0 {
            told.push(format!("{} messages are missing in the record", self.record.missed()));
        }
        (!told.is_empty()).then(|| told.join("; "))
    }
}

impl RouterErrors {
    fn record_malformed(&mut self, host: HostId, line: &[u8], why: &str) {
        self.malformed += 1;
        let text = String::from_utf8_lossy(line);
        let start: String = text.trim_end().chars().take(80).collect();
        self.first_malformed.get_or_insert_with(|| format!("of {host}: {start:?} ({why})"));
    }
}

impl Endpoint {
    fn name(&self) -> String {
        match self {
            Self::Node(host) => host.to_string(),
            Self::Client(name) => name.clone(),
            Self::Service(name) => (*name).to_owned(),
            Self::Harness => HARNESS.to_owned(),
        }
    }

    /// Whether messages to and from it take time.
    fn has_latency(&self) -> bool {
        matches!(self, Self::Node(_) | Self::Service(_))
    }

    /// The host at its end of the links.
    fn host(&self) -> Option<HostId> {
        match self {
            Self::Node(host) => Some(*host),
            Self::Client(_) => Some(CLIENTS),
            Self::Service(_) | Self::Harness => None,
        }
    }
}

fn ready_ok_body() -> Body {
    to_body(json!({ "type": "ready_ok" }))
}

fn fate_name(fate: Fate) -> &'static str {
    match fate {
        Fate::Passed => DELIVERED,
        Fate::Cut => "cut",
        Fate::Down => "link down",
        Fate::Held => "held",
        Fate::Lost => "lost",
        Fate::QueueFull => "queue full",
    }
}

/// A frame as the exchange carries it: an address, a number and a payload.
fn encode_frame(to: HostId, number: u64, rest: &[u8]) -> Vec<u8> {
    [&MAC_PREFIX[..], &[to.0], &number.to_be_bytes(), rest].concat()
}

fn decode_frame(frame: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = frame.get(MAC_PREFIX.len() + 1..)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), rest))
}
