//! Records what clients were told about a few of the keys, whole and in order, for the judge.

use super::dialect::{Answer, Dialect};
use checker::history::{Event, Kind, Process, Value};
use checker::{History, Limits, Verdict, check_linearizable};
use std::cell::RefCell;
use std::time::Instant;

/// How many of the keys are watched.
const WATCHED: u64 = 8;

/// The operations on the watched keys of one cluster, in the order in which they began and ended.
pub(crate) struct Sample {
    dialect: Dialect,
    began: Instant,
    record: RefCell<Record>,
}

#[derive(Default)]
struct Record {
    events: Vec<Event>,
    processes: u64,
    values: u64,
}

/// An operation that is watched while it is open.
pub(super) struct Watched {
    process: u64,
    key: u64,
    written: Option<String>,
}

impl Sample {
    /// Nothing recorded yet.
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self { dialect, began: Instant::now(), record: RefCell::default() }
    }

    /// A value that was not written before, of at least that length.
    pub(super) fn fresh_value(&self, length: usize) -> String {
        let mut record = self.record.borrow_mut();
        record.values += 1;
        format!("{:0>length$}", record.values)
    }

    /// An operation is about to be asked for; a write writes that.
    pub(super) fn invoke(&self, key: u64, written: Option<&str>) -> Option<Watched> {
        if key >= WATCHED {
            return None;
        }
        // Each operation is its own process: only its times order it, not its connection.
        let process = self.record.borrow().processes;
        self.record.borrow_mut().processes += 1;
        let written = written.map(|value| self.dialect.spell(value));
        let watched = Watched { process, key, written };
        self.add(&watched, Kind::Invoke, watched.written.as_deref());
        Some(watched)
    }

    /// It has been answered, or never will be.
    pub(super) fn complete(&self, watched: Option<Watched>, answer: &Answer<'_>) {
        let Some(watched) = watched else { return };
        match answer {
            Answer::Done(found) => {
                self.add(&watched, Kind::Ok, watched.written.as_deref().or(*found));
            }
            Answer::Failed => self.add(&watched, Kind::Info, watched.written.as_deref()),
        }
    }

    fn add(&self, watched: &Watched, kind: Kind, value: Option<&str>) {
        let events = &mut self.record.borrow_mut().events;
        let value = value.map_or(Value::Nil, Value::from);
        let f = if watched.written.is_some() { "write" } else { "read" };
        events.push(Event {
            index: events.len() as u64,
            time: u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX),
            kind,
            process: Process::Client(watched.process),
            f: f.into(),
            value: Value::pair(format!("k{}", watched.key), value),
            node: None,
            error: None,
        });
    }

    /// What the judge says, and of how many operations.
    pub(crate) fn judge(self) -> (Verdict, usize) {
        let history = History::new(self.record.into_inner().events)
            .expect("each client asks once and is answered at most once");
        let verdict = check_linearizable(&history, "register", &Limits::default());
        (verdict, history.operations().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checker::Validity;

    fn judged(last: &str) -> (Validity, usize) {
        let sample = Sample::new(Dialect::Raft);
        for value in ["1", "2"] {
            let write = sample.invoke(0, Some(value));
            sample.complete(write, &Answer::Done(None));
        }
        assert!(sample.invoke(WATCHED, None).is_none());
        let read = sample.invoke(0, None);
        sample.complete(read, &Answer::Done(Some(last)));
        let (verdict, operations) = sample.judge();
        (verdict.validity, operations)
    }

    #[test]
    fn a_stale_read_among_the_watched_is_seen() {
        assert_eq!(judged("2"), (Validity::Valid, 3));
        assert_eq!(judged("1"), (Validity::Invalid, 3));
    }

    #[test]
    fn no_value_comes_twice() {
        let sample = Sample::new(Dialect::Raft);
        let values = [sample.fresh_value(4), sample.fresh_value(4)];
        assert_eq!(values, ["0001", "0002"]);
    }
}
