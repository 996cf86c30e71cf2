//! Checks that all reads of a group of keys agree on the order in which the keys were written.
//!
//! Each key is written once, so of two reads of the same keys one observes every write that the
//! other observes. Once sorted by the number of observed writes, each read is only compared with
//! the next.

use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

use super::micro::{MicroOp, parse_micro_ops};
use super::op::{Op, abbreviate, single_object};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "long-fork";

/// All reads agree on the order of any two writes.
pub(crate) struct LongFork;

impl Check for LongFork {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "all reads of the same keys agree on the order of any two writes; keys are written once \
         (Jepsen's long-fork, the anomaly that parallel snapshot isolation allows)"
    }

    fn check(&self, history: &History, _limits: &Limits<'_>) -> Verdict {
        check_history(history).unwrap_or_else(|why| unsupported_history(NAME, why))
    }
}

/// A read of a group of keys and the returned values.
struct GroupRead<'o, 'h> {
    op: &'o Op<'h>,
    values: BTreeMap<&'h Value, &'h Value>,
}

impl GroupRead<'_, '_> {
    fn observed_writes(&self) -> usize {
        self.values.values().filter(|value| ***value != Value::Nil).count()
    }
}

fn check_history(history: &History) -> Result<Verdict, String> {
    let object = single_object(history);
    let mut builder = VerdictBuilder::new(NAME, &["long-fork", "unwritten-value"]);
    let mut groups: BTreeMap<Vec<&Value>, Vec<GroupRead<'_, '_>>> = BTreeMap::new();
    let (mut writes, mut asked) = (KeyWrites::default(), false);
    for op in &object.ops {
        match parse_fork_txn(op)? {
            ForkTxn::Write(key, value) => {
                asked = true;
                add_write(&mut writes, op, (key, value))?;
            }
            ForkTxn::Reads(values) if op.output.is_some() => {
                groups
                    .entry(values.keys().copied().collect())
                    .or_default()
                    .push(GroupRead { op, values });
            }
            ForkTxn::Reads(_) => {}
        }
    }
    let mut reads = 0;
    for (keys, group) in &mut groups {
        // Fewer than two keys have no order.
        reads += if keys.len() < 2 { 0 } else { group.len() };
        group.sort_by_key(GroupRead::observed_writes);
        group.windows(2).for_each(|pair| compare_reads(&pair[0], &pair[1], &mut builder));
        // A history without writes does not show where values come from.
        if asked {
            group.iter().for_each(|read| check_sources(read, &writes, &mut builder));
        }
    }
    builder.set_measure("groups", groups.len() as i64);
    builder.stats.operations = object.ops.len();
    builder.stats.keys = 1;
    if reads < 2 {
        builder.add_unknown(|| {
            format!("{reads} reads of several keys completed, but the check needs at least two")
        });
    }
    Ok(builder.build(&format!("all {reads} reads agree on one order of the writes")))
}

pub(super) enum ForkTxn<'h> {
    Write(&'h Value, &'h Value),
    Reads(BTreeMap<&'h Value, &'h Value>),
}

pub(super) fn parse_fork_txn<'h>(op: &Op<'h>) -> Result<ForkTxn<'h>, String> {
    let micros = parse_micro_ops(op)?;
    if let [MicroOp::Write { key, value }] = micros.as_slice() {
        return Ok(ForkTxn::Write(key, value));
    }
    let mut values = BTreeMap::new();
    for micro in micros {
        let MicroOp::Read { key, value } = micro else {
            return Err(op.invalid_input("expected one write, or only reads"));
        };
        if values.insert(key, value).is_some_and(|earlier| earlier != value) {
            return Err(
                op.invalid_output(&format!("it reads key {key} twice with different values"))
            );
        }
    }
    Ok(ForkTxn::Reads(values))
}

type KeyWrites<'o, 'h> = FxHashMap<&'h Value, (&'o Op<'h>, &'h Value)>;

fn add_write<'o, 'h>(
    writes: &mut KeyWrites<'o, 'h>,
    op: &'o Op<'h>,
    (key, value): (&'h Value, &'h Value),
) -> Result<(), String> {
    if !op.may_have_happened() {
        return Ok(());
    }
    match writes.insert(key, (op, value)) {
        Some((first, _)) => Err(op.invalid_input(&format!(
            "keys must be written once, but {} writes key {key}, too",
            first.describe()
        ))),
        None => Ok(()),
    }
}

/// Compares two reads, of which the second observes at least as many writes as the first.
fn compare_reads(less: &GroupRead<'_, '_>, more: &GroupRead<'_, '_>, builder: &mut VerdictBuilder) {
    let hidden = less
        .values
        .iter()
        .find(|(key, value)| ***value != Value::Nil && *more.values[*key] == Value::Nil);
    let differs = less.values.iter().find(|(key, value)| {
        let other = more.values[*key];
        ***value != Value::Nil && *other != Value::Nil && **value != other
    });
    if let Some((key, _)) = differs {
        let (one, other) = (less.op.describe(), more.op.describe());
        builder.add_unknown(|| {
            format!("{one} and {other} returned two values of key {key}: keys must be written once")
        });
    }
    let Some((only_first, _)) = hidden else { return };
    let only_second = more
        .values
        .iter()
        .find(|(key, value)| ***value != Value::Nil && *less.values[*key] == Value::Nil);
    // The second observes as many writes but misses this one, so it observes another one.
    if let Some((only_second, _)) = only_second {
        builder.add_case("long-fork", || fork_case(less.op, more.op, only_first, only_second));
    }
}

fn fork_case(one: &Op<'_>, other: &Op<'_>, only_one: &Value, only_other: &Value) -> AnomalyCase {
    let (a, b) = (abbreviate(only_one), abbreviate(only_other));
    let (first, second) = (one.describe(), other.describe());
    AnomalyCase {
        message: format!(
            "long fork: {first} observed the write of key {a} but not of {b}, {second} observed \
             the write of {b} but not of {a}: they observed the two writes in opposite orders"
        ),
        steps: vec![
            one.step(
                other,
                "rw",
                format!("{first} observed {a} but not {b}, so {a} was written before {b}"),
            ),
            other.step(
                one,
                "rw",
                format!(
                    "{second} observed {b} but not {a}, so {b} was written before {a}: a \
                     contradiction"
                ),
            ),
        ],
        operations: vec![one.begin, other.begin],
    }
}

/// Reports a value that no write by then can have created.
fn check_sources(
    read: &GroupRead<'_, '_>,
    writes: &KeyWrites<'_, '_>,
    builder: &mut VerdictBuilder,
) {
    for (key, value) in read.values.iter().filter(|(_, value)| ***value != Value::Nil) {
        let from = writes.get(key);
        if from.is_none_or(|(op, written)| written != value || op.begin > read.op.end) {
            builder.add_case("unwritten-value", || AnomalyCase {
                message: format!(
                    "{} returned {} for key {}, which was not written by then",
                    read.op.describe(),
                    abbreviate(value),
                    abbreviate(key)
                ),
                operations: vec![read.op.begin],
                ..AnomalyCase::default()
            });
        }
    }
}
