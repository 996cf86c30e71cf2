//! Decides counters of which every step is the same.
//!
//! A read says how many steps came before it, so reads of different values are ordered by value, and each gap between
//! two values holds as many steps as they differ by. A step fits into a gap iff it ends after every read before the gap
//! has begun, and begins before any read after the gap has ended; the later its end, the later the last such gap, and
//! the later its begin, the later the first. So the gaps of a step are an interval, a step that ends before another
//! begins has both bounds no later, and of two that were put in the wrong order the exchange fits: every way to fill the
//! gaps gives a legal order. Gaps are filled from the front by the step that must go first (earliest deadline first,
//! which is optimal for unit jobs); what is left when its last gap is filled and is known to have happened has no place.
//! After the last read there is room for all.
//!
//! A step of unknown outcome fits wherever it fits, or nowhere. Reads of one value need only not contradict those of
//! another; among themselves, as steps of one gap, any order that real time permits will do.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::view::{Interval, PrefixView};
use crate::history::Value;
use crate::model::Response;

/// The reads of one value: how many steps came before, the latest begin and the earliest end.
#[derive(Clone, Copy)]
struct ReadLevel {
    steps: i64,
    begin: u64,
    end: u64,
}

/// Whether the operations are legal; unknown with steps of different sizes.
pub(super) fn is_legal(view: &PrefixView<'_>) -> Option<bool> {
    let Value::Int(start) = view.start else { return None };
    let (mut steps, mut reads, mut size) = (Vec::new(), Vec::new(), None);
    for (op, span) in view.ops() {
        match (op.call.f.as_str(), &op.call.input, &op.call.response) {
            ("add", Value::Int(0), _) | ("read", _, Response::Unknown) => {}
            ("add", Value::Int(by), _) => {
                if *size.get_or_insert(*by) != *by {
                    return None;
                }
                steps.push(span);
            }
            ("read", _, Response::Output(Value::Int(value))) => reads.push((*value, span)),
            _ => return None,
        }
    }
    let size = size.unwrap_or(1);
    // Where sums leave 64 bits the model has its own opinion.
    start.checked_add(size.checked_mul(i64::try_from(steps.len()).ok()?)?)?;
    let mut levels = Vec::with_capacity(reads.len());
    for (value, span) in reads.into_iter().filter(|(_, span)| span.end.is_some()) {
        let distance = value.checked_sub(*start)?;
        if distance.checked_rem(size)? != 0 || distance.checked_div(size)? < 0 {
            return Some(false);
        }
        levels.push(ReadLevel {
            steps: distance / size,
            begin: span.begin,
            end: span.latest_end(),
        });
    }
    let levels = merge_levels(levels);
    Some(are_levels_ordered(&levels) && can_fill_gaps(&levels, &steps))
}

fn merge_levels(mut reads: Vec<ReadLevel>) -> Vec<ReadLevel> {
    reads.sort_unstable_by_key(|read| read.steps);
    let mut levels: Vec<ReadLevel> = Vec::new();
    for read in reads {
        match levels.last_mut().filter(|last| last.steps == read.steps) {
            Some(last) => {
                last.begin = last.begin.max(read.begin);
                last.end = last.end.min(read.end);
            }
            None => levels.push(read),
        }
    }
    levels
}

/// Whether no read ended before another began that saw less.
fn are_levels_ordered(levels: &[ReadLevel]) -> bool {
    let mut begin = 0;
    levels.iter().all(|level| {
        let fits = begin <= level.end;
        begin = begin.max(level.begin);
        fits
    })
}

/// Gap `g` is before level `g`; the last is after all levels.
fn can_fill_gaps(levels: &[ReadLevel], steps: &[Interval]) -> bool {
    // The latest begin of a read before each gap, and the earliest end of one after it; both grow.
    let mut begun = vec![0; levels.len() + 1];
    let mut ended = vec![u64::MAX; levels.len() + 1];
    for (gap, level) in levels.iter().enumerate() {
        begun[gap + 1] = level.begin.max(begun[gap]);
    }
    for (gap, level) in levels.iter().enumerate().rev() {
        ended[gap] = level.end.min(ended[gap + 1]);
    }
    let mut jobs: Vec<(usize, usize, bool)> = Vec::with_capacity(steps.len());
    for step in steps {
        let first = ended.partition_point(|end| *end < step.begin);
        let after = begun.partition_point(|begin| *begin <= step.latest_end());
        if first >= after {
            if step.end.is_some() {
                return false;
            }
            continue;
        }
        jobs.push((first, after - 1, step.end.is_some()));
    }
    jobs.sort_unstable();
    let mut coming = jobs.into_iter().peekable();
    let mut waiting = BinaryHeap::new();
    let mut before = 0;
    for (gap, level) in levels.iter().enumerate() {
        while let Some((_, last, owed)) = coming.next_if(|(first, ..)| *first <= gap) {
            waiting.push(Reverse((last, !owed)));
        }
        for _ in before..level.steps {
            if waiting.pop().is_none() {
                return false;
            }
        }
        before = level.steps;
        while let Some(Reverse((last, optional))) = waiting.peek().copied()
            && last <= gap
        {
            if !optional {
                return false;
            }
            waiting.pop();
        }
    }
    true
}
