//! Follows each consumer along the logs: whether it went back, and what it passed without being given it.

use std::collections::{BTreeMap, BTreeSet};

use super::log::{Log, Logs, two};
use super::read::{Part, read};
use crate::history::Process;
use crate::property::objects::{Op, brief};
use crate::property::tally::Tally;

/// Where a consumer is.
#[derive(Default)]
struct Consumer<'o, 'h> {
    /// Whether others may move it between polls.
    subscribed: bool,
    at: BTreeMap<String, (i64, &'o Op<'h>)>,
}

/// A step of a consumer over messages it was not given.
struct Passed<'o, 'h> {
    from: i64,
    to: i64,
    op: &'o Op<'h>,
}

pub(super) fn judge<'o, 'h>(
    logs: &Logs<'o, 'h>,
    ops: &'o [Op<'h>],
    tally: &mut Tally,
) -> Result<(), String> {
    let mut consumers: BTreeMap<Process, Consumer<'_, '_>> = BTreeMap::new();
    let mut passed: BTreeMap<String, Vec<Passed<'_, '_>>> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.output.is_some()) {
        let consumer = consumers.entry(op.process()).or_default();
        if consumer.subscribed {
            consumer.at.clear();
        }
        for part in read(op)? {
            match part {
                Part::Moved { by_others } => {
                    consumer.subscribed |= by_others;
                    consumer.at.clear();
                }
                Part::Poll { key, messages } => {
                    for (offset, _) in messages {
                        let before = consumer.at.insert(key.clone(), (offset, op));
                        if let (Some(before), Some(log)) = (before, logs.of(&key)) {
                            let steps = passed.entry(key.clone()).or_default();
                            moved(&key, log, (before, (offset, op)), steps, tally);
                        }
                    }
                }
                Part::Send { .. } => {}
            }
        }
    }
    for (key, log) in logs.each() {
        missing(key, log, passed.get(key).map_or(&[][..], Vec::as_slice), tally);
    }
    Ok(())
}

type Position<'o, 'h> = (i64, &'o Op<'h>);

/// Judges one step of a consumer.
fn moved<'o, 'h>(
    key: &str,
    log: &Log<'o, 'h>,
    (before, now): (Position<'o, 'h>, Position<'o, 'h>),
    passed: &mut Vec<Passed<'o, 'h>>,
    tally: &mut Tally,
) {
    let ((from, first), (to, op)) = (before, now);
    if to <= from {
        tally.found("nonmonotonic-poll", || {
            let told = format!("offset {to} after it was given {from}");
            two(format!("the consumer of {} was given key {key}'s {told}", op.named()), first, op)
        });
    } else if log.at.range(from + 1..to).next().is_some() {
        passed.push(Passed { from, to, op });
        if let Some(offset) = log.polled_at.range(from + 1..to).next() {
            tally.found("poll-skip", || {
                let (value, teller) = log.at[offset];
                let value = brief(value);
                let told = format!("from offset {from} to {to} over {value} at {offset}");
                two(format!("{} went on key {key} {told}", op.named()), teller, op)
            });
        }
    }
}

/// Convicts acknowledged messages that nobody was given though somebody passed them.
fn missing(key: &str, log: &Log<'_, '_>, passed: &[Passed<'_, '_>], tally: &mut Tally) {
    let mut unseen: BTreeSet<i64> = BTreeSet::new();
    for offset in log.acknowledged.keys() {
        if !log.was_polled(log.at[offset].0) {
            unseen.insert(*offset);
        }
    }
    for Passed { from, to, op } in passed {
        let lost: Vec<i64> = unseen.range(from + 1..*to).copied().collect();
        for offset in lost {
            unseen.remove(&offset);
            tally.found("lost-write", || {
                let send = log.acknowledged[&offset];
                let told = format!(
                    "was acknowledged at offset {offset} of key {key}, nobody was given it"
                );
                let by = format!("{} went from {from} to {to}", op.named());
                two(format!("{} {told}, and {by}", send.named()), send, op)
            });
        }
    }
    tally.add("unseen", unseen.len());
}
