//! Decides stacks of distinct values, by taking histories apart.
//!
//! Published conditions for stacks were wrong, so this one is proved here. Give every value that is
//! never popped a pop after everything else, all such pops at once: the original is legal iff this
//! history is. A legal order restricted to some values is legal (R), because the rest is nested as
//! before.
//!
//! - *Cut.* If everything of some values may come before everything of the others, the whole is
//!   legal iff both parts are. One after the other is an order; the parts are legal by (R).
//! - *Strip.* If a value's push may come before everything and its pop after everything, the whole
//!   is legal iff it is without that value. Wrapped around the rest it is an order; the rest is
//!   legal by (R).
//! - *Stuck.* A legal order of several values is either a sequence, so it can be cut, or one value
//!   around the others, so that one can be stripped. So what can be neither cut nor stripped is
//!   illegal.
//!
//! Cuts lie where no value's zone is, from its earliest end to its latest begin. An empty response
//! is a cut, so it needs such a moment among all values, and is then no further constraint.
//!
//! Each level costs its size, and there are at most as many levels as the stack is deep.

use super::queue::{QueueHistory, ValueLifetime};
use super::view::{NEVER, PrefixView};

/// The end of a push that took effect and has no known end; the begin and the end of the added
/// pops.
const LAST: u64 = NEVER - 3;
const ADDED: u64 = NEVER - 2;
const CLOSED: u64 = NEVER - 1;

/// The number of values to visit before the search is the better choice.
const MAX_WORK: usize = 200_000_000;

#[derive(Clone, Copy)]
struct StackItem {
    push: (u64, u64),
    pop: (u64, u64),
}

impl StackItem {
    /// A pop that need not take effect may also be one of those added.
    fn new(passage: &ValueLifetime) -> Self {
        let pop = match passage.take {
            Some(take) => (take.begin, take.end.unwrap_or(CLOSED)),
            None => (ADDED, CLOSED),
        };
        Self { push: (passage.put.begin, passage.put.end.unwrap_or(LAST)), pop }
    }

    fn first_end(&self) -> u64 {
        self.push.1.min(self.pop.1)
    }

    fn last_begin(&self) -> u64 {
        self.push.0.max(self.pop.0)
    }
}

/// Whether the history is that of a stack.
pub(super) fn is_legal(view: &PrefixView<'_>) -> Option<bool> {
    QueueHistory::new(view, "push")?.decide(|queue| {
        let mut items: Vec<StackItem> = queue.lifetimes.iter().map(StackItem::new).collect();
        items.sort_unstable_by_key(StackItem::first_end);
        let zones = items.iter().map(|it| (it.first_end(), it.last_begin())).collect();
        if queue.can_place_empty_answers(zones) { is_nested(items) } else { Some(false) }
    })
}

/// Takes items apart; they are given in order of their first ends.
fn is_nested(items: Vec<StackItem>) -> Option<bool> {
    let mut work = 0;
    let mut parts = vec![items];
    while let Some(part) = parts.pop() {
        work += part.len();
        if work > MAX_WORK {
            return None;
        }
        let whole = part.len();
        let rest = strip_outermost(part);
        let stripped = rest.len() < whole;
        let pieces = cut_apart(rest);
        if !stripped && pieces.len() == 1 {
            return Some(false);
        }
        parts.extend(pieces);
    }
    Some(true)
}

/// Removes each value that can enclose all others.
fn strip_outermost(mut part: Vec<StackItem>) -> Vec<StackItem> {
    let first_end = part.iter().map(StackItem::first_end).min().unwrap_or(NEVER);
    let last_begin = part.iter().map(StackItem::last_begin).max().unwrap_or(0);
    part.retain(|it| it.push.0 > first_end || it.pop.1 < last_begin);
    part
}

/// Cuts wherever no zone is. An item without a zone goes with the first part that it can.
fn cut_apart(part: Vec<StackItem>) -> Vec<Vec<StackItem>> {
    let forward = |it: &StackItem| it.first_end() < it.last_begin();
    let mut pieces: Vec<(u64, Vec<StackItem>)> = Vec::new();
    for item in part.iter().copied().filter(forward) {
        match pieces.last_mut() {
            Some((until, piece)) if item.first_end() < *until => {
                *until = item.last_begin().max(*until);
                piece.push(item);
            }
            _ => pieces.push((item.last_begin(), vec![item])),
        }
    }
    let mut cut = Vec::new();
    let ends: Vec<(u64, u64)> =
        pieces.iter().map(|(until, it)| (it[0].first_end(), *until)).collect();
    for item in part.into_iter().filter(|it| !forward(it)) {
        let before = ends.partition_point(|(from, _)| *from < item.last_begin());
        match before.checked_sub(1) {
            Some(place) if ends[place].1 > item.first_end() => pieces[place].1.push(item),
            _ => cut.push(vec![item]),
        }
    }
    for (_, mut piece) in pieces {
        piece.sort_by_key(StackItem::first_end);
        cut.push(piece);
    }
    cut
}
