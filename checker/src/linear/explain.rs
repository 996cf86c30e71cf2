//! Describes a violation in words: what a client observed, and why it is impossible.

use std::collections::{BTreeMap, BTreeSet};

use super::partition::{ObjectHistory, ObjectOp};
use crate::history::Value;
use crate::model::{Call, EnabledIn, Model, Response};
use crate::window::{Candidate, describe_call};

/// The most states to look at for what an operation could have led to.
const MAX_STATES: usize = 256;

/// The most operations on an appended state for which all states are explored, because each state
/// is nearly as long as the history.
const MAX_APPENDING_OPS: usize = 32;

/// Explains why the accused operation is impossible.
pub(super) struct Explainer<'a, 'h> {
    model: &'a dyn Model,
    initial: &'a [Value],
    ops: &'a [ObjectOp<'h>],
    accused: usize,
    /// The reachable states, and whether each allows the accused operation.
    reachable: BTreeMap<Value, bool>,
}

impl<'a, 'h> Explainer<'a, 'h> {
    pub(super) fn new(
        model: &'a dyn Model,
        initial: &'a [Value],
        ops: &'a [ObjectOp<'h>],
        accused: usize,
    ) -> Self {
        let answers = |state: Value| {
            let answers = model.step(&state, &ops[accused].call).is_ok();
            (state, answers)
        };
        let reachable = reachable_states(model, initial, ops, &ops[accused].call, |_| false)
            .into_iter()
            .map(answers)
            .collect();
        Self { model, initial, ops, accused, reachable }
    }

    /// Whether this operation leads from some reachable state to one that allows the accused
    /// operation.
    pub(super) fn could_explain(&self, op: &ObjectOp<'_>) -> bool {
        self.reachable.iter().filter(|(_, answers)| !**answers).any(|(state, _)| {
            self.model.step(state, &op.call).is_ok_and(|after| self.allows_accused(&after))
        })
    }

    fn allows_accused(&self, state: &Value) -> bool {
        let asked = || self.model.step(state, &self.ops[self.accused].call).is_ok();
        self.reachable.get(state).copied().unwrap_or_else(asked)
    }

    /// Every state that can follow the order.
    pub(super) fn states_after(&self, order: &[usize]) -> Vec<Value> {
        let mut states: BTreeSet<Value> = self.initial.iter().cloned().collect();
        for op in order {
            let next = states.iter().filter_map(|it| self.model.step(it, &self.ops[*op].call).ok());
            states = next.collect();
        }
        states.into_iter().collect()
    }

    /// The operations that are not in the order, and why each cannot come next.
    pub(super) fn candidates(&self, order: &[usize], after: &[Value]) -> Vec<Candidate> {
        let left = (0..self.ops.len()).filter(|op| !order.contains(op));
        left.map(|op| Candidate { operation: op, reason: self.reject_reason(op, after) }).collect()
    }

    fn reject_reason(&self, op: usize, after: &[Value]) -> String {
        let mut reasons = BTreeSet::new();
        for state in after {
            match self.model.step(state, &self.ops[op].call) {
                Ok(_) => return "it can come next, but leads to no new state".to_owned(),
                Err(why) => reasons.insert(why),
            };
        }
        reasons.into_iter().collect::<Vec<_>>().join("; or ")
    }

    /// The violation in one sentence. `start` is the initial state of the object, perhaps long
    /// before the window.
    pub(super) fn describe(&self, object: &ObjectHistory<'_>, start: &[Value]) -> String {
        let accusation = describe_operation(object, &self.ops[self.accused]);
        if self.is_unreachable(object, start) {
            return format!("{accusation}, but no operation invoked by then leads to that");
        }
        let orders = match self.ops.len() {
            1 => format!("but it could only have been {}", join_states(self.initial)),
            n => format!("no order of these {n} operations explains it"),
        };
        match self.last_write_before() {
            Some(before) => {
                let write = describe_write(object, before);
                let known = format!("{accusation}, but {write} had already completed");
                // Two sequential operations have one order only.
                if self.ops.len() == 2 { known } else { format!("{known}, and {orders}") }
            }
            None if self.ops.len() == 1 => format!("{accusation}, {orders}"),
            None => format!("{accusation}, but {orders}"),
        }
    }

    /// Whether no order of any operations invoked by then leads to the accused response.
    fn is_unreachable(&self, object: &ObjectHistory<'_>, start: &[Value]) -> bool {
        let end = self.ops[self.accused].completed;
        let begun: Vec<ObjectOp<'_>> =
            object.ops.iter().filter(|op| Some(op.invoked) < end).cloned().collect();
        if begun.len() > MAX_APPENDING_OPS
            && begun.iter().any(|op| self.model.only_appends(&op.call))
        {
            return false;
        }
        let accused = &self.ops[self.accused].call;
        let ever = reachable_states(self.model, start, &begun, accused, |state| {
            self.allows_accused(state)
        });
        ever.len() < MAX_STATES && !ever.iter().any(|state| self.allows_accused(state))
    }

    /// The last write that had completed when the accused operation was invoked.
    fn last_write_before(&self) -> Option<&ObjectOp<'h>> {
        let began = self.ops[self.accused].invoked;
        let changes = self.ops.iter().filter(|op| !self.model.is_read(&op.call));
        let before = changes.filter(|op| op.completed.is_some_and(|at| at < began));
        before.max_by_key(|op| op.completed)
    }
}

