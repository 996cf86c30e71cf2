//! Simulates a system and its clients, to test workloads without a cluster: the same seed yields
//! the same history.
//!
//! [`InMemorySystem`] executes every call on a single correct copy. [`simulate`] drives the phases
//! of a workload's traffic against it in one of three [`Execution`]s. A [`SeededBug`] makes it
//! wrong in one way.

use crate::call::{Call, MicroOp};
use crate::generator::{BoxGenerator, Context, Next};
use crate::reply::{Outcome, Reply};
use crate::rng::Rng;
use crate::workload::{TrafficConfig, Workload};
use checker::History;
use checker::history::{Event, Kind, Process, Value};
use std::collections::{BTreeMap, VecDeque};

/// A single correct copy of every object.
#[derive(Clone, Debug, Default)]
pub(crate) struct InMemorySystem {
    registers: BTreeMap<String, i64>,
    lists: BTreeMap<u64, Vec<i64>>,
    counters: BTreeMap<String, i64>,
    set: Vec<i64>,
    queue: VecDeque<i64>,
    logs: BTreeMap<String, Vec<i64>>,
    locks: BTreeMap<String, String>,
    /// The change of each account's balance.
    transferred: BTreeMap<u64, i64>,
    /// The number of calls, from which identifiers and tokens are made.
    calls: i64,
}

impl InMemorySystem {
    /// Executes the call.
    pub(crate) fn execute_call(&mut self, call: &Call) -> Reply {
        self.calls += 1;
        match call {
            Call::Read { key } => Reply::read(self.registers.get(key).copied()),
            Call::Write { key, value } => {
                self.registers.insert(key.clone(), *value);
                Reply::ok()
            }
            Call::Cas { key, old, new } if self.registers.get(key) == Some(old) => {
                self.registers.insert(key.clone(), *new);
                Reply::ok()
            }
            Call::Cas { .. } => Reply::mismatch(),
            Call::Txn { ops, .. } => {
                Reply::returned(Value::List(ops.iter().map(|op| self.execute_op(op)).collect()))
            }
            Call::Add { amount } => self.add_to_counter("", *amount),
            Call::Increment { key } => self.add_to_counter(key, 1),
            Call::ReadCounter => Reply::returned(self.read_counter("")),
            Call::ReadCounters { keys } => {
                let sum = |key: &String| (key.clone(), self.read_counter(key));
                Reply::returned(Value::map(keys.iter().map(sum)))
            }
            Call::Echo { text } => Reply::returned(Value::from(text.as_str())),
            Call::Send { key, value } => {
                let log = self.logs.entry(key.clone()).or_default();
                log.push(*value);
                Reply::read(Some(log.len() as i64 - 1))
            }
            Call::Poll { offsets } => {
                let polled =
                    |(key, from): (&String, &i64)| (key.clone(), self.poll_log(key, *from));
                Reply::returned(Value::map(offsets.iter().map(polled)))
            }
            Call::Assign { .. } => Reply::returned(Value::map([])),
            Call::Insert { element } | Call::Broadcast { message: element } => {
                self.set.push(*element);
                Reply::ok()
            }
            Call::ReadSet | Call::ReadMessages => Reply::returned(int_list(&self.set)),
            Call::Enqueue { value } => {
                self.queue.push_back(*value);
                Reply::ok()
            }
            Call::Dequeue => match self.queue.pop_front() {
                Some(value) => Reply::returned(Value::Int(value)),
                None => Reply::mismatch(),
            },
            Call::Acquire { lock, holder } => self.acquire_lock(lock, holder),
            Call::Release { lock, holder } if self.locks.get(lock) == Some(holder) => {
                self.locks.remove(lock);
                Reply::ok()
            }
            Call::Release { .. } => Reply::mismatch(),
            Call::Generate => Reply::returned(Value::Int(self.calls)),
            Call::Transfer { from, to, amount, opening } => {
                self.transfer_money((*from, *to), *amount, *opening)
            }
            Call::ReadAccounts { accounts, opening } => {
                let balance =
                    |account| opening + self.transferred.get(&account).copied().unwrap_or(0);
                let row = |account: u64| (account.to_string(), Value::Int(balance(account)));
                Reply::returned(Value::map((0..*accounts).map(row)))
            }
        }
    }

    fn execute_op(&mut self, op: &MicroOp) -> Value {
        let name = |key: &u64| format!("t{key}");
        match op {
            MicroOp::Read(key) => {
                op.to_value(self.registers.get(&name(key)).copied().map_or(Value::Nil, Value::Int))
            }
            MicroOp::ReadList(key) => {
                op.to_value(self.lists.get(key).map_or(Value::Nil, |list| int_list(list)))
            }
            MicroOp::Write(key, value) => {
                self.registers.insert(name(key), *value);
                op.to_value(Value::Nil)
            }
            MicroOp::Append(key, value) => {
                self.lists.entry(*key).or_default().push(*value);
                op.to_value(Value::Nil)
            }
        }
    }

