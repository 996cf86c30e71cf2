//! Checks that every replica of a counter converges to the sum of all additions.
//!
//! An earlier read may be stale, but never outside the range of the additions invoked by then. The
//! last read of each replica, if it follows the quiet period ([`super::last_reads`]), is the sum of
//! all acknowledged additions and some of the indeterminate ones. The possible sums are enumerated
//! while they are few, and approximated by their range otherwise.

use std::collections::BTreeSet;

use super::last_reads::{find_last_change, find_last_reads, follows_quiet_period, node_suffix};
use super::op::{Op, abbreviate, single_object};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "eventual-counter";
/// The maximum number of enumerated sums.
const MAX_SUMS: usize = 1 << 16;

/// A counter that converges.
pub(crate) struct EventualCounter;

impl Check for EventualCounter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "the last `read` of each replica, if 10 s or more after the last change, is the sum of \
         every acknowledged `add` and of some indeterminate ones; no `read` is outside the range \
         of the adds invoked by then"
    }

    fn check(&self, history: &History, _: &Limits<'_>) -> Verdict {
        check_history(history).unwrap_or_else(|why| unsupported_history(NAME, why))
    }
}

const KINDS: &[&str] = &["wrong-sum", "out-of-bounds"];

fn check_history(history: &History) -> Result<Verdict, String> {
    let object = single_object(history);
    let mut builder = VerdictBuilder::new(NAME, KINDS);
    let mut reads = Vec::new();
    // After each add: its invocation, and the least and greatest possible sum of all adds so far.
    let mut bounds = vec![(0, 0, 0)];
    for op in &object.ops {
        match classify_op(op)? {
            ConvergentEffect::Add(more) => {
                let (_, least, most) = bounds[bounds.len() - 1];
                bounds.push((op.begin, least + more.min(0), most + more.max(0)));
            }
            ConvergentEffect::Read(read) => reads.push((op, read)),
            ConvergentEffect::Nothing => {}
        }
    }
    for (op, read) in &reads {
        let asked = bounds[1..].partition_point(|(begin, ..)| *begin < op.end);
        let (_, least, most) = bounds[asked];
        check_range(op, *read, (least, most), &mut builder);
    }
    check_last_reads(history, &object.ops, &mut builder)?;
    builder.finish_object(object.ops.len(), 0);
    if reads.is_empty() {
        builder.add_unknown(|| "no read completed".to_owned());
    }
    Ok(builder.build(&format!(
        "the last reads of all replicas equal the sum of the additions ({} reads)",
        reads.len()
    )))
}

/// The amount that an operation may have added, or the value that it read.
enum ConvergentEffect {
    Add(i128),
    Read(i128),
    Nothing,
}

fn classify_op(op: &Op<'_>) -> Result<ConvergentEffect, String> {
    match (op.f, op.input, op.output) {
        ("add", Value::Int(more), _) if op.may_have_happened() => {
            Ok(ConvergentEffect::Add(i128::from(*more)))
        }
        ("add", Value::Int(_), _) | ("read", _, None) => Ok(ConvergentEffect::Nothing),
        ("add", other, _) => {
            Err(op.invalid_input(&format!("expected an integer, got {}", abbreviate(other))))
        }
        ("read", _, Some(Value::Int(read))) => Ok(ConvergentEffect::Read(i128::from(*read))),
        ("read", _, Some(other)) => {
            Err(op.invalid_output(&format!("expected an integer, got {}", abbreviate(other))))
        }
        _ => Err(op.unknown_function("add, read")),
    }
}

/// The amount that an add may have added.
fn added_amount(op: &Op<'_>) -> Option<i128> {
    match (op.f, op.input) {
        ("add", Value::Int(more)) if op.may_have_happened() => Some(i128::from(*more)),
        _ => None,
    }
}

/// Checks that a read is in the range of the additions invoked before it completed.
fn check_range(op: &Op<'_>, read: i128, (least, most): (i128, i128), builder: &mut VerdictBuilder) {
    if !(least..=most).contains(&read) {
        builder.add_case("out-of-bounds", || AnomalyCase {
            message: format!(
                "{}{} returned {read}, outside the range {least} to {most} of all additions \
                 invoked by then",
                op.describe(),
                node_suffix(op)
            ),
            operations: vec![op.begin],
            ..AnomalyCase::default()
        });
    }
}

/// Checks that the last read of each replica is a possible sum.
fn check_last_reads(
    history: &History,
    ops: &[Op<'_>],
    builder: &mut VerdictBuilder,
) -> Result<(), String> {
    let change = find_last_change(history, ops);
    for read in find_last_reads(ops) {
        let ConvergentEffect::Read(read_value) = classify_op(read)? else { continue };
        // Additions completed before the read count, open ones may count, later ones do not.
        let asked = ops.iter().filter(|op| op.begin < read.end);
        let (done, open): (Vec<_>, Vec<_>) = asked.partition(|op| op.end < read.begin);
        let certain = done.into_iter().filter_map(added_amount).sum();
        let sums = PossibleSums::of(certain, open.into_iter().filter_map(added_amount));
        if sums.contains(read_value) {
            continue;
        }
        if follows_quiet_period(read, change) {
            builder.add_case("wrong-sum", || wrong_sum_case(read, read_value, certain, &sums));
        } else {
            builder.add_unknown(|| {
                format!(
                    "the last read{} returned {read_value}, not {certain}, but it began less than \
                     10 s after the last change, so the replica may not have converged yet",
                    node_suffix(read)
                )
            });
        }
    }
    Ok(())
}

fn wrong_sum_case(
    read: &Op<'_>,
    read_value: i128,
    certain: i128,
    sums: &PossibleSums,
) -> AnomalyCase {
    let unknown = match sums.bounds() {
        (least, most) if least == most => String::new(),
        (least, most) => format!(" ({least} to {most} with the indeterminate ones)"),
    };
    AnomalyCase {
        message: format!(
            "{}{}, the last read of this replica, returned {read_value}, but the acknowledged \
             additions sum to {certain}{unknown}",
            read.describe(),
            node_suffix(read)
        ),
        operations: vec![read.begin],
        ..AnomalyCase::default()
    }
}

/// The possible sums of the certain and some of the indeterminate additions.
enum PossibleSums {
    Exactly(BTreeSet<i128>),
    Between(i128, i128),
}

impl PossibleSums {
    fn of(certain: i128, open: impl Iterator<Item = i128>) -> Self {
        let mut sums = Self::Exactly(BTreeSet::from([certain]));
        for more in open {
            sums = sums.with_optional(more);
        }
        sums
    }

    /// Adds an amount that counts or not.
    fn with_optional(self, more: i128) -> Self {
        match self {
            Self::Exactly(known) if known.len() > MAX_SUMS => {
                let (least, most) = Self::Exactly(known).bounds();
                Self::Between(least, most).with_optional(more)
            }
            Self::Exactly(mut known) => {
                let with: Vec<i128> = known.iter().map(|sum| sum + more).collect();
                known.extend(with);
                Self::Exactly(known)
            }
            Self::Between(least, most) => Self::Between(least + more.min(0), most + more.max(0)),
        }
    }

    fn contains(&self, sum: i128) -> bool {
        match self {
            Self::Exactly(known) => known.contains(&sum),
            Self::Between(least, most) => (*least..=*most).contains(&sum),
        }
    }

    fn bounds(&self) -> (i128, i128) {
        match self {
            Self::Exactly(known) => {
                let end = |sum: Option<&i128>| sum.copied().unwrap_or_default();
                (end(known.first()), end(known.last()))
            }
            Self::Between(least, most) => (*least, *most),
        }
    }
}
