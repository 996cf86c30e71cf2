//! Tests each guarantee with minimal histories that violate it, and all of them on a simulated
//! store.

use super::{Guarantee, Promise, check_convergence, check_session};
use crate::history::{Kind, Value};
use crate::property::tests::{history, unknown, valid, wrong};
use crate::verdict::{Limits, Validity, Verdict};

const SESSION: &str = "session";

#[track_caller]
fn check(text: &str, promise: &Promise<'_>) -> Verdict {
    check_session(&history(text), &Limits::default(), promise)
}

#[test]
fn clients_are_named_where_the_concurrency_is_known() {
    let text = "4:write [:x 1] => [:x 1]; 4:write [:y 1] => [:y 1]; \
                5:read nil => {:y 1}; 5:read nil => {:x nil}";
    let history = history(text).with_concurrency(3);
    let verdict = check_session(&history, &Limits::default(), &Promise::SESSION);
    let chain = "client 1 had written 1 before write [\"y\" 1] by client 1";
    assert!(verdict.message.contains(chain), "{}", verdict.message);
    let steps: Vec<&str> =
        verdict.findings[0].steps.iter().map(|step| step.message.as_str()).collect();
    assert!(steps[1].starts_with("client 2 had read the value of write"), "{steps:?}");
}

#[track_caller]
fn breaks(text: &str, promise: &Promise<'_>, anomalies: &[&str]) {
    let got = check(text, promise);
    let names: Vec<&str> = got.findings.iter().map(|finding| finding.name.as_str()).collect();
    assert_eq!(names, anomalies, "{text}: {}", got.message);
}

#[test]
fn read_your_writes() {
    valid(SESSION, "0:write 1 => 1; 0:read => 1");
    wrong(SESSION, "0:write 1 => 1; 0:read => nil", "read-your-writes");
    wrong(SESSION, "1:write 1 => 1; 0:write 2 => 2; 0:read => 1", "read-your-writes");
    // Concurrent writes: the other one may be later.
    valid(SESSION, "1:write 1; 0:write 2 => 2; 1:ok 1; 0:read => 1");
    // Another client's write, and an unacknowledged one.
    valid(SESSION, "1:write 1 => 1; 0:read => nil");
    valid(SESSION, "0:write 1; 0:info; 1:read => nil");
    // An earlier read proves that the open write had taken effect.
    wrong(
        SESSION,
        "1:write 1; 2:read => 1; 0:write 2 => 2; 0:read => 1; 1:info",
        "read-your-writes",
    );
    wrong(
        SESSION,
        "0:write [:x 1] => [:x 1]; 0:write [:y 1] => [:y 1]; 0:read [:x nil] => [:x nil]",
        "read-your-writes",
    );
}

#[test]
fn a_write_of_the_initial_value_is_ambiguous() {
    unknown(SESSION, "0:read => nil; 0:write nil => nil", "the initial value");
    unknown(
        SESSION,
        "0:write 1 => 1; 0:cas [1 nil] => [1 nil]; 1:read => nil",
        "the initial value",
    );
    valid(SESSION, "0:read => nil; 0:write nil; 0:fail; 1:write 1 => 1; 1:read => 1");
    let began = history("0:read => 7; 0:write 7 => 7").with_initial(vec![Value::Int(7)]);
    assert_eq!(
        check_session(&began, &Limits::default(), &Promise::SESSION).validity,
        Validity::Unknown
    );
}

#[test]
fn reads_of_several_keys_are_keyed_without_any_write() {
    valid(SESSION, "0:read => {:x nil :y nil}; 1:read; 1:info");
    wrong(SESSION, "0:read => {:x nil :y 1}", "unwritten-value");
    wrong(SESSION, "0:read => {:x nil}; 0:write 1 => 1", "unwritten-value");
}

