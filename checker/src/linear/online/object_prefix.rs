//! Holds what may still matter of one object: its possible states when it was last at rest, the
//! operations since then, and earlier ones of unknown outcome that may still take effect.
//!
//! A prefix is checked as a history of its own in which every open operation may or may not take
//! effect. Each way in which an open operation can end is among these. So a prefix that no order
//! explains is a violation for good, and one that some order explains may continue. Where nothing
//! is open, a walk that keeps everything relevant returns every possible state. If all
//! configurations agree on which operations of unknown outcome have taken effect, then those states
//! and the remaining operations of unknown outcome replace the past, and the past is forgotten.

use std::collections::BTreeMap;

use super::super::engine::{Budget, BudgetExceeded, Stop};
use super::super::partition::{KeyPlacement, ObjectHistory, ObjectOp, parse_operation};
use super::super::search::SearchQuery;
use super::super::{explain, monitor};
use crate::history::{Operation, Value};
use crate::model::Model;

/// Up to this many operations are checked again at every completion; of more, this part must be
/// new.
const ALWAYS_CHECKED: usize = 256;
const MIN_NEW_PART: usize = 16;

/// The memory limit of a walk to a point of rest; a walk that exceeds it only keeps the past.
const REST_POINT_BYTES: usize = 16 << 20;

/// How every object is checked.
#[derive(Clone, Copy)]
pub(super) struct PrefixChecker<'a> {
    pub(super) model: &'a dyn Model,
    pub(super) keys: KeyPlacement,
    pub(super) budget: Budget<'a>,
}

/// The result of checking a prefix.
pub(super) enum PrefixOutcome {
    /// Some order explains it, or it was not checked.
    Explained,
    /// No order explains it; the message names the accused operation.
    Illegal(String),
    /// This budget was exceeded.
    OverBudget(BudgetExceeded),
}

/// One object.
pub(super) struct ObjectPrefix {
    start: Vec<Value>,
    /// Completed operations, in no order: those since the last point of rest, and earlier ones of
    /// unknown outcome.
    completed_ops: Vec<Operation>,
    open: BTreeMap<u64, Operation>,
    /// Completions since the last check.
    unchecked: usize,
    /// The number of completed operations before the next walk to a point of rest.
    next_rest_len: usize,
    /// The approximate memory held.
    pub(super) bytes: usize,
}

impl ObjectPrefix {
    pub(super) fn new(start: Vec<Value>) -> Self {
        let bytes = start.iter().map(Value::approximate_bytes).sum();
        Self {
            start,
            completed_ops: Vec::new(),
            open: BTreeMap::new(),
            unchecked: 0,
            next_rest_len: 0,
            bytes,
        }
    }

    pub(super) fn begin(&mut self, operation: Operation) {
        self.bytes += operation_bytes(&operation);
        self.open.insert(operation.invoked.index, operation);
    }

    /// Completes the operation as `operation` says; an irrelevant one is forgotten.
    pub(super) fn end(&mut self, operation: Operation, counts: bool) {
        let before = self.open.remove(&operation.invoked.index);
        self.bytes -= before.as_ref().map_or(0, operation_bytes);
        self.unchecked += 1;
        if counts {
            self.bytes += operation_bytes(&operation);
            self.completed_ops.push(operation);
        }
    }

    /// Whether a check is due: always while it is cheap, later when enough is new that all checks
    /// together cost a constant number of times the last one.
    pub(super) fn is_check_due(&self) -> bool {
        self.completed_ops.len() <= ALWAYS_CHECKED
            || self.unchecked * MIN_NEW_PART >= self.completed_ops.len()
    }

    /// Checks what is known, and forgets what no longer matters.
    pub(super) fn check_prefix(
        &mut self,
        key: &Option<Value>,
        checker: PrefixChecker<'_>,
    ) -> PrefixOutcome {
        if self.unchecked == 0 {
            return PrefixOutcome::Explained;
        }
        self.unchecked = 0;
        let object = ObjectHistory { key: key.clone(), ops: self.ops(checker) };
        let PrefixChecker { model, budget, .. } = checker;
        let outcome = monitor::outcome(model, &self.start, &object.ops, budget)
            .unwrap_or_else(|| SearchQuery::new(model, &self.start, &object.ops, budget).decide());
        match outcome.answer {
            Err(Stop::Illegal(accused)) => {
                PrefixOutcome::Illegal(explain::describe_accused(&object, accused))
            }
            Err(Stop::OverBudget(why)) => PrefixOutcome::OverBudget(why),
            Ok(()) => {
                if self.open.is_empty() && self.completed_ops.len() >= self.next_rest_len {
                    let rest = self.find_rest_point(checker, &object.ops);
                    self.forget_before_rest(rest);
                }
                PrefixOutcome::Explained
            }
        }
    }

    /// The known operations, in order of invocation. An open operation that the model rejects as it
    /// is can only fail or make the whole history invalid input.
    fn ops(&self, checker: PrefixChecker<'_>) -> Vec<ObjectOp<'_>> {
        let known = self.completed_ops.iter().chain(self.open.values());
        let read =
            known.filter_map(|it| parse_operation(it, checker.model, checker.keys).ok().flatten());
        let mut ops: Vec<ObjectOp<'_>> = read.map(|(_, op)| op).collect();
        ops.sort_by_key(|op| op.invoked);
        ops
    }

    /// The states at a point of rest and the remaining operations of unknown outcome, if all
    /// configurations agree.
    fn find_rest_point(
        &self,
        checker: PrefixChecker<'_>,
        ops: &[ObjectOp<'_>],
    ) -> Option<(Vec<Value>, Vec<u64>)> {
        let memory_bytes = checker.budget.memory_bytes.min(REST_POINT_BYTES);
        let budget = Budget { memory_bytes, ..checker.budget };
        let mut walk = SearchQuery::new(checker.model, &self.start, ops, budget).walk_open_ended();
        while walk.next_event().is_some() {
            walk.advance().ok()?;
        }
        let prefix_states = walk.prefix_states();
        let lost = ops.iter().enumerate().filter(|(_, op)| op.completed.is_none());
        let left = lost.filter(|(place, _)| !prefix_states.certain.contains(place));
        let left = left.map(|(_, op)| op.invoked).collect();
        prefix_states.possible.is_empty().then_some((prefix_states.states, left))
    }

    fn forget_before_rest(&mut self, rest: Option<(Vec<Value>, Vec<u64>)>) {
        if let Some((states, left)) = rest {
            self.start = states;
            self.completed_ops.retain(|operation| left.contains(&operation.invoked.index));
            let states: usize = self.start.iter().map(Value::approximate_bytes).sum();
            self.bytes = states + self.completed_ops.iter().map(operation_bytes).sum::<usize>();
            self.next_rest_len = 0;
        } else if self.completed_ops.len() > MIN_NEW_PART {
            self.next_rest_len = self.completed_ops.len() + self.completed_ops.len() / MIN_NEW_PART;
        }
    }
}

fn operation_bytes(operation: &Operation) -> usize {
    let output = operation.completion.as_ref().map_or(0, |it| it.output.approximate_bytes());
    size_of::<Operation>() + operation.f.len() + operation.input.approximate_bytes() + output
}
