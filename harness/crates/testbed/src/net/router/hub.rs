//! Leads every message where it goes: to a node, to a client, or to a service.
//!
//! A message between nodes waits for its latency and then takes the lane from the node that
//! *emitted* it, whatever its `src` says, to its destination; a lane decides as the switch's
//! do ([`Exchange`]) whether it is cut, lost, late or doubled. Clients have lanes of their own
//! without latency. Services and the harness itself are reached by all.

use super::loss::Loss;
use super::message::{Body, Message, body, error};
use super::record::{DELIVERED, Record, now_us};
use super::routing::{self, Routing};
use super::service::{SERVICES, Services};
use crate::net::plan::{CLIENTS, HostId, LinkPlan, hosts};
use crate::net::probe::Book;
use crate::net::switch::LinkCounts;
use crate::net::switch::exchange::{Exchange, Taken, VENDOR};
use crate::net::switch::lane::Fate;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;
use workloads::Rng;

/// The harness itself: who starts nodes, and who is asked about them.
pub(super) const HARNESS: &str = "c0";
/// What numbers of probes have and those of messages do not.
const PROBE: u64 = 1 << 63;
/// The first number of the messages with which a node is started; `init`, then `topology`.
const INIT: u64 = 1;
const TOPOLOGY: u64 = 2;

/// A shared hub; its tasks hold it weakly, so that it ends with its router.
pub(super) type Shared = Mutex<Hub>;

/// Locks the hub.
pub(super) fn lock(hub: &Shared) -> MutexGuard<'_, Hub> {
    hub.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everything that speaks, and what is said.
pub(super) struct Hub {
    own: Weak<Shared>,
    began: Instant,
    rng: Rng,
    exchange: Exchange,
    /// Messages that the exchange has.
    under_way: BTreeMap<u64, Parcel>,
    nodes: Vec<Node>,
    clients: BTreeMap<String, UnboundedSender<String>>,
    services: Services,
    routing: Routing,
    loss: Loss,
    record: Record,
    messages: u64,
    guests: u64,
    trouble: Trouble,
    /// The probes.
    pub(super) book: Book,
    /// Wakes the task that drives the exchange.
    pub(super) ring: Arc<Notify>,
}

/// A program that was started, or was once.
#[derive(Default)]
struct Node {
    /// How often it has been started.
    generation: u64,
    input: Option<UnboundedSender<String>>,
    phase: Phase,
}

/// How far a node has come.
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

/// Someone who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Node(HostId),
    Client(String),
    Service(&'static str),
    Harness,
}

/// A message under way.
#[derive(Clone)]
struct Parcel {
    message: Message,
    from: End,
    to: End,
    sent_us: u64,
    /// How often it is to come out of the exchange.
    copies: usize,
}

/// What no fault explains.
#[derive(Default)]
struct Trouble {
    /// Lines that were no messages, and the first of them.
    nonsense: u64,
    first: Option<String>,
    /// Messages for unknown receivers, by name.
    strays: BTreeMap<String, u64>,
}

/// How a hub is to work.
pub(super) struct Setting {
    pub(super) count: u8,
    pub(super) rng: Rng,
    pub(super) routing: Routing,
    pub(super) record: Record,
}

