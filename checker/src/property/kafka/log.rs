//! Puts together the log of each key, and judges whether it is one log.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::read::Part;
use crate::history::{Kind, Process, Value};
use crate::property::objects::{Op, brief};
use crate::property::tally::{Case, Tally};

/// Every key's log.
#[derive(Default)]
pub(super) struct Logs<'o, 'h> {
    logs: BTreeMap<String, Log<'o, 'h>>,
}

/// What is known of one key.
#[derive(Default)]
pub(super) struct Log<'o, 'h> {
    /// Who first told what stands at an offset.
    pub(super) at: BTreeMap<i64, (&'h Value, &'o Op<'h>)>,
    /// Other values told of an offset that had one.
    conflicts: Vec<(i64, &'h Value, &'o Op<'h>)>,
    /// Acknowledged sends by offset.
    pub(super) acknowledged: BTreeMap<i64, &'o Op<'h>>,
    /// Every attempt to send a value.
    sends: FxHashMap<&'h Value, Vec<&'o Op<'h>>>,
    /// Of each polled value the poll that was over first, in the order in which polls of them began.
    polled: Vec<(&'h Value, &'o Op<'h>)>,
    /// Where in `polled` a value is.
    polled_values: FxHashMap<&'h Value, usize>,
    /// Where anybody was given something.
    pub(super) polled_at: BTreeSet<i64>,
    /// Of each process the last offset it was told by a send.
    last_sent: BTreeMap<Process, (i64, &'o Op<'h>)>,
    backwards: Vec<[(i64, &'o Op<'h>); 2]>,
}

impl<'o, 'h> Logs<'o, 'h> {
    pub(super) fn keys(&self) -> usize {
        self.logs.len()
    }

    pub(super) fn of(&self, key: &str) -> Option<&Log<'o, 'h>> {
        self.logs.get(key)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (&String, &Log<'o, 'h>)> {
        self.logs.iter()
    }

    /// Learns what an operation tells.
    pub(super) fn add(&mut self, op: &'o Op<'h>, parts: Vec<Part<'h>>) {
        for part in parts {
            match part {
                Part::Send { key, value, offset } => {
                    self.logs.entry(key).or_default().send(op, value, offset);
                }
                Part::Poll { key, messages } if op.kind == Kind::Ok => {
                    self.logs.entry(key).or_default().poll(op, messages);
                }
                Part::Poll { .. } | Part::Moved { .. } => {}
            }
        }
    }

    pub(super) fn judge(&self, tally: &mut Tally) {
        for (key, log) in &self.logs {
            log.judge(key, tally);
        }
    }
}

impl<'o, 'h> Log<'o, 'h> {
    fn send(&mut self, op: &'o Op<'h>, value: &'h Value, offset: Option<i64>) {
        self.sends.entry(value).or_default().push(op);
        let Some(offset) = offset else { return };
        self.tell(offset, value, op);
        self.acknowledged.insert(offset, op);
        let last = self.last_sent.insert(op.process(), (offset, op));
        if let Some(last) = last.filter(|last| last.0 >= offset) {
            self.backwards.push([last, (offset, op)]);
        }
    }

    fn poll(&mut self, op: &'o Op<'h>, messages: Vec<(i64, &'h Value)>) {
        for (offset, value) in messages {
            self.tell(offset, value, op);
            self.polled_at.insert(offset);
            let place = *self.polled_values.entry(value).or_insert(self.polled.len());
            match self.polled.get_mut(place) {
                Some((_, first)) if first.end > op.end => *first = op,
                Some(_) => {}
                None => self.polled.push((value, op)),
            }
        }
    }

    fn tell(&mut self, offset: i64, value: &'h Value, op: &'o Op<'h>) {
        let known = self.at.entry(offset).or_insert((value, op));
        if known.0 != value {
            self.conflicts.push((offset, value, op));
        }
    }

    /// Whether anybody was given a value.
    pub(super) fn was_polled(&self, value: &Value) -> bool {
        self.polled_values.contains_key(value)
    }

    fn judge(&self, key: &str, tally: &mut Tally) {
        for (offset, value, op) in &self.conflicts {
            tally.found("inconsistent-offsets", || {
                let (first, teller) = self.at[offset];
                let (one, other) = (brief(first), brief(value));
                let told =
                    format!("holds {one} for {} and {other} for {}", teller.named(), op.named());
                two(format!("offset {offset} of key {key} {told}"), teller, op)
            });
        }
        self.repeated(key, tally);
        for [(before, first), (offset, second)] in &self.backwards {
            tally.found("nonmonotonic-send", || {
                let told = format!("went to offset {offset}, though {} before it by the same client went to {before}", first.named());
                two(format!("{} to key {key} {told}", second.named()), first, second)
            });
        }
        self.sources(key, tally);
    }

    /// Convicts a value that stands at two offsets. Sent twice, it may.
    fn repeated(&self, key: &str, tally: &mut Tally) {
        let mut places: FxHashMap<&Value, (i64, &Op<'_>)> = FxHashMap::default();
        for (offset, (value, op)) in &self.at {
            let once = self.sends.get(value).is_none_or(|sends| sends.len() == 1);
            match places.insert(value, (*offset, op)) {
                Some((first, teller)) if once => tally.found("duplicate", || {
                    let message = format!(
                        "value {} of key {key} was sent once and stands at offsets {first} and {offset}",
                        brief(value)
                    );
                    two(message, teller, op)
                }),
                _ => {}
            }
        }
    }

    /// Convicts a polled value that nobody sent, or only sends that failed.
    fn sources(&self, key: &str, tally: &mut Tally) {
        for (value, poll) in &self.polled {
            let sends = self.sends.get(value).map_or(&[][..], Vec::as_slice);
            if sends.iter().any(|send| send.possible() && send.begin < poll.end) {
                continue;
            }
            let got = format!("{} got {} of key {key}", poll.named(), brief(value));
            match sends.iter().find(|send| !send.possible()) {
                Some(send) => tally.found("aborted-read", || {
                    two(format!("{got}, but {} had failed", send.named()), send, poll)
                }),
                None => tally.found("unexpected", || Case {
                    message: format!("{got}, which nobody had begun to send"),
                    operations: vec![poll.begin],
                    ..Case::default()
                }),
            }
        }
    }
}

/// A case of two operations.
pub(super) fn two(message: String, first: &Op<'_>, second: &Op<'_>) -> Case {
    let mut operations = vec![first.begin, second.begin];
    operations.dedup();
    Case { message, operations, ..Case::default() }
}
