//! Judges that every replica tells in the end the sum of what was added anywhere.
//!
//! A read in between may be of the past, but never of more than was asked for, nor of less than what was asked to be
//! taken away. The last read of each replica, if it is late ([`super::last_reads`]), is the sum of all that was
//! acknowledged and of some of what nobody knows. The sums that the unknown can make are found exactly while they are
//! few, else taken to be everything between the least and the greatest.

use std::collections::BTreeSet;

use super::last_reads::{is_late, last_change, last_reads, on};
use super::objects::{Op, brief, whole};
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Value};
use crate::verdict::{Check, Limits, Verdict};

const NAME: &str = "eventual-counter";
/// How many sums are kept at most.
const MOST_SUMS: usize = 1 << 16;

/// A counter that converges.
pub(crate) struct EventualCounter;

impl Check for EventualCounter {
    fn name(&self) -> &'static str {
        NAME
    }

    fn doc(&self) -> &'static str {
        "the last `read` of each replica, if 10 s or more after the last change, is the sum of every acknowledged `add` \
         and of some of unknown end; no `read` is outside of what had been asked for"
    }

    fn check(&self, history: &History, _: &Limits<'_>) -> Verdict {
        judge(history).unwrap_or_else(|why| meaningless(NAME, why))
    }
}

const KINDS: &[&str] = &["wrong-sum", "out-of-bounds"];

fn judge(history: &History) -> Result<Verdict, String> {
    let object = whole(history);
    let mut tally = Tally::new(NAME, KINDS);
    let mut reads = Vec::new();
    // After each add: when it was asked for, and the least and the most that all so far can make.
    let mut bounds = vec![(0, 0, 0)];
    for op in &object.ops {
        match effect(op)? {
            Effect::Add(more) => {
                let (_, least, most) = bounds[bounds.len() - 1];
                bounds.push((op.begin, least + more.min(0), most + more.max(0)));
            }
            Effect::Read(read) => reads.push((op, read)),
            Effect::Nothing => {}
        }
    }
    for (op, read) in &reads {
        let asked = bounds[1..].partition_point(|(begin, ..)| *begin < op.end);
        let (_, least, most) = bounds[asked];
        within(op, *read, (least, most), &mut tally);
    }
    in_the_end(history, &object.ops, &mut tally)?;
    tally.count(object.ops.len(), 0);
    if reads.is_empty() {
        tally.doubt(|| "nothing was read".to_owned());
    }
    Ok(tally.verdict(&format!("the last of {} reads agree with what was added", reads.len())))
}

/// What an operation adds, as far as it may have happened, or what it read.
enum Effect {
    Add(i128),
    Read(i128),
    Nothing,
}

fn effect(op: &Op<'_>) -> Result<Effect, String> {
    match (op.f, op.input, op.output) {
        ("add", Value::Int(more), _) if op.possible() => Ok(Effect::Add(i128::from(*more))),
        ("add", Value::Int(_), _) | ("read", _, None) => Ok(Effect::Nothing),
        ("add", other, _) => Err(op.bad_input(&format!("it adds {}, no integer", brief(other)))),
        ("read", _, Some(Value::Int(read))) => Ok(Effect::Read(i128::from(*read))),
        ("read", _, Some(other)) => {
            Err(op.bad_output(&format!("it read {}, no integer", brief(other))))
        }
        _ => Err(op.unknown_function("add, read")),
    }
}

/// What an add may have added.
fn amount(op: &Op<'_>) -> Option<i128> {
    match (op.f, op.input) {
        ("add", Value::Int(more)) if op.possible() => Some(i128::from(*more)),
        _ => None,
    }
}

/// No read tells more than what was asked to be added by then, nor less than what was asked to be taken.
fn within(op: &Op<'_>, read: i128, (least, most): (i128, i128), tally: &mut Tally) {
    if !(least..=most).contains(&read) {
        tally.found("out-of-bounds", || Case {
            message: format!(
                "{}{} returned {read}, but all that had been asked for makes {least} to {most}",
                op.named(),
                on(op)
            ),
            operations: vec![op.begin],
            ..Case::default()
        });
    }
}

/// The last read of each replica is a sum of all that is certain and of some of what is not.
fn in_the_end(history: &History, ops: &[Op<'_>], tally: &mut Tally) -> Result<(), String> {
    let change = last_change(history, ops);
    for read in last_reads(ops) {
        let Effect::Read(told) = effect(read)? else { continue };
        // What was answered before the read is in it, what was open meanwhile may be, what was not asked for is not.
        let asked = ops.iter().filter(|op| op.begin < read.end);
        let (done, open): (Vec<_>, Vec<_>) = asked.partition(|op| op.end < read.begin);
        let certain = done.into_iter().filter_map(amount).sum();
        let sums = Sums::of(certain, open.into_iter().filter_map(amount));
        if sums.has(told) {
            continue;
        }
        if is_late(read, change) {
            tally.found("wrong-sum", || wrong(read, told, certain, &sums));
        } else {
            tally.doubt(|| {
                format!(
                    "the last read{} is {told}, not {certain}, but it began less than 10 s after the last change",
                    on(read)
                )
            });
        }
    }
    Ok(())
}

fn wrong(read: &Op<'_>, told: i128, certain: i128, sums: &Sums) -> Case {
    let unknown = match sums.bounds() {
        (least, most) if least == most => String::new(),
        (least, most) => format!(" ({least} to {most} with what nobody knows)"),
    };
    Case {
        message: format!(
            "{}{}, the last one there, returned {told}, but what was acknowledged makes {certain}{unknown}",
            read.named(),
            on(read)
        ),
        operations: vec![read.begin],
        ..Case::default()
    }
}

/// What the certain and some of the uncertain make.
enum Sums {
    Exactly(BTreeSet<i128>),
    Between(i128, i128),
}

impl Sums {
    fn of(certain: i128, open: impl Iterator<Item = i128>) -> Self {
        let mut sums = Self::Exactly(BTreeSet::from([certain]));
        for more in open {
            sums = sums.with(more);
        }
        sums
    }

    /// Another amount that is there or not.
    fn with(self, more: i128) -> Self {
        match self {
            Self::Exactly(known) if known.len() > MOST_SUMS => {
                let (least, most) = Self::Exactly(known).bounds();
                Self::Between(least, most).with(more)
            }
            Self::Exactly(mut known) => {
                let with: Vec<i128> = known.iter().map(|sum| sum + more).collect();
                known.extend(with);
                Self::Exactly(known)
            }
            Self::Between(least, most) => Self::Between(least + more.min(0), most + more.max(0)),
        }
    }

    fn has(&self, sum: i128) -> bool {
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