#[test]
fn monotonic_reads() {
    let writes = "0:write 1 => 1; 0:write 2 => 2; ";
    wrong(SESSION, &[writes, "1:read => 2; 1:read => 1"].concat(), "monotonic-reads");
    wrong(SESSION, &[writes, "1:read => 1; 1:read => nil"].concat(), "monotonic-reads");
    valid(SESSION, &[writes, "1:read => 2; 2:read => 1"].concat());
    valid(SESSION, "0:write 1; 2:write 2; 1:read => 2; 1:read => 1; 1:read => 2; 0:info; 2:info");
    // A compare-and-set orders the two versions.
    wrong(
        SESSION,
        "0:write 1; 2:cas [1 2] => [1 2]; 1:read => 2; 0:ok 1; 1:read => nil",
        "monotonic-reads",
    );
}

#[test]
fn monotonic_writes_and_writes_follow_reads() {
    let writes = "0:write [:x 1] => [:x 1]; 0:write [:y 2] => [:y 2]; ";
    let late = "1:read [:y nil] => [:y 2]; 1:read [:x nil] => [:x nil]";
    wrong(SESSION, &[writes, late].concat(), "monotonic-writes");
    valid(SESSION, &[writes, "1:read [:x nil] => [:x nil]; 1:read [:y nil] => [:y 2]"].concat());
    let reads = "2:write [:x 1] => [:x 1]; 0:read [:x nil] => [:x 1]; 0:write [:y 2] => [:y 2]; ";
    wrong(SESSION, &[reads, late].concat(), "writes-follow-reads");
    valid(SESSION, &["2:write [:x 1] => [:x 1]; 0:write [:y 2] => [:y 2]; ", late].concat());
    // Only checked where monotonic reads are promised, too.
    let one = Promise { guarantees: &[Guarantee::MonotonicWrites], ..Promise::STALE };
    breaks(&[writes, late].concat(), &one, &[]);
}

#[test]
fn consistent_prefix() {
    let writes = "0:write [:x 1] => [:x 1]; 2:write [:y 1] => [:y 1]; ";
    wrong(SESSION, &[writes, "1:read nil => {:x nil :y 1}"].concat(), "consistent-prefix");
    valid(SESSION, &[writes, "1:read nil => {:x 1 :y nil}"].concat());
    valid(
        SESSION,
        "0:write [:x 1]; 2:write [:y 1] => [:y 1]; 1:read nil => {:x nil :y 1}; 0:ok [:x 1]",
    );
}

#[test]
fn a_linearizable_read_observes_acknowledged_writes() {
    let stale = "0@n1:write 1 => 1; 0@n1:write 2 => 2; 2@n1:read => 2; 1@n2:read => 1";
    breaks(stale, &Promise::STALE, &[]);
    breaks(stale, &Promise::SESSION, &[]);
    breaks(stale, &Promise::LINEARIZABLE, &["stale-read"]);
    let got = check(stale, &Promise::LINEARIZABLE);
    assert!(
        got.message
            .contains("on n2 returned 1, though read by process 2 (index 4) on n1 returned 2"),
        "{}",
        got.message
    );
    assert!(got.message.contains("1 versions and 3 ms behind"), "{}", got.message);
    assert_eq!(got.findings[0].operations, [0, 2, 4, 6]);
    breaks("0:write 1 => 1; 0:write 2; 1:read => 1; 0:ok 2", &Promise::LINEARIZABLE, &[]);
}

#[test]
fn bounded_staleness() {
    let text = "0:write 1 => 1; 0:write 2 => 2; 0:write 3 => 3; 1:read => 1";
    let bound = |max_staleness_ms, max_versions_behind| Promise {
        max_staleness_ms,
        max_versions_behind,
        ..Promise::STALE
    };
    breaks(text, &bound(Some(3), Some(2)), &[]);
    breaks(text, &bound(None, Some(1)), &["bounded-staleness"]);
    breaks(text, &bound(Some(2), None), &["bounded-staleness"]);
}

