//! Counts which operations overlapped which kinds of fault, and how often a fault hit the leader.
//! Pure.
//!
//! No verdict depends on these figures. Leadership comes from polling the replicas, so an election
//! between two polls goes unnoticed and figures about leaders are lower bounds.

use checker::history::{History, Kind, Operation};
use records::record::{Coverage, FaultRecord, FaultState, KindCoverage, LeaderChange};

/// How long after its end a fault may still have caused an election, in nanoseconds.
const ELECTION_WINDOW_NS: u64 = 1_000_000_000;

/// The coverage of the confirmed faults of a run. `led` is in order of time.
pub(crate) fn measure_coverage(
    history: &History,
    faults: &[FaultRecord],
    led: &[LeaderChange],
) -> Coverage {
    let mut coverage = Coverage::default();
    for (fault, span) in faults.iter().filter_map(|fault| Some((fault, confirmed_span(fault)?))) {
        let kind = coverage.kinds.entry(fault.kind.clone()).or_default();
        kind.witnessed += 1;
        kind.leader_hit += u64::from(hits_leader(fault, leader_at(led, span.0)));
        kind.elections += count_elections(led, span);
    }
    for (name, kind) in &mut coverage.kinds {
        let own = |fault: &&FaultRecord| fault.kind == *name;
        let spans: Vec<_> = faults.iter().filter(own).filter_map(confirmed_span).collect();
        count_operations(history, &spans, kind);
    }
    let reads = history.operations().iter().filter(|one| one.f == "read" && one.is_ok());
    coverage.reads_by_followers = reads.filter(|one| is_follower_read(led, one)).count() as u64;
    coverage
}

/// Start and end of a confirmed fault.
fn confirmed_span(fault: &FaultRecord) -> Option<(u64, u64)> {
    let witnessed = fault.state == FaultState::Witnessed;
    fault.started.zip(fault.ended).filter(|_| witnessed)
}

/// Counts, by function and outcome, the operations that overlap one of these spans. An operation
/// without a definite completion may overlap any later span.
fn count_operations(history: &History, spans: &[(u64, u64)], kind: &mut KindCoverage) {
    for operation in history.operations() {
        let answered = operation.completion.as_ref().filter(|end| end.kind != Kind::Info);
        let end = answered.map_or(u64::MAX, |completion| completion.at.time);
        if spans.iter().any(|(from, to)| operation.invoked.time <= *to && end >= *from) {
            let outcomes = kind.operations.entry(operation.f.to_string()).or_default();
            match answered.map(|completion| completion.kind) {
                Some(Kind::Ok) => outcomes.ok += 1,
                Some(_) => outcomes.fail += 1,
                None => outcomes.info += 1,
            }
        }
    }
}

/// The last reported leader at that time.
fn leader_at(led: &[LeaderChange], at: u64) -> Option<&str> {
    let known = led.partition_point(|led| led.at <= at);
    known.checked_sub(1).and_then(|last| led[last].leader.as_deref())
}

/// Whether a fault touched the leader's replica, or separated it from the majority.
fn hits_leader(fault: &FaultRecord, leader: Option<&str>) -> bool {
    let among = |hosts: &[String]| leader.is_some_and(|leader| hosts.iter().any(|it| it == leader));
    let cut_off = !fault.cut.is_empty() && leader.is_some() && !among(&fault.majority);
    among(&fault.hosts) || cut_off
}

/// In how many terms a first leader was reported during the span or soon after it.
fn count_elections(led: &[LeaderChange], (from, to): (u64, u64)) -> u64 {
    let due = |led: &LeaderChange| led.at > from && led.at <= to.saturating_add(ELECTION_WINDOW_NS);
    let known: Vec<&LeaderChange> = led.iter().filter(|led| led.leader.is_some()).collect();
    known.windows(2).filter(|pair| due(pair[1]) && pair[1].term > pair[0].term).count() as u64
}

/// Whether a follower answered the read, with the same leader reported before and after it.
fn is_follower_read(led: &[LeaderChange], read: &Operation) -> bool {
    let Some(end) = &read.completion else { return false };
    let (before, after) = (leader_at(led, read.invoked.time), leader_at(led, end.at.time));
    let asked = read.node.as_deref();
    before.is_some() && before == after && asked.is_some() && asked != before
}

#[cfg(test)]
mod tests {
    use super::*;
    use checker::history::{Event, Process, Value};
    use records::record::OutcomeCounts;