impl Hub {
    /// A hub of nodes that do not run yet.
    pub(super) fn new(setting: Setting) -> Arc<Shared> {
        let Setting { count, rng, routing, record } = setting;
        Arc::new_cyclic(|own| {
            Mutex::new(Self {
                own: own.clone(),
                began: Instant::now(),
                exchange: Exchange::new(count, &rng.fork("router")),
                under_way: BTreeMap::new(),
                nodes: hosts(count).map(|_| Node::default()).collect(),
                clients: BTreeMap::new(),
                services: Services::new(rng.fork("services")),
                loss: Loss::new(routing.loss, count, &rng.fork("loss")),
                rng: rng.fork("latency"),
                routing,
                record,
                messages: 0,
                guests: 0,
                trouble: Trouble::default(),
                book: Book::new(count, routing::UNSETTLED),
                ring: Arc::default(),
            })
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Makes the links what the plan says.
    pub(super) fn apply(&mut self, plan: &LinkPlan) {
        let now = self.now();
        self.exchange.apply(now, plan);
        self.ring.notify_one();
    }

    /// What every link has done so far.
    pub(super) fn counts(&self) -> LinkCounts {
        self.exchange.counts().collect()
    }

    /// A program was started: it is told who it is, and what it reads from now on.
    pub(super) fn start(&mut self, host: HostId, input: UnboundedSender<String>) -> u64 {
        let names: Vec<String> = hosts(self.count()).map(|host| host.to_string()).collect();
        let node = &mut self.nodes[usize::from(host.0)];
        node.generation += 1;
        (node.input, node.phase) = (Some(input), Phase::Starting);
        let generation = node.generation;
        let init = json!({ "type": "init", "msg_id": INIT, "node_id": host.to_string(), "node_ids": names });
        self.send(End::Harness, Message::new(HARNESS, &host.to_string(), body(init)));
        generation
    }

    /// A program's output has ended.
    pub(super) fn end(&mut self, host: HostId, generation: u64) {
        let node = &mut self.nodes[usize::from(host.0)];
        if node.generation == generation {
            (node.input, node.phase) = (None, Phase::Down);
        }
    }

    /// A program wrote a line.
    pub(super) fn said(&mut self, host: HostId, generation: u64, line: &[u8]) {
        if self.nodes[usize::from(host.0)].generation != generation || line.trim_ascii().is_empty()
        {
            return;
        }
        match Message::read(line) {
            Ok(message) => self.send(End::Node(host), message),
            Err(why) => self.trouble.nonsense(host, line, &why),
        }
    }

    /// A client has come; returns its name.
    pub(super) fn welcome(&mut self, output: UnboundedSender<String>) -> String {
        self.guests += 1;
        let name = format!("c{}", self.guests);
        let patience = routing::patience(self.routing.latency).as_millis();
        let greeting = json!({ "type": "welcome", "patience_ms": u64::try_from(patience).ok() });
        // A client that has gone again needs no greeting.
        drop(output.send(Message::new(HARNESS, &name, body(greeting)).line()));
        self.clients.insert(name.clone(), output);
        name
    }

    /// A client has gone.
    pub(super) fn part(&mut self, name: &str) {
        self.clients.remove(name);
    }

    /// A client says something.
    pub(super) fn asked(&mut self, name: &str, line: &str) {
        let Ok(message) = Message::read(line.as_bytes()) else { return };
        let message = Message { src: name.to_owned(), ..message };
        let refusal = match self.find(&message.dest) {
            Some(End::Node(host)) => self.unready(host),
            _ => None,
        };
        let from = End::Client(name.to_owned());
        // What a node is asked about itself never reaches it, nor does what it would not take.
        match refusal.or_else(|| (message.kind() == "ready").then(ready)) {
            Some(answer) => drop(self.deliver(&from, &message.answer(answer))),
            None => self.send(from, message),
        }
    }

    /// Why a node takes no requests, if it takes none.
    fn unready(&self, host: HostId) -> Option<Body> {
        let why = match self.nodes[usize::from(host.0)].phase {
            Phase::Ready => return None,
            Phase::Down => "does not run",
            Phase::Starting => "has not answered init",
            Phase::Joining => "has not answered topology",
        };
        Some(error(1, &format!("{host} {why}")))
    }

    fn count(&self) -> u8 {
        u8::try_from(self.nodes.len()).unwrap_or(u8::MAX)
    }

    /// Who bears that name.
    fn find(&self, name: &str) -> Option<End> {
        if let Some(service) = SERVICES.iter().find(|service| **service == name) {
            return Some(End::Service(service));
        }
        if name == HARNESS {
            return Some(End::Harness);
        }
        let node = hosts(self.count()).find(|host| host.to_string() == name).map(End::Node);
        node.or_else(|| self.clients.contains_key(name).then(|| End::Client(name.to_owned())))
    }

    /// Accepts a message from its emitter.
    fn send(&mut self, from: End, mut message: Message) {
        self.messages += 1;
        message.id = self.messages;
        let Some(to) = self.find(&message.dest) else {
            *self.trouble.strays.entry(message.dest.clone()).or_default() += 1;
            self.record.note(&message, &from.name(), now_us(), "no such destination");
            return;
        };
        if let (End::Node(one), End::Node(other)) = (&from, &to)
            && self.loss.takes(*one, *other)
        {
            self.record.note(&message, &from.name(), now_us(), told(Fate::Lost));
            return;
        }
        let late = from.is_far() && to.is_far() && from != to;
        let delay = if late { self.routing.latency.draw(&mut self.rng) } else { Duration::ZERO };
        let parcel = Parcel { message, from, to, sent_us: now_us(), copies: 0 };
        if delay.is_zero() {
            return self.forward(parcel);
        }
        let own = self.own.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(hub) = own.upgrade() {
                lock(&hub).forward(parcel);
            }
        });
    }

    /// Leads a message over its lane, if it takes one.
    fn forward(&mut self, parcel: Parcel) {
        let (Some(from), Some(to)) = (parcel.from.host(), parcel.to.host()) else {
            return self.arrive(&parcel);
        };
        if from == to {
            return self.arrive(&parcel);
        }
        let frame = frame(to, parcel.message.id, parcel.message.line().as_bytes());
        match self.exchange.accept(self.now(), self.port(from), &frame) {
            Taken::Now(_) | Taken::Stray => self.arrive(&parcel),
            Taken::Later { fate, due, .. } if due.is_empty() && fate != Fate::Held => {
                self.note(&parcel, told(fate));
            }
            Taken::Later { due, .. } => {
                let copies = due.len().max(1);
                self.under_way.insert(parcel.message.id, Parcel { copies, ..parcel });
                self.ring.notify_one();
            }
        }
    }

    /// The port of the exchange on which someone is.
    fn port(&self, host: HostId) -> usize {
        if host == CLIENTS { self.nodes.len() } else { usize::from(host.0) }
    }

    /// Takes what is due out of the exchange, and says when something is due next.
    pub(super) fn drain(&mut self) -> Option<Duration> {
        let now = self.now();
        while let Some((port, frame)) = self.exchange.due(now) {
            self.come_out(port, &frame);
        }
        self.exchange.next().map(|at| Duration::from_nanos(at.saturating_sub(now)))
    }

    fn come_out(&mut self, port: usize, frame: &[u8]) {
        let Some((number, rest)) = unframed(frame) else { return };
        if number & PROBE != 0 {
            self.noted(port, number & !PROBE, rest);
            return;
        }
        let Some(mut parcel) = self.under_way.remove(&number) else { return };
        // A checksum would have shown it.
        if parcel.message.line().as_bytes() == rest {
            self.arrive(&parcel);
        } else {
            self.note(&parcel, "corrupted");
        }
        parcel.copies -= 1;
        if parcel.copies > 0 {
            self.under_way.insert(number, parcel);
        }
    }

    /// Sends a probe over every link between nodes.
    pub(super) fn probe(&mut self) {
        for pair in crate::net::plan::pairs(self.count()) {
            let (from, to) = pair;
            let number = self.book.next(pair);
            let frame = frame(to, number | PROBE, &[from.0]);
            if let Taken::Now(_) = self.exchange.accept(self.now(), self.port(from), &frame) {
                self.book.note(pair, number);
            }
        }
        self.ring.notify_one();
    }

    fn noted(&self, port: usize, number: u64, from: &[u8]) {
        let to = u8::try_from(port).map(HostId);
        if let (Some(from), Ok(to)) = (from.first(), to) {
            self.book.note((HostId(*from), to), number);
        }
    }

    /// Hands a message over whose way is over.
    fn arrive(&mut self, parcel: &Parcel) {
        let fate = if self.deliver(&parcel.to, &parcel.message) {
            DELIVERED
        } else {
            "destination is down"
        };
        self.note(parcel, fate);
    }

    fn deliver(&mut self, to: &End, message: &Message) -> bool {
        let line = || message.line();
        match to {
            End::Node(host) => {
                let input = &self.nodes[usize::from(host.0)].input;
                input.as_ref().is_some_and(|input| input.send(line()).is_ok())
            }
            End::Client(name) => {
                self.clients.get(name).is_some_and(|client| client.send(line()).is_ok())
            }
            End::Service(name) => {
                let answer = self.services.answer(name, &message.src, &message.body);
                self.send(End::Service(name), message.answer(answer));
                true
            }
            End::Harness => self.hear(message),
        }
    }

    /// A node answers the harness.
    fn hear(&mut self, message: &Message) -> bool {
        let Some(End::Node(host)) = self.find(&message.src) else { return false };
        let node = &mut self.nodes[usize::from(host.0)];
        let phase = node.phase;
        node.phase = match (phase, message.answers(), message.kind()) {
            (Phase::Starting, Some(INIT), "init_ok") if self.routing.topology.is_some() => {
                Phase::Joining
            }
            (Phase::Starting, Some(INIT), "init_ok") => Phase::Ready,
            // A node that has no use for it may say so.
            (Phase::Joining, Some(TOPOLOGY), _) => Phase::Ready,
            (phase, ..) => phase,
        };
        if phase != Phase::Joining && node.phase == Phase::Joining {
            let neighbours = self.routing.topology.unwrap_or_default().neighbours(self.count());
            let told = json!({ "type": "topology", "msg_id": TOPOLOGY, "topology": neighbours });
            self.send(End::Harness, Message::new(HARNESS, &host.to_string(), body(told)));
        }
        true
    }

    fn note(&mut self, parcel: &Parcel, fate: &str) {
        self.record.note(&parcel.message, &parcel.from.name(), parcel.sent_us, fate);
    }

    /// How nodes broke the protocol, in a sentence.
    pub(super) fn breach(&self) -> Option<String> {
        let Trouble { nonsense, first, .. } = &self.trouble;
        first.as_ref().map(|first| {
            format!(
                "lines of standard output that were no messages: {nonsense}, the first {first}; what is to be read by \
                 people belongs on standard error"
            )
        })
    }

    /// What no fault explains, in a sentence.
    pub(super) fn trouble(&self) -> Option<String> {
        let mut told = Vec::new();
        for (name, count) in &self.trouble.strays {
            told.push(format!("{count} messages were for {name:?}, who does not exist"));
        }
        told.extend(self.loss.told());
        if self.record.missed() > 0 {
            told.push(format!("{} messages are missing in the record", self.record.missed()));
        }
        (!told.is_empty()).then(|| told.join("; "))
    }
}

impl Trouble {
    fn nonsense(&mut self, host: HostId, line: &[u8], why: &str) {
        self.nonsense += 1;
        let text = String::from_utf8_lossy(line);
        let start: String = text.trim_end().chars().take(80).collect();
        self.first.get_or_insert_with(|| format!("of {host}: {start:?} ({why})"));
    }
}

impl End {
    fn name(&self) -> String {
        match self {
            Self::Node(host) => host.to_string(),
            Self::Client(name) => name.clone(),
            Self::Service(name) => (*name).to_owned(),
            Self::Harness => HARNESS.to_owned(),
        }
    }

    /// Whether messages to and from it take time.
    fn is_far(&self) -> bool {
        matches!(self, Self::Node(_) | Self::Service(_))
    }

    /// The end of the lanes that its messages take.
    fn host(&self) -> Option<HostId> {
        match self {
            Self::Node(host) => Some(*host),
            Self::Client(_) => Some(CLIENTS),
            Self::Service(_) | Self::Harness => None,
        }
    }
}

fn ready() -> Body {
    body(json!({ "type": "ready_ok" }))
}

fn told(fate: Fate) -> &'static str {
    match fate {
        Fate::Passed => DELIVERED,
        Fate::Cut => "cut",
        Fate::Down => "link down",
        Fate::Held => "held",
        Fate::Lost => "lost",
        Fate::QueueFull => "queue full",
    }
}

/// What the exchange carries: an address, a number, and what is numbered.
fn frame(to: HostId, number: u64, rest: &[u8]) -> Vec<u8> {
    [&VENDOR[..], &[to.0], &number.to_be_bytes(), rest].concat()
}

fn unframed(frame: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = frame.get(VENDOR.len() + 1..)?.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*number), rest))
}