#[test]
fn unwritten_values_future_reads_and_unsupported_histories() {
    wrong(SESSION, "0:read => 7", "unwritten-value");
    wrong(SESSION, "0:write 7; 0:fail; 1:read => 7", "unwritten-value");
    wrong(SESSION, "0:read => 7; 1:write 7 => 7", "future-read");
    unknown(SESSION, "0:write 7 => 7; 1:write 7 => 7", "values must be unique");
    unknown(SESSION, "0:write 7 => 7", "no read completed");
    unknown(SESSION, "0:write [:x 7] => [:x 7]; 0:read [:x nil] => 7", "event index 3");
    unknown(SESSION, "0:cas 7 => 7", "event index 0");
}

#[test]
fn staleness_is_measured_by_replica_and_over_time() {
    let got = check(
        "0@n1:write 1 => 1; 0@n1:read => 1; 1@n2:read => nil; 1@n2:read => 1",
        &Promise::STALE,
    );
    assert_eq!(got.validity, Validity::Valid, "{}", got.message);
    let measured = |name: &str| got.measured[name].to_string();
    assert_eq!(measured("stale_reads"), "1");
    assert_eq!(measured("versions_behind"), r#"{"count" 3, "max" 1, "min" 0, "p50" 0, "p99" 0}"#);
    assert_eq!(measured("stretch_ms"), "1");
    let Value::Map(replicas) = &got.measured["replicas"] else { panic!("{:?}", got.measured) };
    assert_eq!((replicas[0].0.as_str(), replicas[1].0.as_str()), ("n1", "n2"));
    let n2 = replicas[1].1.to_string();
    let stale = r#"{"max_ms" 3, "max_versions" 1, "ms" 4, "reads" 1, "stale_reads" 1}"#;
    let fresh = r#"{"max_ms" 0, "max_versions" 0, "ms" 6, "reads" 1, "stale_reads" 0}"#;
    assert!(n2.contains(&format!("\"series\" [{stale} {fresh}]")), "{n2}");
}

#[test]
fn replicas_converge() {
    let judged = |text, from| check_convergence(&history(text), &Limits::default(), from);
    let text = "0@n1:write 1 => 1; 0@n1:read => 1; 1@n2:read => nil; 1@n2:read => 1";
    assert_eq!(judged(text, 2).validity, Validity::Valid);
    let text = "0@n1:write 1 => 1; 0@n1:read => 1; 1@n2:read => nil";
    let got = judged(text, 2);
    assert_eq!((got.validity, got.findings[0].name.as_str()), (Validity::Invalid, "not-converged"));
    assert_eq!(judged(text, 6).validity, Validity::Unknown);
    let open = "2@n1:write 1; 2:info; 0@n1:read => 1; 1@n2:read => nil";
    assert_eq!(judged(open, 4).validity, Validity::Unknown);
}

/// Simulates a store whose writes go through one log and whose replicas apply prefixes of it.
mod store {
    use super::*;
    use crate::history::{Event, History, Process};

    /// Which prefix of the log a read returns.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) enum Reads {
        /// Any prefix.
        Stale,
        /// A prefix no shorter than what the client has read or written.
        Session,
        /// The whole log.
        Latest,
    }

    pub(super) struct LogStore {
        state: u64,
        log: Vec<(i64, i64)>,
        /// The length of the log prefix that each client has observed, and its open call.
        clients: Vec<(usize, Option<StoreCall>)>,
        events: Vec<Event>,
    }

    #[derive(Clone)]
    struct StoreCall {
        write: bool,
        key: i64,
        value: Value,
        at: usize,
    }

    impl LogStore {
        fn below(&mut self, limit: u64) -> u64 {
            self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (self.state >> 33) % limit
        }

        fn push(&mut self, client: usize, kind: Kind, f: &str, value: Value) {
            let index = self.events.len() as u64;
            let (process, f) = (Process::Client(client as u64), f.into());
            let node = Some(format!("n{}", client % 3).into());
            let time = index * 1_000_000;
            self.events.push(Event { index, time, kind, process, f, value, node, error: None });
        }

        fn turn(&mut self, client: usize, reads: Reads) {
            let Some(call) = self.clients[client].1.take() else { return self.begin(client) };
            let f = if call.write { "write" } else { "read" };
            let known = self.clients[client].0;
            if call.write && call.at == 0 {
                let Value::Int(value) = call.value else { return };
                self.log.push((call.key, value));
                let at = self.log.len();
                self.clients[client].1 = Some(StoreCall { at, ..call });
                return;
            }
            let (at, value) = if call.write {
                (call.at, call.value)
            } else {
                let from = if reads == Reads::Session { known } else { 0 };
                let at = from as u64 + self.below((self.log.len() - from) as u64 + 1);
                let at = if reads == Reads::Latest { self.log.len() } else { at as usize };
                let last = self.log[..at].iter().rev().find(|(key, _)| *key == call.key);
                (at, last.map_or(Value::Nil, |(_, value)| Value::Int(*value)))
            };
            self.clients[client].0 = known.max(at);
            self.push(client, Kind::Ok, f, Value::pair(call.key, value));
        }

        fn begin(&mut self, client: usize) {
            let (write, key) = (self.below(2) == 0, self.below(2) as i64);
            let value = if write { Value::Int(self.events.len() as i64) } else { Value::Nil };
            let f = if write { "write" } else { "read" };
            self.push(client, Kind::Invoke, f, Value::pair(key, value.clone()));
            self.clients[client].1 = Some(StoreCall { write, key, value, at: 0 });
        }

        /// Generates a history of such a store.
        pub(super) fn history(seed: u64, turns: usize, reads: Reads) -> History {
            let clients = vec![(0, None); 3];
            let mut store = Self { state: seed, log: Vec::new(), clients, events: Vec::new() };
            for _ in 0..turns {
                let client = store.below(3) as usize;
                store.turn(client, reads);
            }
            History::new(store.events).expect("clients take turns")
        }
    }
}

