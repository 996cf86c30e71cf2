//! Follows each consumer along the logs: whether it goes back, and which offsets it skips.

use std::collections::{BTreeMap, BTreeSet};

use super::log::{KeyLog, KeyLogs, two_op_case};
use super::read::{LogOp, parse_log_ops};
use crate::history::Process;
use crate::property::op::{Op, abbreviate};
use crate::property::verdict_builder::VerdictBuilder;

/// The position of a consumer.
#[derive(Default)]
struct Consumer<'o, 'h> {
    /// Whether a rebalance may move it between polls.
    subscribed: bool,
    at: BTreeMap<String, (i64, &'o Op<'h>)>,
}

/// A step of a consumer over offsets that it did not receive.
struct SkippedRange<'o, 'h> {
    from: i64,
    to: i64,
    op: &'o Op<'h>,
}

pub(super) fn check_polls<'o, 'h>(
    logs: &KeyLogs<'o, 'h>,
    ops: &'o [Op<'h>],
    builder: &mut VerdictBuilder,
) -> Result<(), String> {
    let mut consumers: BTreeMap<Process, Consumer<'_, '_>> = BTreeMap::new();
    let mut passed: BTreeMap<String, Vec<SkippedRange<'_, '_>>> = BTreeMap::new();
    for op in ops.iter().filter(|op| op.output.is_some()) {
        let consumer = consumers.entry(op.process()).or_default();
        if consumer.subscribed {
            consumer.at.clear();
        }
        for part in parse_log_ops(op)? {
            match part {
                LogOp::Moved { by_others } => {
                    consumer.subscribed |= by_others;
                    consumer.at.clear();
                }
                LogOp::Poll { key, messages } => {
                    for (offset, _) in messages {
                        let before = consumer.at.insert(key.clone(), (offset, op));
                        if let (Some(before), Some(log)) = (before, logs.of(&key)) {
                            let steps = passed.entry(key.clone()).or_default();
                            check_step(&key, log, (before, (offset, op)), steps, builder);
                        }
                    }
                }
                LogOp::Send { .. } => {}
            }
        }
    }
    for (key, log) in logs.each() {
        check_lost_writes(key, log, passed.get(key).map_or(&[][..], Vec::as_slice), builder);
    }
    Ok(())
}

type Position<'o, 'h> = (i64, &'o Op<'h>);

/// Checks one step of a consumer.
fn check_step<'o, 'h>(
    key: &str,
    log: &KeyLog<'o, 'h>,
    (before, now): (Position<'o, 'h>, Position<'o, 'h>),
    passed: &mut Vec<SkippedRange<'o, 'h>>,
    builder: &mut VerdictBuilder,
) {
    let ((from, first), (to, op)) = (before, now);
    if to <= from {
        builder.add_case("nonmonotonic-poll", || {
            let detail = format!("offset {to} after offset {from}");
            two_op_case(format!("{} received key {key} at {detail}", op.describe()), first, op)
        });
    } else if log.at.range(from + 1..to).next().is_some() {
        passed.push(SkippedRange { from, to, op });
        if let Some(offset) = log.polled_at.range(from + 1..to).next() {
            builder.add_case("poll-skip", || {
                let (value, teller) = log.at[offset];
                let value = abbreviate(value);
                let detail = format!("from offset {from} to {to}, over {value} at offset {offset}");
                two_op_case(
                    format!("{} skipped messages of key {key} {detail}", op.describe()),
                    teller,
                    op,
                )
            });
        }
    }
}

/// Reports acknowledged messages that no poll returned although a consumer skipped them.
fn check_lost_writes(
    key: &str,
    log: &KeyLog<'_, '_>,
    passed: &[SkippedRange<'_, '_>],
    builder: &mut VerdictBuilder,
) {
    let mut unseen: BTreeSet<i64> = BTreeSet::new();
    for offset in log.acknowledged.keys() {
        if !log.was_polled(log.at[offset].0) {
            unseen.insert(*offset);
        }
    }
    for SkippedRange { from, to, op } in passed {
        let lost: Vec<i64> = unseen.range(from + 1..*to).copied().collect();
        for offset in lost {
            unseen.remove(&offset);
            builder.add_case("lost-write", || {
                let send = log.acknowledged[&offset];
                let detail = format!(
                    "was acknowledged at offset {offset} of key {key}, but no poll returned it"
                );
                let by = format!("{} skipped from {from} to {to}", op.describe());
                two_op_case(format!("{} {detail}, and {by}", send.describe()), send, op)
            });
        }
    }
    builder.add_to_measure("unseen", unseen.len());
}
