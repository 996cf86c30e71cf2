//! Decides some histories in near n log n without a search: those with distinct written values,
//! equal adds, alternating lock holders, or states that are only appended to.
//!
//! A monitor answers exactly or declines. It declines repeated values in most cases, other initial
//! states, functions without a rule, and a violation that an operation of unknown outcome could
//! resolve. The accused operation is found by bisection: the shortest prefix, by completions, that
//! is illegal. An operation that is open at the cut keeps its later response but need not take
//! effect, as in the search, so both accuse the same operation.

mod append_monitor;
mod counter;
mod lock;
mod queue;
mod register;
mod set;
mod stack;
mod view;
mod zones;

use self::view::{NEVER, PrefixView};
use super::breadth::PrefixStates;
use super::engine::{Budget, Stop};
use super::partition::ObjectOp;
use super::search::OrderOutcome;
use crate::history::Value;
use crate::model::Model;
use crate::verdict::Algorithm;

/// Whether a prefix of a history is legal; `None` if the monitor declines.
type Monitor = fn(&PrefixView<'_>) -> Option<bool>;

const MONITORS: &[(&str, Monitor)] = &[
    ("append-list", append_monitor::is_list_legal),
    ("cas-register", register::is_legal),
    ("counter", counter::is_legal),
    ("fifo-queue", queue::is_fifo_legal),
    ("kv", append_monitor::is_text_legal),
    ("lock", lock::is_legal),
    ("register", register::is_legal),
    ("set", set::is_legal),
    ("stack", stack::is_legal),
    ("unordered-queue", queue::is_unordered_legal),
];

/// Memory for each write, and for each read, at most.
const WRITE_BYTES: usize = 256;
const READ_BYTES: usize = 128;

/// The answer that a search would give, if a monitor applies and the budget allows it.
pub(super) fn outcome(
    model: &dyn Model,
    initial: &[Value],
    ops: &[ObjectOp<'_>],
    budget: Budget<'_>,
) -> Option<OrderOutcome> {
    let bytes = |op: &ObjectOp<'_>| if model.is_read(&op.call) { READ_BYTES } else { WRITE_BYTES };
    if (budget.expired)() || ops.iter().map(bytes).sum::<usize>() > budget.memory_bytes {
        return None;
    }
    let answer = decide(model, initial, ops)?.map_err(Stop::Illegal);
    let explained = if answer.is_ok() { ops.len() } else { 0 };
    let algorithm = Algorithm::Monitor;
    Some(OrderOutcome { answer, explored: 0, algorithm, explained, order: Vec::new() })
}

/// Whether the operations are legal, or the first completion that no order explains. `None` if no
/// monitor applies.
fn decide(model: &dyn Model, initial: &[Value], ops: &[ObjectOp<'_>]) -> Option<Result<(), usize>> {
    let [start] = initial else { return None };
    let (_, legal) = MONITORS.iter().find(|(name, _)| *name == model.name())?;
    let fresh = *start == model.initial();
    let view = |cut| PrefixView { model: model.name(), ops, start, fresh, cut };
    if legal(&view(NEVER))? {
        return Some(Ok(()));
    }
    let mut ends: Vec<(u64, usize)> =
        ops.iter().enumerate().filter_map(|(place, op)| Some((op.completed?, place))).collect();
    ends.sort_unstable();
    let (mut legal_until, mut illegal_at) = (0, ends.len().checked_sub(1)?);
    while legal_until < illegal_at {
        let middle = usize::midpoint(legal_until, illegal_at);
        if legal(&view(ends[middle].0))? {
            legal_until = middle + 1;
        } else {
            illegal_at = middle;
        }
    }
    Some(Err(ends[illegal_at].1))
}

/// Whether operations from one of these states are legal; `None` if a monitor declines any of the
/// states.
pub(super) fn are_legal(
    model: &dyn Model,
    initial: &[Value],
    ops: &[ObjectOp<'_>],
) -> Option<bool> {
    let (_, legal) = MONITORS.iter().find(|(name, _)| *name == model.name())?;
    let mut any = false;
    for start in initial {
        let fresh = *start == model.initial();
        any |= legal(&PrefixView { model: model.name(), ops, start, fresh, cut: NEVER })?;
    }
    Some(any)
}

/// What is known before each of some moments of a legal history; `None` if no monitor applies.
pub(super) fn prefix_states_before(
    model: &dyn Model,
    initial: &[Value],
    ops: &[ObjectOp<'_>],
    moments: &[u64],
) -> Option<Vec<(u64, PrefixStates)>> {
    let [start] = initial else { return None };
    let fresh = *start == model.initial();
    append_monitor::prefix_states_before(
        &PrefixView { model: model.name(), ops, start, fresh, cut: NEVER },
        moments,
    )
}

#[cfg(test)]
mod tests;