use store::{LogStore, Reads};

#[test]
fn a_store_that_keeps_its_promise_is_valid() {
    for seed in 0..3000 {
        for (reads, promise) in [
            (Reads::Stale, Promise::STALE),
            (Reads::Session, Promise::SESSION),
            (Reads::Latest, Promise::LINEARIZABLE),
        ] {
            let history = LogStore::history(seed, 60, reads);
            let got = check_session(&history, &Limits::default(), &promise);
            assert!(got.findings.is_empty(), "seed {seed}, {reads:?}: {}", got.message);
        }
    }
}

/// Implements the definitions literally, by comparing all pairs of operations.
mod brute_force {
    use super::*;
    use crate::history::{History, Operation};

    pub(super) struct PairwiseCheck<'h> {
        ops: &'h [Operation],
    }

    impl<'h> PairwiseCheck<'h> {
        pub(super) fn new(history: &'h History) -> Self {
            Self { ops: history.operations() }
        }

        fn key(op: &Operation) -> &Value {
            op.input.as_pair().expect("keyed").0
        }

        /// The returned value of a read, or the written value of a write.
        fn value(op: &Operation) -> &Value {
            match op.f.as_str() {
                "write" => op.input.as_pair().expect("keyed").1,
                _ => {
                    op.completion.as_ref().expect("a completion").output.as_pair().expect("keyed").1
                }
            }
        }

        fn reads(&self) -> impl Iterator<Item = &'h Operation> {
            self.ops.iter().filter(|op| op.f == "read" && op.is_ok())
        }

        fn end(op: &Operation) -> u64 {
            op.completion
                .as_ref()
                .filter(|_| op.is_ok())
                .map_or(u64::MAX, |measured| measured.at.index)
        }

        fn writer(&self, key: &Value, value: &Value) -> Option<&'h Operation> {
            let mut writes = self.ops.iter().filter(|op| op.f == "write" && Self::key(op) == key);
            writes.find(|op| Self::value(op) == value)
        }

        /// The index by which a value had certainly taken effect.
        fn effect(&self, key: &Value, value: &Value) -> Option<u64> {
            let write = self.writer(key, value)?;
            let reads = self.reads().filter(|op| Self::key(op) == key && Self::value(op) == value);
            reads.map(Self::end).chain([Self::end(write)]).min()
        }

        fn older(&self, key: &Value, one: &Value, other: &Value) -> bool {
            let begin = self.writer(key, other).map(|write| write.invoked.index);
            self.effect(key, one) < begin
        }

        /// The number of reads that violate a guarantee.
        pub(super) fn count_violations(&self, guarantee: Guarantee) -> usize {
            self.reads().filter(|read| self.breaks(read, guarantee)).count()
        }

        fn breaks(&self, read: &Operation, guarantee: Guarantee) -> bool {
            let older = |than: &Operation| {
                Self::key(than) == Self::key(read)
                    && self.older(Self::key(read), Self::value(read), Self::value(than))
            };
            let before = |op: &&Operation| Self::end(op) < read.invoked.index;
            let own = |op: &&Operation| op.process == read.process;
            let mut earlier = self.ops.iter().filter(before);
            match guarantee {
                Guarantee::ReadYourWrites => {
                    earlier.any(|op| own(&op) && op.f == "write" && older(op))
                }
                Guarantee::MonotonicReads => {
                    earlier.any(|op| own(&op) && op.f == "read" && older(op))
                }
                Guarantee::Freshness => self.stale_versions(read) > 0,
                Guarantee::MonotonicWrites => self.past(read, "write").into_iter().any(older),
                Guarantee::WritesFollowReads => self.past(read, "read").into_iter().any(older),
                Guarantee::ConsistentPrefix => false,
            }
        }

        /// The operations of other clients before those of their writes that the reader had read.
        fn past(&self, read: &Operation, f: &str) -> Vec<&'h Operation> {
            let before = |op: &&Operation| Self::end(op) < read.invoked.index;
            let seen = self.reads().filter(before).filter(|op| op.process == read.process);
            let writes = seen.filter_map(|op| self.writer(Self::key(op), Self::value(op)));
            let others = writes.filter(|write| write.process != read.process);
            let past = others.flat_map(|write| {
                self.ops.iter().filter(move |op| {
                    op.process == write.process && Self::end(op) < write.invoked.index
                })
            });
            past.filter(|op| op.f == f).collect()
        }

        fn stale_versions(&self, read: &Operation) -> usize {
            let key = Self::key(read);
            let newer = |write: &&Operation| {
                write.f == "write"
                    && Self::key(write) == key
                    && self.older(key, Self::value(read), Self::value(write))
                    && self.effect(key, Self::value(write)) < Some(read.invoked.index)
            };
            self.ops.iter().filter(newer).count()
        }

        /// The number of versions that each read is behind.
        pub(super) fn versions_behind(&self) -> Vec<usize> {
            self.reads().map(|read| self.stale_versions(read)).collect()
        }
    }
}