    /// One operation per process: function, host, start, outcome and end.
    fn make_history(operations: &[(&str, &str, u64, Kind, u64)]) -> History {
        let mut events = Vec::new();
        for ((f, host, from, kind, to), client) in operations.iter().zip(0..) {
            for (time, kind) in [(*from, Kind::Invoke), (*to, *kind)] {
                events.push(Event {
                    index: 0,
                    time,
                    kind,
                    process: Process::Client(client),
                    f: (*f).into(),
                    value: Value::Nil,
                    node: Some((*host).into()),
                    error: None,
                });
            }
        }
        events.sort_by_key(|event| event.time);
        for (event, index) in events.iter_mut().zip(0..) {
            event.index = index;
        }
        History::new(events).expect("one operation a process")
    }

    fn fault_record(kind: &str, span: (u64, u64)) -> FaultRecord {
        FaultRecord {
            id: 1,
            kind: kind.to_owned(),
            variant: "one".to_owned(),
            target: String::new(),
            hosts: Vec::new(),
            cut: Vec::new(),
            majority: Vec::new(),
            started: Some(span.0),
            ended: Some(span.1),
            state: FaultState::Witnessed,
            evidence: String::new(),
        }
    }

    fn led_by(at: u64, leader: &str, term: u64) -> LeaderChange {
        LeaderChange { at, leader: Some(leader.to_owned()), term }
    }

    #[test]
    fn operations_count_where_they_overlap_and_the_unanswered_for_ever() {
        let history = make_history(&[
            ("read", "n1", 0, Kind::Ok, 9),
            ("read", "n1", 5, Kind::Ok, 10),
            ("write", "n1", 20, Kind::Fail, 30),
            ("write", "n1", 21, Kind::Ok, 31),
            ("cas", "n1", 1, Kind::Info, 2),
        ]);
        let kinds = measure_coverage(&history, &[fault_record("kill", (10, 20))], &[]).kinds;
        let counts = |ok, fail, info| OutcomeCounts { ok, fail, info };
        let met = [("cas", counts(0, 0, 1)), ("read", counts(1, 0, 0)), ("write", counts(0, 1, 0))];
        assert_eq!(kinds["kill"].operations, met.map(|(f, n)| (f.to_owned(), n)).into());
        assert_eq!(kinds["kill"].witnessed, 1);
    }

    #[test]
    fn counts_an_operation_once_per_kind_and_skips_unconfirmed_faults() {
        let history = make_history(&[("read", "n1", 0, Kind::Ok, 100)]);
        let unseen =
            FaultRecord { state: FaultState::Unwitnessed, ..fault_record("pause", (1, 99)) };
        let faults = [fault_record("kill", (10, 20)), fault_record("kill", (30, 40)), unseen];
        let kinds = measure_coverage(&history, &faults, &[]).kinds;
        assert_eq!(kinds.keys().collect::<Vec<_>>(), ["kill"]);
        assert_eq!((kinds["kill"].witnessed, kinds["kill"].operations["read"].ok), (2, 1));
    }

    #[test]
    fn a_leader_is_hit_by_name_or_by_being_left_without_a_majority() {
        let named = FaultRecord { hosts: vec!["n2".to_owned()], ..fault_record("kill", (10, 20)) };
        let cut = FaultRecord {
            cut: vec![("n2".to_owned(), "n1".to_owned())],
            majority: vec!["n1".to_owned(), "n3".to_owned()],
            ..fault_record("partition", (10, 20))
        };
        for fault in [&named, &cut] {
            assert!(hits_leader(fault, Some("n2")), "{}", fault.kind);
            assert!(!hits_leader(fault, Some("n1")) && !hits_leader(fault, None), "{}", fault.kind);
        }
    }

    #[test]
    fn elections_are_new_terms_during_a_fault_or_soon_after() {
        let unknown = LeaderChange { at: 11, leader: None, term: 1 };
        let seen = [led_by(1, "n1", 1), unknown, led_by(12, "n2", 2), led_by(13, "n2", 2)];
        assert_eq!(count_elections(&seen, (10, 20)), 1);
        assert_eq!(count_elections(&seen, (12, 20)), 0);
        assert_eq!(count_elections(&[led_by(1, "n1", 1), led_by(21, "n2", 3)], (10, 20)), 1);
        assert_eq!(
            count_elections(
                &[led_by(1, "n1", 1), led_by(21 + ELECTION_WINDOW_NS, "n2", 3)],
                (10, 20)
            ),
            0
        );
    }

    #[test]
    fn a_read_by_a_follower_is_one_during_which_another_replica_led() {
        let reads = make_history(&[
            ("read", "n1", 10, Kind::Ok, 11),
            ("read", "n2", 12, Kind::Ok, 13),
            ("read", "n2", 14, Kind::Ok, 30),
            ("read", "n2", 1, Kind::Ok, 2),
            ("write", "n2", 15, Kind::Ok, 16),
        ]);
        let seen = [led_by(5, "n1", 1), led_by(20, "n2", 2)];
        assert_eq!(measure_coverage(&reads, &[], &seen).reads_by_followers, 1);
    }
}
