//! Holds of one object what may still matter: the states it may have been in when nobody was at
//! work, what has happened since, and what was lost before and may yet happen.
//!
//! A prefix is judged as a history of its own in which every open operation may or may not happen.
//! Each way in which an open operation can end is among those, so a prefix that nothing explains
//! convicts for good; and no outcome is guessed, so one that is explained may go on. Where nothing
//! is open, a walk that knows no end tells every state the object can be in; if all of them agree
//! on which lost operations have happened, those states and the other lost operations are as good
//! as the past, and the past is forgotten.

use std::collections::BTreeMap;

use super::super::engine::{Budget, Spent, Stop};
use super::super::partition::{Keys, Object, Op, read};
use super::super::search::Question;
use super::super::{explain, monitor};
use crate::history::{Operation, Value};
use crate::model::Model;

/// So many operations are judged again at every completion; of more, a part must be new.
const EAGER: usize = 256;
const NEW_PART: usize = 16;

/// The most that a walk to a point of rest may take; one that fails for it only keeps the past.
const REST_BYTES: usize = 16 << 20;

/// How judging is done, the same for every object.
#[derive(Clone, Copy)]
pub(super) struct Court<'a> {
    pub(super) model: &'a dyn Model,
    pub(super) keys: Keys,
    pub(super) budget: Budget<'a>,
}

/// What a look at an object said.
pub(super) enum Seen {
    /// Some order explains it, or nobody looked.
    Fine,
    /// Nothing explains it, and this is what is accused.
    Illegal(String),
    /// The budget is spent, and on what.
    Spent(Spent),
}

/// One object.
pub(super) struct Ledger {
    start: Vec<Value>,
    /// What is over, in no order: since the last point of rest, and lost before.
    over: Vec<Operation>,
    open: BTreeMap<u64, Operation>,
    /// Completions since anyone looked.
    unjudged: usize,
    /// Operations that must be over before another walk to a point of rest.
    rest_at: usize,
    /// What is held, roughly.
    pub(super) bytes: usize,
}

impl Ledger {
    pub(super) fn new(start: Vec<Value>) -> Self {
        let bytes = start.iter().map(Value::weight).sum();
        Self { start, over: Vec::new(), open: BTreeMap::new(), unjudged: 0, rest_at: 0, bytes }
    }

    pub(super) fn begin(&mut self, operation: Operation) {
        self.bytes += weight(&operation);
        self.open.insert(operation.invoked.index, operation);
    }

    /// The operation invoked there is over, as `operation` says; if it had no say, it is forgotten.
    pub(super) fn end(&mut self, operation: Operation, counts: bool) {
        let before = self.open.remove(&operation.invoked.index);
        self.bytes -= before.as_ref().map_or(0, weight);
        self.unjudged += 1;
        if counts {
            self.bytes += weight(&operation);
            self.over.push(operation);
        }
    }

    /// Whether the time has come to look: at once while that is cheap, and later when so much is
    /// new that looking takes no more than a constant number of times what looking once takes.
    pub(super) fn is_due(&self) -> bool {
        self.over.len() <= EAGER || self.unjudged * NEW_PART >= self.over.len()
    }

    /// Judges what is known, and forgets what no longer matters.
    pub(super) fn look(&mut self, key: &Option<Value>, court: Court<'_>) -> Seen {
        if self.unjudged == 0 {
            return Seen::Fine;
        }
        self.unjudged = 0;
        let object = Object { key: key.clone(), ops: self.ops(court) };
        let Court { model, budget, .. } = court;
        let outcome = monitor::outcome(model, &self.start, &object.ops, budget)
            .unwrap_or_else(|| Question::new(model, &self.start, &object.ops, budget).decide());
        match outcome.answer {
            Err(Stop::Illegal(accused)) => Seen::Illegal(explain::accusation(&object, accused)),
            Err(Stop::Spent(why)) => Seen::Spent(why),
            Ok(()) => {
                if self.open.is_empty() && self.over.len() >= self.rest_at {
                    let rest = self.rest(court, &object.ops);
                    self.settle(rest);
                }
                Seen::Fine
            }
        }
    }

    /// What is known, in order of invocation. An open operation that means nothing as it stands can
    /// only fail or make the whole history meaningless.
    fn ops(&self, court: Court<'_>) -> Vec<Op<'_>> {
        let known = self.over.iter().chain(self.open.values());
        let read = known.filter_map(|it| read(it, court.model, court.keys).ok().flatten());
        let mut ops: Vec<Op<'_>> = read.map(|(_, op)| op).collect();
        ops.sort_by_key(|op| op.invoked);
        ops
    }

    /// The states at a point of rest and the lost operations that have not happened, if all agree.
    fn rest(&self, court: Court<'_>, ops: &[Op<'_>]) -> Option<(Vec<Value>, Vec<u64>)> {
        let memory_bytes = court.budget.memory_bytes.min(REST_BYTES);
        let budget = Budget { memory_bytes, ..court.budget };
        let mut walk = Question::new(court.model, &self.start, ops, budget).walk_on();
        while walk.next().is_some() {
            walk.advance().ok()?;
        }
        let standing = walk.standing();
        let lost = ops.iter().enumerate().filter(|(_, op)| op.completed.is_none());
        let left = lost.filter(|(place, _)| !standing.always.contains(place));
        let left = left.map(|(_, op)| op.invoked).collect();
        standing.sometimes.is_empty().then_some((standing.states, left))
    }

    fn settle(&mut self, rest: Option<(Vec<Value>, Vec<u64>)>) {
        if let Some((states, left)) = rest {
            self.start = states;
            self.over.retain(|operation| left.contains(&operation.invoked.index));
            let states: usize = self.start.iter().map(Value::weight).sum();
            self.bytes = states + self.over.iter().map(weight).sum::<usize>();
            self.rest_at = 0;
        } else if self.over.len() > NEW_PART {
            self.rest_at = self.over.len() + self.over.len() / NEW_PART;
        }
    }
}

fn weight(operation: &Operation) -> usize {
    let output = operation.completion.as_ref().map_or(0, |it| it.output.weight());
    size_of::<Operation>() + operation.f.len() + operation.input.weight() + output
}
