//! Plays the clients: concurrent, each single-threaded, with timeouts, and records their history.
//!
//! An interval is never too short: the invocation is recorded before the request leaves, and the
//! completion after the answer has come. A timeout is *info* and retires the process, as in a real
//! run.

use super::setting::Micros;
use checker::history::{Event, Kind, Process, Value};
use checker::{History, history};
use node::raft::ServerId;
use std::collections::BTreeMap;
use workloads::{Call, Context, Generator, Next, Outcome, Reply, Rng};

/// Clients at a time.
const CLIENTS: u64 = 6;

/// All clients.
pub(super) struct Clients {
    /// What they do in this phase.
    generator: Box<dyn Generator>,
    /// The client that is tried first.
    next_thread: usize,
    rng: Rng,
    /// The process number of each client, and whether it waits.
    threads: Vec<ClientThread>,
    open: BTreeMap<u64, OpenCall>,
    events: Vec<Event>,
    call_count: u64,
    /// The last replica that was named as leader.
    leader_hint: Option<ServerId>,
    pub(super) ok: usize,
}

struct ClientThread {
    process: u64,
    busy: bool,
}

struct OpenCall {
    thread: usize,
    call: Call,
}

impl Clients {
    pub(super) fn new(generator: Box<dyn Generator>, rng: Rng) -> Self {
        let threads = (0..CLIENTS).map(|process| ClientThread { process, busy: false }).collect();
        Self {
            generator,
            next_thread: 0,
            rng,
            threads,
            open: BTreeMap::new(),
            events: Vec::new(),
            call_count: 0,
            leader_hint: None,
            ok: 0,
        }
    }

    /// How many operations there were.
    pub(super) fn operation_count(&self) -> usize {
        usize::try_from(self.call_count).unwrap_or(usize::MAX)
    }

    /// Begins another phase; no call is open.
    pub(super) fn begin_phase(&mut self, generator: Box<dyn Generator>) {
        self.generator = generator;
    }

    /// The next call of the first client, in a phase in which it is alone.
    pub(super) fn next_call(&mut self) -> Next {
        self.generator.next_call(&Context { thread: 0, time: 0 })
    }

    /// The next call of the main phase, its number and its replica; `None` if all clients wait.
    pub(super) fn invoke_next(
        &mut self,
        at: Micros,
        members: &[ServerId],
    ) -> Option<(u64, ServerId, Call)> {
        let threads = self.threads.len();
        let free = |thread: &usize| !self.threads[*thread].busy;
        let thread =
            (self.next_thread..self.next_thread + threads).map(|turn| turn % threads).find(free)?;
        self.next_thread = thread + 1;
        let Next::Call(call) = self.generator.next_call(&Context { thread, time: at * 1000 })
        else {
            return None;
        };
        let anyone = *self.rng.choose(members)?;
        let follows_hint = self.rng.percent_chance(80);
        // Reads are served everywhere; writes do best where the leader is.
        let to = match (&call, self.leader_hint) {
            (Call::Read { .. }, _) | (_, None) => anyone,
            (_, Some(leader)) => {
                if follows_hint {
                    leader
                } else {
                    anyone
                }
            }
        };
        let number = self.record_invocation(at, thread, to, call.clone());
        Some((number, to, call))
    }

    /// Records an invocation; returns its number.
    pub(super) fn record_invocation(
        &mut self,
        at: Micros,
        thread: usize,
        to: ServerId,
        call: Call,
    ) -> u64 {
        self.threads[thread].busy = true;
        self.call_count += 1;
        let event = Event {
            node: Some(format!("n{to}").into()),
            ..self.make_event(at, thread, (Kind::Invoke, &call), call.invocation_value())
        };
        self.events.push(event);
        self.open.insert(self.call_count, OpenCall { thread, call });
        self.call_count
    }

    /// Records the completion of a call; false if its client no longer waits.
    pub(super) fn record_completion(&mut self, at: Micros, number: u64, reply: &Reply) -> bool {
        let Some(OpenCall { thread, call }) = self.open.remove(&number) else { return false };
        let kind = match reply.outcome {
            Outcome::Ok => Kind::Ok,
            Outcome::Fail => Kind::Fail,
            Outcome::Info => Kind::Info,
        };
        self.ok += usize::from(kind == Kind::Ok);
        let event = Event {
            error: reply.error.as_deref().map(Value::from),
            ..self.make_event(at, thread, (kind, &call), call.completion_value(reply))
        };
        self.events.push(event);
        self.threads[thread].busy = false;
        if kind == Kind::Info {
            self.threads[thread].process += CLIENTS;
        }
        self.generator.observe_reply(thread, &call, reply);
        true
    }

    /// Whether any call is open.
    pub(super) fn has_open_calls(&self) -> bool {
        !self.open.is_empty()
    }

    /// Sets the replica to which writes are sent first.
    pub(super) fn set_leader_hint(&mut self, leader: Option<ServerId>) {
        self.leader_hint = leader;
    }

    fn make_event(
        &self,
        at: Micros,
        thread: usize,
        (kind, call): (Kind, &Call),
        value: Value,
    ) -> Event {
        Event {
            index: self.events.len() as u64,
            time: at * 1000,
            kind,
            process: Process::Client(self.threads[thread].process),
            f: call.function_name().into(),
            value,
            node: None,
            error: None,
        }
    }

    /// The history of all clients.
    pub(super) fn into_history(self) -> Result<History, history::Malformed> {
        History::new(self.events)
    }
}
