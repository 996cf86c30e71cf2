//! Decides counters whose adds are all equal.
//!
//! A read tells how many adds precede it. So reads of different values are ordered by value, and
//! the gap between two values holds as many adds as they differ by. An add fits into a gap iff it
//! ends after every read before the gap has begun, and begins before any read after the gap has
//! ended. The later its end, the later its last gap; the later its begin, the later its first gap.
//! So the gaps of an add are an interval, and an add that ends before another begins has both
//! bounds no later. Two adds in the wrong order can be exchanged, so every way to fill the gaps
//! gives a legal order. Gaps are filled from the front, earliest deadline first, which is optimal
//! for unit jobs. An add that certainly took effect and is left over when its last gap is filled
//! has no place. After the last read there is room for all.
//!
//! An add of unknown outcome fits into any of its gaps, or nowhere. Reads of one value need only
//! agree with those of other values; among themselves, and with the adds of one gap, any order that
//! respects real time is legal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::view::{OpInterval, PrefixView};
use crate::history::Value;
use crate::model::Response;

/// The reads of one value: the number of adds before them, their latest begin and earliest end.
#[derive(Clone, Copy)]
struct ReadLevel {
    steps: i64,
    begin: u64,
    end: u64,
}

/// Whether the operations are legal; undecided with different adds.
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
    // Sums beyond 64 bits are left to the model.
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

/// Whether no read ended before one of a smaller value began.
fn are_levels_ordered(levels: &[ReadLevel]) -> bool {
    let mut begin = 0;
    levels.iter().all(|level| {
        let fits = begin <= level.end;
        begin = begin.max(level.begin);
        fits
    })
}

/// Gap `g` precedes level `g`; the last gap follows all levels.
fn can_fill_gaps(levels: &[ReadLevel], steps: &[OpInterval]) -> bool {
    // The latest begin of a read before each gap, and the earliest end of one after it; both
    // increase.
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
