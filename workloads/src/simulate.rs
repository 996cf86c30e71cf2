//! Plays a system and its clients, so that workloads are tested without a cluster: the same seed gives the same history.
//!
//! [`Memory`] answers every call as one correct copy would. An executor drives a workload's traffic through its
//! phases against it: *perfect* answers at once, *slow* lets calls overlap, *crashing* also loses calls and answers.
//! A [`Lie`] makes it wrong in one way.

use crate::generator::Any;
use crate::{Call, Micro, Next, Outcome, Reply, Rng, Scene, Turn, Workload};
use checker::History;
use checker::history::{Event, Kind, Process, Value};
use std::collections::{BTreeMap, VecDeque};

/// One correct copy of everything.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    registers: BTreeMap<String, i64>,
    lists: BTreeMap<u64, Vec<i64>>,
    counters: BTreeMap<String, i64>,
    set: Vec<i64>,
    queue: VecDeque<i64>,
    logs: BTreeMap<String, Vec<i64>>,
    locks: BTreeMap<String, String>,
    /// What accounts have more or less than at first.
    moved: BTreeMap<u64, i64>,
    /// Counts calls: what identifiers and tokens are made of.
    calls: i64,
}

impl Memory {
    /// What the call finds and returns.
    pub(crate) fn answer(&mut self, call: &Call) -> Reply {
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
                Reply::returned(Value::List(ops.iter().map(|op| self.micro(op)).collect()))
            }
            Call::Add { amount } => self.count("", *amount),
            Call::Increment { key } => self.count(key, 1),
            Call::Sum => Reply::returned(self.sum("")),
            Call::Sums { keys } => {
                let sum = |key: &String| (key.clone(), self.sum(key));
                Reply::returned(Value::map(keys.iter().map(sum)))
            }
            Call::Echo { text } => Reply::returned(Value::from(text.as_str())),
            Call::Send { key, value } => {
                let log = self.logs.entry(key.clone()).or_default();
                log.push(*value);
                Reply::read(Some(log.len() as i64 - 1))
            }
            Call::Poll { offsets } => {
                let polled = |(key, from): (&String, &i64)| (key.clone(), self.polled(key, *from));
                Reply::returned(Value::map(offsets.iter().map(polled)))
            }
            Call::Assign { .. } => Reply::returned(Value::map([])),
            Call::Insert { element } | Call::Broadcast { message: element } => {
                self.set.push(*element);
                Reply::ok()
            }
            Call::Elements | Call::Heard => Reply::returned(ints(&self.set)),
            Call::Enqueue { value } => {
                self.queue.push_back(*value);
                Reply::ok()
            }
            Call::Dequeue => match self.queue.pop_front() {
                Some(value) => Reply::returned(Value::Int(value)),
                None => Reply::mismatch(),
            },
            Call::Acquire { lock, holder } => self.acquire(lock, holder),
            Call::Release { lock, holder } if self.locks.get(lock) == Some(holder) => {
                self.locks.remove(lock);
                Reply::ok()
            }
            Call::Release { .. } => Reply::mismatch(),
            Call::Generate => Reply::returned(Value::Int(self.calls)),
            Call::Transfer { from, to, amount, opening } => {
                self.transfer((*from, *to), *amount, *opening)
            }
            Call::Balances { accounts, opening } => {
                let balance = |account| opening + self.moved.get(&account).copied().unwrap_or(0);
                let row = |account: u64| (account.to_string(), Value::Int(balance(account)));
                Reply::returned(Value::map((0..*accounts).map(row)))
            }
        }
    }

    fn micro(&mut self, op: &Micro) -> Value {
        let name = |key: &u64| format!("t{key}");
        match op {
            Micro::Read(key) => {
                op.told(self.registers.get(&name(key)).copied().map_or(Value::Nil, Value::Int))
            }
            Micro::List(key) => op.told(self.lists.get(key).map_or(Value::Nil, |list| ints(list))),
            Micro::Write(key, value) => {
                self.registers.insert(name(key), *value);
                op.told(Value::Nil)
            }
            Micro::Append(key, value) => {
                self.lists.entry(*key).or_default().push(*value);
                op.told(Value::Nil)
            }
        }
    }

    /// A few messages of a log from there on, with their numbers.
    fn polled(&self, key: &str, from: i64) -> Value {
        let log = self.logs.get(key).into_iter().flatten();
        let numbered = (0..).zip(log).skip(from.max(0) as usize).take(10);
        numbered
            .map(|(number, value): (i64, _)| Value::pair(number, *value))
            .collect::<Vec<_>>()
            .into()
    }

    fn count(&mut self, key: &str, amount: i64) -> Reply {
        *self.counters.entry(key.to_owned()).or_default() += amount;
        Reply::ok()
    }

    fn sum(&self, key: &str) -> Value {
        Value::Int(self.counters.get(key).copied().unwrap_or(0))
    }

    fn acquire(&mut self, lock: &str, holder: &str) -> Reply {
        if self.locks.contains_key(lock) {
            return Reply::mismatch();
        }
        self.locks.insert(lock.to_owned(), holder.to_owned());
        Reply::returned(Value::map([("token".to_owned(), Value::Int(self.calls))]))
    }

    fn transfer(&mut self, (from, to): (u64, u64), amount: i64, opening: i64) -> Reply {
        if opening + self.moved.get(&from).copied().unwrap_or(0) < amount {
            return Reply::fail("insufficient funds");
        }
        *self.moved.entry(from).or_default() -= amount;
        *self.moved.entry(to).or_default() += amount;
        Reply::ok()
    }
}