    /// Up to ten messages of a log from this offset on, each with its offset.
    fn poll_log(&self, key: &str, from: i64) -> Value {
        let log = self.logs.get(key).into_iter().flatten();
        let numbered = (0..).zip(log).skip(from.max(0) as usize).take(10);
        numbered
            .map(|(number, value): (i64, _)| Value::pair(number, *value))
            .collect::<Vec<_>>()
            .into()
    }

    fn add_to_counter(&mut self, key: &str, amount: i64) -> Reply {
        *self.counters.entry(key.to_owned()).or_default() += amount;
        Reply::ok()
    }

    fn read_counter(&self, key: &str) -> Value {
        Value::Int(self.counters.get(key).copied().unwrap_or(0))
    }

    fn acquire_lock(&mut self, lock: &str, holder: &str) -> Reply {
        if self.locks.contains_key(lock) {
            return Reply::mismatch();
        }
        self.locks.insert(lock.to_owned(), holder.to_owned());
        Reply::returned(Value::map([("token".to_owned(), Value::Int(self.calls))]))
    }

    fn transfer_money(&mut self, (from, to): (u64, u64), amount: i64, opening: i64) -> Reply {
        if opening + self.transferred.get(&from).copied().unwrap_or(0) < amount {
            return Reply::fail("insufficient funds");
        }
        *self.transferred.entry(from).or_default() -= amount;
        *self.transferred.entry(to).or_default() += amount;
        Reply::ok()
    }
}

fn int_list(list: &[i64]) -> Value {
    Value::List(list.iter().map(|value| Value::Int(*value)).collect())
}

/// How the simulation executes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Execution {
    /// Each call completes before the next begins.
    Sequential,
    /// Calls overlap.
    Concurrent,
    /// Calls overlap, and some time out, whether they take effect or not.
    Crashing,
}

/// A bug that takes effect in a fraction of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeededBug {
    /// An update is acknowledged but lost.
    LostUpdate,
    /// A read returns an old state of the odd keys, or of the even ones.
    LongFork,
    /// A transfer credits one account without debiting the other.
    HalfTransfer,
    /// A read returns an old state.
    StaleRead,
    /// A call returns the previous reply to the same function.
    RepeatedReply,
}

/// A system with at most one seeded bug.
struct BuggySystem {
    current: InMemorySystem,
    bug: Option<SeededBug>,
    rng: Rng,
    snapshots: VecDeque<InMemorySystem>,
    last_replies: BTreeMap<&'static str, Reply>,
}

/// The age of an old state, in calls.
const SNAPSHOT_AGE: usize = 12;

impl BuggySystem {
    fn execute_call(&mut self, call: &Call) -> Reply {
        self.snapshots.push_back(self.current.clone());
        if self.snapshots.len() > SNAPSHOT_AGE {
            self.snapshots.pop_front();
        }
        let is_buggy = self.rng.percent_chance(20);
        let reply = match self.bug.filter(|_| is_buggy) {
            Some(bug) => self.execute_with_bug(bug, call),
            None => self.current.execute_call(call),
        };
        if reply.outcome == Outcome::Ok {
            self.last_replies.insert(call.function_name(), reply.clone());
        }
        reply
    }

    fn execute_with_bug(&mut self, bug: SeededBug, call: &Call) -> Reply {
        let mut copy = match bug {
            SeededBug::LostUpdate => self.current.clone(),
            _ => self.snapshots[0].clone(),
        };
        match (bug, call) {
            (SeededBug::LostUpdate, _) => copy.execute_call(call),
            (SeededBug::StaleRead, _) if is_read(call) => copy.execute_call(call),
            (SeededBug::LongFork, Call::Txn { ops, .. }) if is_read(call) => {
                let odd = self.rng.below(2);
                let mut execute_op = |op: &MicroOp| match op.key() % 2 == odd {
                    true => copy.execute_op(op),
                    false => self.current.execute_op(op),
                };
                Reply::returned(Value::List(ops.iter().map(&mut execute_op).collect()))
            }
            (SeededBug::HalfTransfer, Call::Transfer { to, amount, .. }) => {
                *self.current.transferred.entry(*to).or_default() += amount;
                Reply::ok()
            }
            (SeededBug::RepeatedReply, _) => match self.last_replies.get(call.function_name()) {
                Some(reply) => reply.clone(),
                None => self.current.execute_call(call),
            },
            _ => self.current.execute_call(call),
        }
    }
}

/// Whether a call only reads.
fn is_read(call: &Call) -> bool {
    match call {
        Call::Txn { ops, .. } => {
            ops.iter().all(|op| matches!(op, MicroOp::Read(_) | MicroOp::ReadList(_)))
        }
        _ => call.function_name() == "read",
    }
}

/// A call in flight; the reply is known once it has taken effect.
struct CallInFlight {
    call: Call,
    reply: Option<Reply>,
}