/// The states that the operations can reach, each applied any number of times: a superset of the
/// truly possible ones. States from which appends can never lead to the accused read are left out.
///
/// Stops at a state that suffices.
fn reachable_states(
    model: &dyn Model,
    initial: &[Value],
    ops: &[ObjectOp<'_>],
    accused: &Call,
    suffices: impl Fn(&Value) -> bool,
) -> BTreeSet<Value> {
    let mut reachable: BTreeSet<Value> = initial.iter().cloned().collect();
    let mut fresh: Vec<Value> = initial.to_vec();
    let calls = ops.iter().map(|op| &*op.call);
    let changes: BTreeSet<&Call> = calls.filter(|call| !model.is_read(call)).collect();
    let regardless = |call: &&Call| {
        model.only_appends(call) || model.static_facts(call).enabled_in == EnabledIn::EveryState
    };
    let only_grows = changes.iter().all(regardless);
    while let Some(state) = fresh.pop() {
        for call in &changes {
            if reachable.len() >= MAX_STATES {
                return reachable;
            }
            if let Ok(next) = model.step(&state, call)
                && !(only_grows && model.can_never_hold(&next, accused))
                && reachable.insert(next.clone())
            {
                if suffices(&next) {
                    return reachable;
                }
                fresh.push(next);
            }
        }
    }
    reachable
}

/// The violation without a window.
pub(super) fn describe_accused(object: &ObjectHistory<'_>, accused: usize) -> String {
    let accusation = describe_operation(object, &object.ops[accused]);
    format!("{accusation}, which no order of the operations until then explains")
}

fn describe_operation(object: &ObjectHistory<'_>, op: &ObjectOp<'_>) -> String {
    let key = object.key.as_ref().map_or_else(String::new, |key| format!("key {key}: "));
    let (actor, node) = (op.operation.actor(), &op.operation.node);
    let from = node.as_ref().map_or_else(String::new, |node| format!(" from {node}"));
    let by = node.as_ref().map_or_else(String::new, |node| format!(" by {node}"));
    let (f, input) = (&op.call.f, &op.call.input);
    match &op.call.response {
        Response::Output(output) if matches!(f.as_str(), "read" | "get") => {
            format!("{key}{actor} read {}{from}", strip_key(object, output))
        }
        Response::Mismatch if matches!(f.as_str(), "dequeue" | "pop") => {
            format!("{key}{actor} was told{by} that there was nothing to {f}")
        }
        Response::Output(Value::Nil) if matches!(f.as_str(), "dequeue" | "pop") => {
            format!("{key}{actor} was told{by} that there was nothing to {f}")
        }
        Response::Output(output) if matches!(f.as_str(), "dequeue" | "pop") => {
            let took = if f == "pop" { "popped" } else { "dequeued" };
            format!("{key}{actor} {took} {}{from}", strip_key(object, output))
        }
        Response::Mismatch => {
            let old = strip_key(object, input).as_pair().map_or(input, |(old, _)| old).clone();
            format!("{key}{actor} was told{by} that the value was not {old}")
        }
        Response::Output(_) | Response::Unknown => {
            let call = describe_call(f, strip_key(object, input));
            format!("{key}{actor} was told{by} that {call} succeeded")
        }
    }
}

/// The value without the key, which the sentence names elsewhere.
fn strip_key<'v>(object: &ObjectHistory<'_>, value: &'v Value) -> &'v Value {
    match (&object.key, value.as_pair()) {
        (Some(key), Some((first, rest))) if first == key => rest,
        _ => value,
    }
}

/// A write as the subject of a clause.
fn describe_write(object: &ObjectHistory<'_>, op: &ObjectOp<'_>) -> String {
    let call = describe_call(&op.call.f, strip_key(object, &op.call.input));
    format!("{call} by {}", op.operation.actor())
}

fn join_states(states: &[Value]) -> String {
    states.iter().map(Value::to_string).collect::<Vec<_>>().join(" or ")
}