fn ints(list: &[i64]) -> Value {
    Value::List(list.iter().map(|value| Value::Int(*value)).collect())
}

/// How an executor treats calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Each is answered before the next begins.
    Perfect,
    /// They overlap.
    Slow,
    /// They overlap, and of some nobody hears again, whether they happen or not.
    Crashing,
}

/// A way to be wrong, now and then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lie {
    /// A change is acknowledged and not made.
    Forget,
    /// A look shows keys with an odd last digit, or those with an even one, as they were some time ago.
    Fork,
    /// A transfer arrives without leaving.
    Half,
    /// A look shows what was there some time ago.
    Past,
    /// An answer is the one that the last call of the function got.
    Repeat,
}

/// A system that lies now and then, if at all.
struct Liar {
    memory: Memory,
    lie: Option<Lie>,
    rng: Rng,
    past: VecDeque<Memory>,
    last: BTreeMap<&'static str, Reply>,
}

/// How many calls ago the past is.
const PAST: usize = 12;

impl Liar {
    fn answer(&mut self, call: &Call) -> Reply {
        self.past.push_back(self.memory.clone());
        if self.past.len() > PAST {
            self.past.pop_front();
        }
        let lies = self.rng.percent(20);
        let reply = match self.lie.filter(|_| lies) {
            Some(lie) => self.lied(lie, call),
            None => self.memory.answer(call),
        };
        if reply.outcome == Outcome::Ok {
            self.last.insert(call.function(), reply.clone());
        }
        reply
    }

    fn lied(&mut self, lie: Lie, call: &Call) -> Reply {
        let mut elsewhere = match lie {
            Lie::Forget => self.memory.clone(),
            _ => self.past[0].clone(),
        };
        match (lie, call) {
            (Lie::Forget, _) => elsewhere.answer(call),
            (Lie::Past, _) if looks(call) => elsewhere.answer(call),
            (Lie::Fork, Call::Txn { ops, .. }) if looks(call) => {
                let odd = self.rng.below(2);
                let mut shown = |op: &Micro| match op.key() % 2 == odd {
                    true => elsewhere.micro(op),
                    false => self.memory.micro(op),
                };
                Reply::returned(Value::List(ops.iter().map(&mut shown).collect()))
            }
            (Lie::Half, Call::Transfer { to, amount, .. }) => {
                *self.memory.moved.entry(*to).or_default() += amount;
                Reply::ok()
            }
            (Lie::Repeat, _) => match self.last.get(call.function()) {
                Some(reply) => reply.clone(),
                None => self.memory.answer(call),
            },
            _ => self.memory.answer(call),
        }
    }
}

/// Whether a call changes nothing.
fn looks(call: &Call) -> bool {
    match call {
        Call::Txn { ops, .. } => ops.iter().all(|op| matches!(op, Micro::Read(_) | Micro::List(_))),
        _ => call.function() == "read",
    }
}

