//! Decides queues of distinct values.
//!
//! A first-in-first-out queue's history is legal iff none of these is in it (Henzinger, Sezgin and
//! Vafeiadis, CONCUR 2013): a value taken out that was not put in, or before it was, or twice; two
//! values put in one after the other of which the second was taken out before the first was
//! begun to be, or the first never was; and an empty answer at every moment of which some value was
//! there for certain: put in, and not begun to be taken out. (At a moment at which none was, each
//! value can be placed wholly before or wholly after.) An unordered queue may do the second.
//!
//! A put of unknown outcome that was never taken out is left out: removing it from a legal order
//! leaves one. A take that need not have happened, but with a known value, is one that ends never.
//! Takes of unknown value are left out, which only a Yes survives.

use rustc_hash::FxHashMap;

use super::view::{NEVER, Span, View};
use crate::history::Value;
use crate::model::Seen;

/// A value's way through.
#[derive(Clone, Copy)]
pub(super) struct Passage {
    pub(super) put: Span,
    pub(super) take: Option<Span>,
}

/// The values and the empty answers of a part of a history.
pub(super) struct Traffic {
    pub(super) passages: Vec<Passage>,
    pub(super) empty: Vec<(u64, u64)>,
    /// What is wrong already.
    pub(super) broken: bool,
    /// Whether some take is of unknown value.
    pub(super) lost: bool,
}

impl Traffic {
    /// Nothing if values are not distinct.
    pub(super) fn new(view: &View<'_>, put: &str) -> Option<Self> {
        let mut places: FxHashMap<&Value, usize> = FxHashMap::default();
        let mut all = Self { passages: Vec::new(), empty: Vec::new(), broken: false, lost: false };
        for (op, span) in view.ops().filter(|(op, _)| op.call.f == put) {
            if places.insert(&op.call.input, all.passages.len()).is_some() {
                return None;
            }
            all.passages.push(Passage { put: span, take: None });
        }
        for (op, span) in view.ops().filter(|(op, _)| op.call.f != put) {
            match &op.call.seen {
                Seen::Nothing => all.lost = true,
                Seen::Mismatch | Seen::Output(Value::Nil) => {
                    all.empty.extend(span.end.map(|end| (span.begin, end)));
                }
                Seen::Output(value) => all.take(places.get(value), span),
            }
        }
        all.passages
            .retain(|it| it.put.end.is_some() || it.take.is_some_and(|take| take.end.is_some()));
        all.broken |=
            all.passages.iter().any(|it| it.take.is_some_and(|take| take.last() < it.put.begin));
        view.fresh.then_some(all)
    }

    fn take(&mut self, place: Option<&usize>, span: Span) {
        let Some(place) = place else {
            self.broken |= span.end.is_some();
            return;
        };
        let take = &mut self.passages[*place].take;
        match take {
            Some(Span { end: Some(_), .. }) => self.broken |= span.end.is_some(),
            Some(_) if span.end.is_none() => {}
            _ => *take = Some(span),
        }
    }

    /// The answer, unless takes of unknown value could change it.
    pub(super) fn conclude(&self, legal: impl Fn(&Self) -> Option<bool>) -> Option<bool> {
        let legal = !self.broken && legal(self)?;
        if self.lost && !legal { None } else { Some(legal) }
    }

    /// Whether each empty answer has a moment outside of these stretches, given in order.
    pub(super) fn empty_answers_fit(&self, mut stretches: Vec<(u64, u64)>) -> bool {
        stretches.retain(|(from, to)| from < to);
        stretches.sort_unstable();
        let mut merged: Vec<(u64, u64)> = Vec::new();
        for (from, to) in stretches {
            match merged.last_mut() {
                Some(last) if from < last.1 => last.1 = last.1.max(to),
                _ => merged.push((from, to)),
            }
        }
        self.empty.iter().all(|(begin, end)| {
            let before = merged.partition_point(|(from, _)| from <= begin);
            before == 0 || merged[before - 1].1 < *end
        })
    }
}

/// Whether a first-in-first-out queue explains it.
pub(super) fn fifo(view: &View<'_>) -> Option<bool> {
    Traffic::new(view, "enqueue")?.conclude(|it| Some(in_order(it) && never_hidden(it)))
}

/// Whether an unordered queue explains it.
pub(super) fn unordered(view: &View<'_>) -> Option<bool> {
    Traffic::new(view, "enqueue")?.conclude(|it| Some(never_hidden(it)))
}

fn never_hidden(traffic: &Traffic) -> bool {
    let there = |it: &Passage| (it.put.last(), it.take.map_or(NEVER, |take| take.begin));
    traffic.empty_answers_fit(traffic.passages.iter().map(there).collect())
}

/// Walks values as they begin to be put in, and keeps the latest take of those put in before.
fn in_order(traffic: &Traffic) -> bool {
    let mut by_begin = traffic.passages.clone();
    let mut by_end = traffic.passages.clone();
    by_begin.sort_unstable_by_key(|it| it.put.begin);
    by_end.sort_unstable_by_key(|it| it.put.last());
    let mut earlier = by_end.iter().peekable();
    let mut latest = 0;
    by_begin.iter().all(|second| {
        while let Some(first) = earlier.next_if(|it| it.put.last() < second.put.begin) {
            latest = latest.max(first.take.map_or(NEVER, |take| take.begin));
        }
        second.take.is_none_or(|take| take.last() >= latest)
    })
}
