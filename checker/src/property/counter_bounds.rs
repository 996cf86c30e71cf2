//! Checks that each read of a counter lies between the sums of the acknowledged and of the possible
//! additions.
//!
//! An add acknowledged before a read began counts; one that was open during the read may count or
//! not. The bounds are running sums, updated at each event. The check is necessary but not
//! sufficient; the model `counter` decides linearizability.

use std::collections::BTreeMap;

use super::op::{ObjectOps, Op, key_suffix, split_by_key};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "counter-bounds";

/// Jepsen's counter.
pub(crate) struct CounterBounds;

impl Check for CounterBounds {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "each `read` of a counter lies between the sum of the adds acknowledged before it and the \
         sum of those that may have taken effect by its end (Jepsen's counter)"
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_history(history, limits).unwrap_or_else(|why| unsupported_history(NAME, why))
    }
}

fn check_history(history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut builder = VerdictBuilder::new(NAME, &["out-of-bounds"]);
    for object in split_by_key(history, limits.keyed)? {
        check_object(&object, &mut builder)?;
    }
    let operations = builder.stats.operations;
    Ok(builder.build(&format!("every read is within its bounds ({operations} operations)")))
}

/// The effect of an operation on the sums.
pub(super) enum CounterEffect {
    Add(i128),
    Read(i128),
    Nothing,
}

pub(super) fn classify_op(op: &Op<'_>) -> Result<CounterEffect, String> {
    match (op.f, op.input, op.output) {
        ("add" | "inc", Value::Int(more), _) => Ok(if op.may_have_happened() {
            CounterEffect::Add(i128::from(*more))
        } else {
            CounterEffect::Nothing
        }),
        ("add" | "inc", other, _) => {
            Err(op.invalid_input(&format!("expected an integer, got {other}")))
        }
        ("read", _, Some(Value::Int(read))) => Ok(CounterEffect::Read(i128::from(*read))),
        ("read", _, None) => Ok(CounterEffect::Nothing),
        ("read", _, Some(other)) => {
            Err(op.invalid_output(&format!("expected an integer, got {other}")))
        }
        _ => Err(op.unknown_function("add, read")),
    }
}

/// The sums of the positive and of the negative amounts.
#[derive(Clone, Copy, Default)]
pub(super) struct SplitSums {
    above: i128,
    below: i128,
}

impl SplitSums {
    /// Counts an amount, or takes it out again.
    pub(super) const fn add_or_remove(&mut self, amount: i128, add: bool) {
        let sum = if amount > 0 { &mut self.above } else { &mut self.below };
        *sum += if add { amount } else { -amount };
    }
}

fn check_object(object: &ObjectOps<'_>, builder: &mut VerdictBuilder) -> Result<(), String> {
    let before = builder.case_count();
    let (mut asked, mut done) = (SplitSums::default(), SplitSums::default());
    let mut events = BTreeMap::new();
    for (place, op) in object.ops.iter().enumerate() {
        let effect = classify_op(op)?;
        events.insert(op.begin, (place, true));
        if op.output.is_some() && !matches!(effect, CounterEffect::Nothing) {
            events.insert(op.end, (place, false));
        }
    }
    let mut at_begin = vec![SplitSums::default(); object.ops.len()];
    for (place, begins) in events.into_values() {
        let op = &object.ops[place];
        match (classify_op(op)?, begins) {
            (CounterEffect::Add(more), true) => asked.add_or_remove(more, true),
            (CounterEffect::Add(more), false) => done.add_or_remove(more, true),
            (CounterEffect::Read(_), true) => at_begin[place] = done,
            (CounterEffect::Read(read), false) => {
                let bounds = bounds(at_begin[place], asked);
                if !(bounds.0..=bounds.1).contains(&read) {
                    builder
                        .add_case("out-of-bounds", || out_of_bounds_case(object, op, read, bounds));
                }
            }
            (CounterEffect::Nothing, _) => {}
        }
    }
    builder.finish_object(object.ops.len(), before);
    Ok(())
}

/// The bounds of a read, given the additions acknowledged before it and those invoked by its end.
pub(super) const fn bounds(done: SplitSums, asked: SplitSums) -> (i128, i128) {
    (done.above + asked.below, asked.above + done.below)
}

fn out_of_bounds_case(
    object: &ObjectOps<'_>,
    op: &Op<'_>,
    read: i128,
    (least, most): (i128, i128),
) -> AnomalyCase {
    AnomalyCase {
        message: format!(
            "{} returned {read}{}, outside the possible range {least} to {most}",
            op.describe(),
            key_suffix(object.key)
        ),
        operations: vec![op.begin],
        ..AnomalyCase::default()
    }
}