/// A call on its way.
struct Flight {
    call: Call,
    reply: Option<Reply>,
}

/// Clients at work on a system.
struct Stage {
    liar: Liar,
    manner: Manner,
    rng: Rng,
    events: Vec<Event>,
    /// How often nobody had anything to do.
    idle: u64,
    /// Each thread's process, and the call it waits for.
    threads: Vec<(u64, Option<Flight>)>,
}

const THREADS: usize = 5;
const REPLICAS: usize = 3;

/// The history of so many calls of the workload and its last phases.
pub(crate) fn history(
    workload: &dyn Workload,
    seed: u64,
    calls: usize,
    (manner, lie): (Manner, Option<Lie>),
) -> History {
    let rng = Rng::new(seed);
    let mut traffic = workload.traffic(rng.fork("traffic"), &Scene { replicas: REPLICAS });
    let liar = Liar {
        memory: Memory::default(),
        lie,
        rng: rng.fork("lies"),
        past: VecDeque::new(),
        last: BTreeMap::new(),
    };
    let threads = (0..THREADS as u64).map(|process| (process, None)).collect();
    let mut stage =
        Stage { liar, manner, rng: rng.fork("order"), events: Vec::new(), idle: 0, threads };
    stage.play(&mut traffic.main, THREADS, calls);
    for part in [&mut traffic.recovery, &mut traffic.finale] {
        for _ in 0..REPLICAS {
            stage.play(&mut part(), 1, usize::MAX);
        }
    }
    History::new(stage.events).expect("it is well-formed")
}

impl Stage {
    /// Lets the first threads follow the generator until it is done or has made so many calls.
    fn play(&mut self, generator: &mut Any, threads: usize, mut calls: usize) {
        let mut done = false;
        while !done || self.threads.iter().any(|(_, flight)| flight.is_some()) {
            let thread = self.rng.below(threads as u64) as usize;
            match self.threads[thread].1.take() {
                Some(flight) => self.go_on(thread, flight, generator),
                None if calls == 0 => done = true,
                None => match generator.next(&Turn { thread, time: self.now() }) {
                    Next::Call(call) => {
                        calls -= 1;
                        self.begin(thread, call, generator);
                    }
                    // Time goes on.
                    Next::Pending => self.idle += 1,
                    Next::Done => done = true,
                },
            }
        }
    }

    fn begin(&mut self, thread: usize, call: Call, generator: &mut Any) {
        self.record(thread, Kind::Invoke, (call.function(), call.invoked()), None);
        let flight = Flight { call, reply: None };
        if self.manner != Manner::Perfect {
            self.threads[thread].1 = Some(flight);
            return;
        }
        let reply = self.liar.answer(&flight.call);
        self.end(thread, &flight.call, &reply, generator);
    }

    /// A call happens, or is answered, or neither.
    fn go_on(&mut self, thread: usize, mut flight: Flight, generator: &mut Any) {
        if self.manner == Manner::Crashing && self.rng.percent(3) {
            // Where it has not happened by now, it may be that it never does.
            self.end(thread, &flight.call, &Reply::info("timeout"), generator);
            return;
        }
        match flight.reply.take() {
            Some(reply) => self.end(thread, &flight.call, &reply, generator),
            None => {
                flight.reply = Some(self.liar.answer(&flight.call));
                self.threads[thread].1 = Some(flight);
            }
        }
    }

    fn end(&mut self, thread: usize, call: &Call, reply: &Reply, generator: &mut Any) {
        let kind = match reply.outcome {
            Outcome::Ok => Kind::Ok,
            Outcome::Fail => Kind::Fail,
            Outcome::Info => Kind::Info,
        };
        let error = reply.error.as_deref().map(Value::from);
        self.record(thread, kind, (call.function(), call.completed(reply)), error);
        if kind == Kind::Info {
            self.threads[thread].0 += THREADS as u64;
        }
        generator.observe(thread, call, reply);
    }

    fn now(&self) -> u64 {
        (self.events.len() as u64 + self.idle) * 1_000_000
    }

    fn record(
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
