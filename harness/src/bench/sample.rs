//! Records what clients were told about a few of the keys, whole and in order, for the judge.

use super::dialect::{Dialect, Response};
use checker::history::{Event, Kind, Process, Value};
use checker::{History, Limits, Verdict, check_linearizable};
use std::cell::RefCell;
use std::time::Instant;

/// How many of the keys are watched.
const SAMPLED_KEYS: u64 = 8;

/// The operations on the watched keys of one cluster, in the order in which they began and ended.
pub(crate) struct Sample {
    dialect: Dialect,
    began: Instant,
    record: RefCell<SampleRecord>,
}

#[derive(Default)]
struct SampleRecord {
    events: Vec<Event>,
    processes: u64,
    values: u64,
}

/// An operation that is watched while it is open.
pub(super) struct SampledOperation {
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
    pub(super) fn invoke(&self, key: u64, written: Option<&str>) -> Option<SampledOperation> {
        if key >= SAMPLED_KEYS {
            return None;
        }
        // Each operation is its own process: only its times order it, not its connection.
        let process = self.record.borrow().processes;
        self.record.borrow_mut().processes += 1;
        let written = written.map(|value| self.dialect.encode_text(value));
        let watched = SampledOperation { process, key, written };
        self.push_event(&watched, Kind::Invoke, watched.written.as_deref());
        Some(watched)
    }

    /// It has been answered, or never will be.
    pub(super) fn complete(&self, watched: Option<SampledOperation>, answer: &Response<'_>) {
        let Some(watched) = watched else { return };
        match answer {
            Response::Done(found) => {
                self.push_event(&watched, Kind::Ok, watched.written.as_deref().or(*found));
            }
            Response::Failed => self.push_event(&watched, Kind::Info, watched.written.as_deref()),
        }
    }

    fn push_event(&self, watched: &SampledOperation, kind: Kind, value: Option<&str>) {
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
    pub(crate) fn check_history(self) -> (Verdict, usize) {
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

    fn check_sample(last: &str) -> (Validity, usize) {
        let sample = Sample::new(Dialect::Raft);
        for value in ["1", "2"] {
            let write = sample.invoke(0, Some(value));
            sample.complete(write, &Response::Done(None));
        }
        assert!(sample.invoke(SAMPLED_KEYS, None).is_none());
        let read = sample.invoke(0, None);
        sample.complete(read, &Response::Done(Some(last)));
        let (verdict, operations) = sample.check_history();
        (verdict.validity, operations)
    }

    #[test]
    fn a_stale_read_among_the_watched_is_seen() {
        assert_eq!(check_sample("2"), (Validity::Valid, 3));
        assert_eq!(check_sample("1"), (Validity::Invalid, 3));
    }

    #[test]
    fn no_value_comes_twice() {
        let sample = Sample::new(Dialect::Raft);
        let values = [sample.fresh_value(4), sample.fresh_value(4)];
        assert_eq!(values, ["0001", "0002"]);
    }
}
