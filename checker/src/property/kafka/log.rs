//! Reconstructs the log of each key from sends and polls, and checks that it is consistent.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use super::read::LogOp;
use crate::history::{Kind, Process, Value};
use crate::property::op::{Op, abbreviate};
use crate::property::verdict_builder::{AnomalyCase, VerdictBuilder};

/// Every key's log.
#[derive(Default)]
pub(super) struct KeyLogs<'o, 'h> {
    logs: BTreeMap<String, KeyLog<'o, 'h>>,
}

/// The reconstructed log of one key.
#[derive(Default)]
pub(super) struct KeyLog<'o, 'h> {
    /// The value at each offset and the first operation that showed it.
    pub(super) at: BTreeMap<i64, (&'h Value, &'o Op<'h>)>,
    /// Other values shown at an offset.
    conflicts: Vec<(i64, &'h Value, &'o Op<'h>)>,
    /// Acknowledged sends by offset.
    pub(super) acknowledged: BTreeMap<i64, &'o Op<'h>>,
    /// The sends of each value, whatever their outcome.
    sends: FxHashMap<&'h Value, Vec<&'o Op<'h>>>,
    /// For each polled value the poll that completed first, in order of the first poll's
    /// invocation.
    polled: Vec<(&'h Value, &'o Op<'h>)>,
    /// The position of a value in `polled`.
    polled_values: FxHashMap<&'h Value, usize>,
    /// The offsets that were polled.
    pub(super) polled_at: BTreeSet<i64>,
    /// The last offset that a send of each process returned.
    last_sent: BTreeMap<Process, (i64, &'o Op<'h>)>,
    backwards: Vec<[(i64, &'o Op<'h>); 2]>,
}

impl<'o, 'h> KeyLogs<'o, 'h> {
    pub(super) fn keys(&self) -> usize {
        self.logs.len()
    }

    pub(super) fn of(&self, key: &str) -> Option<&KeyLog<'o, 'h>> {
        self.logs.get(key)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (&String, &KeyLog<'o, 'h>)> {
        self.logs.iter()
    }

    /// Records the sends and polls of an operation.
    pub(super) fn add_op(&mut self, op: &'o Op<'h>, parts: Vec<LogOp<'h>>) {
        for part in parts {
            match part {
                LogOp::Send { key, value, offset } => {
                    self.logs.entry(key).or_default().add_send(op, value, offset);
                }
                LogOp::Poll { key, messages } if op.kind == Kind::Ok => {
                    self.logs.entry(key).or_default().add_poll(op, messages);
                }
                LogOp::Poll { .. } | LogOp::Moved { .. } => {}
            }
        }
    }

    pub(super) fn check(&self, builder: &mut VerdictBuilder) {
        for (key, log) in &self.logs {
            log.check(key, builder);
        }
    }
}

impl<'o, 'h> KeyLog<'o, 'h> {
    fn add_send(&mut self, op: &'o Op<'h>, value: &'h Value, offset: Option<i64>) {
        self.sends.entry(value).or_default().push(op);
        let Some(offset) = offset else { return };
        self.record_offset(offset, value, op);
        self.acknowledged.insert(offset, op);
        let last = self.last_sent.insert(op.process(), (offset, op));
        if let Some(last) = last.filter(|last| last.0 >= offset) {
            self.backwards.push([last, (offset, op)]);
        }
    }

    fn add_poll(&mut self, op: &'o Op<'h>, messages: Vec<(i64, &'h Value)>) {
        for (offset, value) in messages {
            self.record_offset(offset, value, op);
            self.polled_at.insert(offset);
            let place = *self.polled_values.entry(value).or_insert(self.polled.len());
            match self.polled.get_mut(place) {
                Some((_, first)) if first.end > op.end => *first = op,
                Some(_) => {}
                None => self.polled.push((value, op)),
            }
        }
    }

    fn record_offset(&mut self, offset: i64, value: &'h Value, op: &'o Op<'h>) {
        let known = self.at.entry(offset).or_insert((value, op));
        if known.0 != value {
            self.conflicts.push((offset, value, op));
        }
    }

    /// Whether any poll returned a value.
    pub(super) fn was_polled(&self, value: &Value) -> bool {
        self.polled_values.contains_key(value)
    }

    fn check(&self, key: &str, builder: &mut VerdictBuilder) {
        for (offset, value, op) in &self.conflicts {
            builder.add_case("inconsistent-offsets", || {
                let (first, teller) = self.at[offset];
                let (one, other) = (abbreviate(first), abbreviate(value));
                let detail = format!(
                    "holds {one} for {} and {other} for {}",
                    teller.describe(),
                    op.describe()
                );
                two_op_case(format!("offset {offset} of key {key} {detail}"), teller, op)
            });
        }
        self.check_duplicates(key, builder);
        for [(before, first), (offset, second)] in &self.backwards {
            builder.add_case("nonmonotonic-send", || {
                let detail = format!(
                    "went to offset {offset}, though {} before it by the same \
                    client went to {before}",
                    first.describe()
                );
                two_op_case(format!("{} to key {key} {detail}", second.describe()), first, second)
            });
        }
        self.check_sources(key, builder);
    }

    /// Reports a value at two offsets, unless it was sent twice.
    fn check_duplicates(&self, key: &str, builder: &mut VerdictBuilder) {
        let mut places: FxHashMap<&Value, (i64, &Op<'_>)> = FxHashMap::default();
        for (offset, (value, op)) in &self.at {
            let once = self.sends.get(value).is_none_or(|sends| sends.len() == 1);
            match places.insert(value, (*offset, op)) {
                Some((first, teller)) if once => builder.add_case("duplicate", || {
                    let message = format!(
                        "value {} of key {key} was sent once but is at offsets {first} and \
                         {offset}",
                        abbreviate(value)
                    );
                    two_op_case(message, teller, op)
                }),
                _ => {}
            }
        }
    }

    /// Reports a polled value that was never sent, or only by failed sends.
    fn check_sources(&self, key: &str, builder: &mut VerdictBuilder) {
        for (value, poll) in &self.polled {
            let sends = self.sends.get(value).map_or(&[][..], Vec::as_slice);
            if sends.iter().any(|send| send.may_have_happened() && send.begin < poll.end) {
                continue;
            }
            let got = format!("{} returned {} of key {key}", poll.describe(), abbreviate(value));
            match sends.iter().find(|send| !send.may_have_happened()) {
                Some(send) => builder.add_case("aborted-read", || {
                    two_op_case(format!("{got}, but {} failed", send.describe()), send, poll)
                }),
                None => builder.add_case("unexpected", || AnomalyCase {
                    message: format!("{got}, which was not sent by then"),
                    operations: vec![poll.begin],
                    ..AnomalyCase::default()
                }),
            }
        }
    }
}

/// A case of two operations.
pub(super) fn two_op_case(message: String, first: &Op<'_>, second: &Op<'_>) -> AnomalyCase {
    let mut operations = vec![first.begin, second.begin];
    operations.dedup();
    AnomalyCase { message, operations, ..AnomalyCase::default() }
}