/// Clients of a system and the history of their calls.
struct Simulation {
    system: BuggySystem,
    execution: Execution,
    rng: Rng,
    events: Vec<Event>,
    /// How often a thread had no call; it advances the clock.
    idle: u64,
    /// Each thread's process and its call in flight.
    threads: Vec<(u64, Option<CallInFlight>)>,
}

const THREADS: usize = 5;
const REPLICAS: usize = 3;

/// Simulates this many calls of the main phase, then the recovery and final reads.
pub(crate) fn simulate_workload(
    workload: &dyn Workload,
    seed: u64,
    calls: usize,
    (execution, bug): (Execution, Option<SeededBug>),
) -> History {
    let rng = Rng::new(seed);
    let mut traffic = workload.make_traffic(rng.fork("traffic"), &TrafficConfig::new(REPLICAS));
    let system = BuggySystem {
        current: InMemorySystem::default(),
        bug,
        rng: rng.fork("lies"),
        snapshots: VecDeque::new(),
        last_replies: BTreeMap::new(),
    };
    let threads = (0..THREADS as u64).map(|process| (process, None)).collect();
    let rng = rng.fork("order");
    let mut simulation =
        Simulation { system, execution, rng, events: Vec::new(), idle: 0, threads };
    simulation.run_generator(&mut traffic.main, THREADS, calls);
    for make_generator in [&mut traffic.recovery, &mut traffic.final_reads] {
        for _ in 0..REPLICAS {
            simulation.run_generator(&mut make_generator(), 1, usize::MAX);
        }
    }
    History::new(simulation.events).expect("a well-formed history")
}

impl Simulation {
    /// Runs the first threads until the generator is done or has made this many calls.
    fn run_generator(&mut self, generator: &mut BoxGenerator, threads: usize, mut calls: usize) {
        let mut done = false;
        while !done || self.threads.iter().any(|(_, call)| call.is_some()) {
            let thread = self.rng.below(threads as u64) as usize;
            match self.threads[thread].1.take() {
                Some(call) => self.advance_call(thread, call, generator),
                None if calls == 0 => done = true,
                None => match generator.next_call(&Context { thread, time: self.now() }) {
                    Next::Call(call) => {
                        calls -= 1;
                        self.invoke_call(thread, call, generator);
                    }
                    Next::Pending => self.idle += 1,
                    Next::Done => done = true,
                },
            }
        }
    }

    fn invoke_call(&mut self, thread: usize, call: Call, generator: &mut BoxGenerator) {
        self.record_event(
            thread,
            Kind::Invoke,
            (call.function_name(), call.invocation_value()),
            None,
        );
        let mut in_flight = CallInFlight { call, reply: None };
        if self.execution == Execution::Sequential {
            in_flight.reply = Some(self.system.execute_call(&in_flight.call));
            return self.advance_call(thread, in_flight, generator);
        }
        self.threads[thread].1 = Some(in_flight);
    }

    /// Executes a call, completes one that was executed, or lets it time out.
    fn advance_call(
        &mut self,
        thread: usize,
        mut in_flight: CallInFlight,
        generator: &mut BoxGenerator,
    ) {
        if self.execution == Execution::Crashing && self.rng.percent_chance(3) {
            // A call that was not executed by now never takes effect.
            self.complete_call(thread, &in_flight.call, &Reply::info("timeout"), generator);
            return;
        }
        match in_flight.reply.take() {
            Some(reply) => self.complete_call(thread, &in_flight.call, &reply, generator),
            None => {
                in_flight.reply = Some(self.system.execute_call(&in_flight.call));
                self.threads[thread].1 = Some(in_flight);
            }
        }
    }

    fn complete_call(
        &mut self,
        thread: usize,
        call: &Call,
        reply: &Reply,
        generator: &mut BoxGenerator,
    ) {
        let kind = match reply.outcome {
            Outcome::Ok => Kind::Ok,
            Outcome::Fail => Kind::Fail,
            Outcome::Info => Kind::Info,
        };
        let error = reply.error.as_deref().map(Value::from);
        self.record_event(
            thread,
            kind,
            (call.function_name(), call.completion_value(reply)),
            error,
        );
        if kind == Kind::Info {
            self.threads[thread].0 += THREADS as u64;
        }
        generator.observe_reply(thread, call, reply);
    }

    fn now(&self) -> u64 {
        (self.events.len() as u64 + self.idle) * 1_000_000
    }

    fn record_event(
        &mut self,
        thread: usize,
        kind: Kind,
        (f, value): (&str, Value),
        error: Option<Value>,
    ) {
        let process = Process::Client(self.threads[thread].0);
        self.events.push(Event {
            index: self.events.len() as u64,
            time: self.now(),
            kind,
            process,
            f: f.into(),
            value,
            node: Some(format!("n{}", thread % REPLICAS + 1).into()),
            error,
        });
    }
}
