//! Drives the `register` workload against a map in memory, and checks the recorded history.
//!
//! A real test sends each call to a server and records what comes back. Everything else is as here.

use std::collections::BTreeMap;

use checker::history::{Event, Kind, Process, Value};
use checker::{History, Limits, Verdict};
use workloads::{
    Call, Context, Next, Outcome, ReadConsistency, Reply, Rng, TrafficConfig, find_workload,
};

/// The system under test: one correct copy.
#[derive(Default)]
struct Registers(BTreeMap<String, i64>);

impl Registers {
    fn execute_call(&mut self, call: &Call) -> Reply {
        match call {
            Call::Read { key } => Reply::read(self.0.get(key).copied()),
            Call::Write { key, value } => {
                self.0.insert(key.clone(), *value);
                Reply::ok()
            }
            Call::Cas { key, old, new } if self.0.get(key) == Some(old) => {
                self.0.insert(key.clone(), *new);
                Reply::ok()
            }
            Call::Cas { .. } => Reply::mismatch(),
            _ => Reply::fail("not a call of this workload"),
        }
    }
}

/// One client makes a number of calls; every call and reply becomes an event.
pub(crate) fn run_workload(calls: u64) -> Vec<Verdict> {
    let workload = find_workload("register").expect("a built-in workload");
    let mut generator = workload.make_traffic(Rng::new(7), &TrafficConfig::new(1)).main;
    let mut system = Registers::default();
    let mut events = Vec::new();
    for time in 0..calls {
        let Next::Call(call) = generator.next_call(&Context { thread: 0, time }) else { break };
        events.push(invocation_event(2 * time, &call));
        let reply = system.execute_call(&call);
        events.push(completion_event(2 * time + 1, &call, &reply));
        generator.observe_reply(0, &call, &reply);
    }
    let history = History::new(events).expect("one sequential client");
    workload.check_history(&history, &Limits::default(), ReadConsistency::Linearizable)
}

fn invocation_event(index: u64, call: &Call) -> Event {
    let (process, f, value) =
        (Process::Client(0), call.function_name().into(), call.invocation_value());
    Event { index, time: index, kind: Kind::Invoke, process, f, value, node: None, error: None }
}

/// A completion says what the reply says: never more than is known.
fn completion_event(index: u64, call: &Call, reply: &Reply) -> Event {
    let kind = match reply.outcome {
        Outcome::Ok => Kind::Ok,
        Outcome::Fail => Kind::Fail,
        Outcome::Info => Kind::Info,
    };
    let error = reply.error.clone().map(|why| Value::Str(why.into()));
    Event { kind, value: call.completion_value(reply), error, ..invocation_event(index, call) }
}

fn main() {
    for verdict in run_workload(1_000) {
        println!("{}: {:?}: {}", verdict.check, verdict.validity, verdict.message);
    }
}