#[test]
fn every_guarantee_agrees_with_its_definition() {
    let kinds = [
        (Guarantee::ReadYourWrites, "read-your-writes"),
        (Guarantee::MonotonicReads, "monotonic-reads"),
        (Guarantee::MonotonicWrites, "monotonic-writes"),
        (Guarantee::WritesFollowReads, "writes-follow-reads"),
        (Guarantee::Freshness, "stale-read"),
    ];
    let mut met = [0; 5];
    for seed in 0..3000 {
        let history = LogStore::history(seed, 50, Reads::Stale);
        let got = check_session(&history, &Limits::default(), &Promise::LINEARIZABLE);
        let expected = brute_force::PairwiseCheck::new(&history);
        for (place, (guarantee, kind)) in kinds.iter().enumerate() {
            let found = got.findings.iter().find(|finding| finding.name == *kind);
            let count = found.map_or(0, |finding| finding.count);
            assert_eq!(
                count,
                expected.count_violations(*guarantee),
                "seed {seed}, {kind}: {}",
                got.message
            );
            met[place] += count;
        }
        let record =
            super::register_history::RegisterHistory::new(&history, crate::verdict::Keyed::Auto)
                .expect("registers");
        let behind: Vec<usize> = super::staleness::measure_staleness(&record)
            .iter()
            .map(|read| read.versions as usize)
            .collect();
        assert_eq!(behind, expected.versions_behind(), "seed {seed}");
    }
    assert!(met.iter().all(|count| *count > 50), "every anomaly occurs often: {met:?}");
}
