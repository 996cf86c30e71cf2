//! Checks that every replica of a set converges to all added elements, and to no others.
//!
//! An earlier read may be stale, so only the last read of each replica must be complete, and only
//! if it follows the quiet period ([`super::last_reads`]). An element that was never added, or
//! returned twice, is an anomaly in any read.

use rustc_hash::{FxHashMap, FxHashSet};

use super::last_reads::{find_last_change, find_last_reads, follows_quiet_period, node_suffix};
use super::op::{ObjectOps, Op, abbreviate, single_object};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "eventual-set";

/// A set, or a broadcast, that is eventually consistent.
pub(crate) struct EventualSet;

impl Check for EventualSet {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "the last `read` of each replica, if 10 s or more after the last change, returns every \
         element of an acknowledged `add` or `broadcast`; no `read` returns an element twice or \
         one that was never added"
    }

    fn check(&self, history: &History, _: &Limits<'_>) -> Verdict {
        check_history(history).unwrap_or_else(|why| unsupported_history(NAME, why))
    }
}

const KINDS: &[&str] = &["undelivered", "unexpected", "duplicated"];

fn check_history(history: &History) -> Result<Verdict, String> {
    let object = single_object(history);
    object.ops.iter().try_for_each(validate_functions)?;
    let mut builder = VerdictBuilder::new(NAME, KINDS);
    check_elements(&object, &mut builder);
    let change = find_last_change(history, &object.ops);
    let reads = find_last_reads(&object.ops);
    let added: Vec<_> = object.ops.iter().filter(|op| is_add(op) && op.output.is_some()).collect();
    reads.iter().for_each(|read| check_complete(read, &added, change, &mut builder));
    builder.finish_object(object.ops.len(), 0);
    builder.set_measure("added", added.len() as i64);
    builder.set_measure("replicas_read", reads.len() as i64);
    if added.is_empty() || reads.is_empty() {
        builder.add_unknown(|| "no add or no read completed".to_owned());
    }
    let (added, reads) = (added.len(), reads.len());
    Ok(builder.build(&format!(
        "the last reads of {reads} replicas returned all {added} acknowledged elements"
    )))
}

fn is_add(op: &Op<'_>) -> bool {
    matches!(op.f, "add" | "broadcast")
}

fn validate_functions(op: &Op<'_>) -> Result<(), String> {
    match (op.f, op.output) {
        ("add" | "broadcast", _) | ("read", None | Some(Value::List(_))) => Ok(()),
        ("read", Some(other)) => {
            Err(op.invalid_output(&format!("expected a list, got {}", abbreviate(other))))
        }
        _ => Err(op.unknown_function("add, broadcast, read")),
    }
}

/// The elements that a read returned.
fn returned_elements<'h>(op: &Op<'h>) -> &'h [Value] {
    match op.output {
        Some(Value::List(items)) if op.f == "read" => items,
        _ => &[],
    }
}

/// Checks that a read returns no element twice, and none that was not added by then.
fn check_elements(object: &ObjectOps<'_>, builder: &mut VerdictBuilder) {
    let mut asked: FxHashMap<&Value, u64> = FxHashMap::default();
    for add in object.ops.iter().filter(|op| is_add(op) && op.may_have_happened()) {
        asked.entry(add.input).or_insert(add.begin);
    }
    for read in &object.ops {
        let mut seen = FxHashSet::default();
        for element in returned_elements(read) {
            if !seen.insert(element) {
                builder.add_case("duplicated", || element_case(read, element, "twice"));
            }
            if asked.get(element).is_none_or(|begin| *begin > read.end) {
                builder.add_case("unexpected", || {
                    element_case(read, element, "which was not added by then")
                });
            }
        }
    }
}

fn element_case(read: &Op<'_>, element: &Value, how: &str) -> AnomalyCase {
    AnomalyCase {
        message: format!(
            "{}{} returned {} {how}",
            read.describe(),
            node_suffix(read),
            abbreviate(element)
        ),
        operations: vec![read.begin],
        ..AnomalyCase::default()
    }
}

/// Checks that the last read of a replica is complete, if it follows the quiet period.
fn check_complete(read: &Op<'_>, added: &[&Op<'_>], change: u64, builder: &mut VerdictBuilder) {
    let there: FxHashSet<&Value> = returned_elements(read).iter().collect();
    for add in added.iter().filter(|add| add.end < read.begin && !there.contains(add.input)) {
        if follows_quiet_period(read, change) {
            builder.add_case("undelivered", || undelivered_case(read, add));
        } else {
            builder.add_unknown(|| {
                format!(
                    "the last read{} lacks {}, but it began less than 10 s after the last change, \
                     so the replica may not have converged yet",
                    node_suffix(read),
                    abbreviate(add.input)
                )
            });
        }
    }
}

fn undelivered_case(read: &Op<'_>, add: &Op<'_>) -> AnomalyCase {
    let seconds = read.invoked_at().saturating_sub(add.completed_at()) / 1_000_000_000;
    AnomalyCase {
        message: format!(
            "{}{}, the last read of this replica, lacks {}, which was acknowledged{} {seconds} s \
             earlier",
            read.describe(),
            node_suffix(read),
            abbreviate(add.input),
            node_suffix(add)
        ),
        steps: vec![add.step(read, "realtime", format!("acknowledged {seconds} s earlier"))],
        operations: vec![add.begin, read.begin],
    }
}
