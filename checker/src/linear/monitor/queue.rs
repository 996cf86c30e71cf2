//! Decides queues of distinct values.
//!
//! The history of a first-in-first-out queue is legal iff it has none of these violations
//! (Henzinger, Sezgin and Vafeiadis, CONCUR 2013):
//!
//! - A value is taken that was not put, or before its put, or twice.
//! - Of two values put one after the other, the second is taken before the take of the first
//!   begins, or the first is never taken. An unordered queue may do this.
//! - An empty response has a value certainly present at every moment: put, and its take not begun.
//!   (At a moment without such a value, each value can be placed wholly before or wholly after.)
//!
//! A put of unknown outcome that was never taken is left out, because removing it from a legal
//! order leaves a legal order. A take that need not take effect, but has a known value, never ends.
//! Takes of unknown value are left out; only a positive answer survives that.

use rustc_hash::FxHashMap;

use super::view::{NEVER, OpInterval, PrefixView};
use crate::history::Value;
use crate::model::Response;

/// The put and the take of a value.
#[derive(Clone, Copy)]
pub(super) struct ValueLifetime {
    pub(super) put: OpInterval,
    pub(super) take: Option<OpInterval>,
}

/// The values and the empty responses of a prefix of a history.
pub(super) struct QueueHistory {
    pub(super) lifetimes: Vec<ValueLifetime>,
    pub(super) empty: Vec<(u64, u64)>,
    /// Whether a violation is known already.
    pub(super) is_illegal: bool,
    /// Whether some take has an unknown value.
    pub(super) has_unknown_take: bool,
}

impl QueueHistory {
    /// `None` if values are not distinct.
    pub(super) fn new(view: &PrefixView<'_>, put: &str) -> Option<Self> {
        let mut places: FxHashMap<&Value, usize> = FxHashMap::default();
        let mut all = Self {
            lifetimes: Vec::new(),
            empty: Vec::new(),
            is_illegal: false,
            has_unknown_take: false,
        };
        for (op, span) in view.ops().filter(|(op, _)| op.call.f == put) {
            if places.insert(&op.call.input, all.lifetimes.len()).is_some() {
                return None;
            }
            all.lifetimes.push(ValueLifetime { put: span, take: None });
        }
        for (op, span) in view.ops().filter(|(op, _)| op.call.f != put) {
            match &op.call.response {
                Response::Unknown => all.has_unknown_take = true,
                Response::Mismatch | Response::Output(Value::Nil) => {
                    all.empty.extend(span.end.map(|end| (span.begin, end)));
                }
                Response::Output(value) => all.record_take(places.get(value), span),
            }
        }
        all.lifetimes
            .retain(|it| it.put.end.is_some() || it.take.is_some_and(|take| take.end.is_some()));
        all.is_illegal |= all
            .lifetimes
            .iter()
            .any(|it| it.take.is_some_and(|take| take.latest_end() < it.put.begin));
        view.fresh.then_some(all)
    }

    fn record_take(&mut self, place: Option<&usize>, span: OpInterval) {
        let Some(place) = place else {
            self.is_illegal |= span.end.is_some();
            return;
        };
        let take = &mut self.lifetimes[*place].take;
        match take {
            Some(OpInterval { end: Some(_), .. }) => self.is_illegal |= span.end.is_some(),
            Some(_) if span.end.is_none() => {}
            _ => *take = Some(span),
        }
    }

    /// The answer, unless takes of unknown value could change it.
    pub(super) fn decide(&self, legal: impl Fn(&Self) -> Option<bool>) -> Option<bool> {
        let legal = !self.is_illegal && legal(self)?;
        if self.has_unknown_take && !legal { None } else { Some(legal) }
    }

    /// Whether each empty response has a moment outside of these intervals, which are given in
    /// order.
    pub(super) fn can_place_empty_answers(&self, mut stretches: Vec<(u64, u64)>) -> bool {
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

/// Whether the history is that of a first-in-first-out queue.
pub(super) fn is_fifo_legal(view: &PrefixView<'_>) -> Option<bool> {
    QueueHistory::new(view, "enqueue")?
        .decide(|it| Some(is_fifo_ordered(it) && has_empty_moments(it)))
}

/// Whether the history is that of an unordered queue.
pub(super) fn is_unordered_legal(view: &PrefixView<'_>) -> Option<bool> {
    QueueHistory::new(view, "enqueue")?.decide(|it| Some(has_empty_moments(it)))
}

fn has_empty_moments(queue: &QueueHistory) -> bool {
    let there =
        |it: &ValueLifetime| (it.put.latest_end(), it.take.map_or(NEVER, |take| take.begin));
    queue.can_place_empty_answers(queue.lifetimes.iter().map(there).collect())
}

/// Visits values in order of their puts' begins, and keeps the latest take of the values put
/// before.
fn is_fifo_ordered(queue: &QueueHistory) -> bool {
    let mut by_begin = queue.lifetimes.clone();
    let mut by_end = queue.lifetimes.clone();
    by_begin.sort_unstable_by_key(|it| it.put.begin);
    by_end.sort_unstable_by_key(|it| it.put.latest_end());
    let mut earlier = by_end.iter().peekable();
    let mut latest = 0;
    by_begin.iter().all(|second| {
        while let Some(first) = earlier.next_if(|it| it.put.latest_end() < second.put.begin) {
            latest = latest.max(first.take.map_or(NEVER, |take| take.begin));
        }
        second.take.is_none_or(|take| take.latest_end() >= latest)
    })
}
