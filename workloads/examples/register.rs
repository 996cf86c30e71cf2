//! Drives the `register` workload against a map in memory, and checks the recorded history.
//!
//! A real test sends each call to a server and records what comes back. Everything else is as here.

use std::collections::BTreeMap;

use checker::history::{Event, Kind, Process};
use checker::{History, Limits, Verdict};
use workloads::{Call, Context, Next, ReadConsistency, Reply, Rng, TrafficConfig, find_workload};

/// The system under test: one correct copy.
#[derive(Default)]
struct Registers(BTreeMap<String, i64>);

impl Registers {
    fn execute(&mut self, call: &Call) -> Reply {
        match call {
            Call::Read { key } => Reply::read(self.0.get(key).copied()),
            Call::Write { key, value } => {
                self.0.insert(key.clone(), *value);
                Reply::ok()
            }
            _ => Reply::fail("not a call of this workload"),
        }
    }
}

/// One client makes a number of calls; every call and reply becomes an event.
pub(crate) fn run_workload(calls: u64) -> Vec<Verdict> {
    let workload = find_workload("register").expect("a built-in workload");
    let mut generator = workload.make_traffic(Rng::new(7), &TrafficConfig { replicas: 1 }).main;
    let mut system = Registers::default();
    let mut events = Vec::new();
    for time in 0..calls {
        let Next::Call(call) = generator.next(&Context { thread: 0, time }) else { break };
        events.push(event(2 * time, Kind::Invoke, &call, call.invocation_value()));
        let reply = system.execute(&call);
        events.push(event(2 * time + 1, Kind::Ok, &call, call.completion_value(&reply)));
        generator.observe(0, &call, &reply);
    }
    let history = History::new(events).expect("one sequential client");
    workload.check(&history, &Limits::default(), ReadConsistency::Linearizable)
}

fn event(index: u64, kind: Kind, call: &Call, value: checker::history::Value) -> Event {
    let (process, f) = (Process::Client(0), call.function().into());
    Event { index, time: index, kind, process, f, value, node: None, error: None }
}

fn main() {
    for verdict in run_workload(1_000) {
        println!("{}: {:?}: {}", verdict.check, verdict.validity, verdict.message);
    }
}
