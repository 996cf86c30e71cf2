//! Checks that a queue delivers each element to one client, loses none and invents none.
//!
//! An element is lost if its enqueue was acknowledged, no client received it, and a drain, or a
//! dequeue that found the queue empty, began afterwards. An indeterminate dequeue may have removed
//! one element, an indeterminate drain any number, so a loss is proved only if more elements are
//! missing than those can have removed.

use rustc_hash::FxHashMap;
use std::collections::VecDeque;

use super::op::{ObjectOps, Op, abbreviate, key_suffix, split_by_key};
use super::verdict_builder::{AnomalyCase, VerdictBuilder, unsupported_history};
use crate::history::{History, Kind, Value};
use crate::verdict::{Check, Limits, Verdict};

/// How often an element is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// At least once; duplicates are measured but not an anomaly.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

/// Jepsen's total-queue, or a queue that forbids duplicates, too.
pub(crate) struct Queue(pub(crate) Delivery);

impl Check for Queue {
    fn name(&self) -> &'static str {
        match self.0 {
            Delivery::AtLeastOnce => "total-queue",
            Delivery::ExactlyOnce => "queue",
        }
    }

    fn doc(&self) -> &'static str {
        match self.0 {
            Delivery::AtLeastOnce => {
                "every enqueued element is dequeued or drained at least once by the end, and no \
                 other element is (Jepsen's total-queue)"
            }
            Delivery::ExactlyOnce => {
                "every enqueued element is dequeued or drained once by the end, in any order, and \
                 no other element is"
            }
        }
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        check_history(self, history, limits)
            .unwrap_or_else(|why| unsupported_history(self.name(), why))
    }
}

fn check_history(check: &Queue, history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut builder = VerdictBuilder::new(check.name(), &["lost", "unexpected", "duplicated"]);
    for object in split_by_key(history, limits.keyed)? {
        let before = builder.case_count();
        let queue = QueueOps::of(&object)?;
        queue.check_deliveries(check.0, &mut builder);
        queue.check_losses(&mut builder);
        builder.finish_object(object.ops.len(), before);
    }
    let operations = builder.stats.operations;
    Ok(builder
        .build(&format!("no element was lost, invented or duplicated in {operations} operations")))
}

/// The enqueues and deliveries of a queue.
struct QueueOps<'o, 'h> {
    key: Option<&'h Value>,
    enqueues: Vec<&'o Op<'h>>,
    /// The delivered elements with the operations that received them, in order of completion.
    given: Vec<(&'h Value, &'o Op<'h>)>,
    /// The last-invoked operation that found the queue empty.
    emptied: Option<&'o Op<'h>>,
    /// The number of elements that indeterminate operations may have removed.
    unknown_takes: usize,
}

impl<'o, 'h> QueueOps<'o, 'h> {
    fn of(object: &'o ObjectOps<'h>) -> Result<Self, String> {
        let mut traffic = Self {
            key: object.key,
            enqueues: Vec::new(),
            given: Vec::new(),
            emptied: None,
            unknown_takes: 0,
        };
        object.ops.iter().try_for_each(|op| traffic.add(op))?;
        traffic.given.sort_by_key(|(_, op)| op.end);
        Ok(traffic)
    }

    fn add(&mut self, op: &'o Op<'h>) -> Result<(), String> {
        match (op.f, op.output, op.kind) {
            ("enqueue", ..) if *op.input == Value::Nil => {
                return Err(op.invalid_input("it has no element"));
            }
            ("enqueue", ..) => self.enqueues.push(op),
            ("dequeue", Some(Value::Nil), _) => self.emptied = Some(op),
            ("dequeue", Some(element), _) => self.given.push((element, op)),
            ("dequeue", None, Kind::Fail) if found_empty(op) => self.emptied = Some(op),
            ("drain", Some(Value::List(elements)), _) => {
                self.given.extend(elements.iter().map(|element| (element, op)));
                self.emptied = Some(op);
            }
            ("drain", Some(other), _) => {
                return Err(
                    op.invalid_output(&format!("expected a list, got {}", abbreviate(other)))
                );
            }
            ("dequeue" | "drain", None, Kind::Fail) => {}
            ("dequeue", ..) => self.unknown_takes = self.unknown_takes.saturating_add(1),
            ("drain", ..) => self.unknown_takes = usize::MAX,
            _ => return Err(op.unknown_function("dequeue, drain, enqueue")),
        }
        Ok(())
    }

    /// Checks that deliveries are of enqueued elements, and that none is a duplicate.
    fn check_deliveries(&self, delivery: Delivery, builder: &mut VerdictBuilder) {
        let mut puts: FxHashMap<&Value, Vec<&Op<'_>>> = FxHashMap::default();
        for op in self.enqueues.iter().filter(|op| op.may_have_happened()) {
            puts.entry(op.input).or_default().push(op);
        }
        let mut taken: FxHashMap<&Value, Vec<&Op<'_>>> = FxHashMap::default();
        for (element, op) in &self.given {
            let earlier = taken.entry(element).or_default();
            let put = puts.get(element).map_or(&[][..], Vec::as_slice);
            let possible = put.partition_point(|put| put.begin < op.end);
            if possible == 0 {
                builder.add_case("unexpected", || self.unexpected_case(element, op));
            } else if earlier.len() >= possible {
                builder.add_to_measure("repeated", 1);
                if delivery == Delivery::ExactlyOnce {
                    builder.add_case("duplicated", || self.duplicate_case(element, earlier, op));
                }
            } else if put[earlier.len()].output.is_none() {
                builder.add_to_measure("recovered", 1);
            }
            earlier.push(op);
        }
    }

    fn check_losses(&self, builder: &mut VerdictBuilder) {
        let acknowledged = self.enqueues.iter().filter(|op| op.output.is_some()).copied();
        let provable = |op: &&Op<'_>| self.emptied.is_some_and(|emptied| emptied.begin > op.end);
        let lost = self.unmatched_enqueues(acknowledged.clone().filter(provable));
        let missing = self.unmatched_enqueues(acknowledged).len();
        builder.add_to_measure("outstanding", missing);
        if let (Some(op), Some(emptied)) = (lost.first(), self.emptied) {
            for _ in self.unknown_takes..lost.len() {
                builder.add_case("lost", || self.lost_case(op, emptied, lost.len()));
            }
        }
        if lost.len() < missing {
            let (rest, key) = (missing - lost.len(), key_suffix(self.key));
            builder.add_unknown(|| {
                format!(
                    "{rest} acknowledged elements{key} were never dequeued, but no later operation \
                     found the queue empty"
                )
            });
        }
        if self.given.is_empty() && self.emptied.is_none() {
            let key = key_suffix(self.key);
            builder.add_unknown(|| format!("no dequeue or drain of the queue{key} completed"));
        }
    }

    /// The enqueues that remain undelivered, in order of invocation, if deliveries match as many
    /// enqueues as possible.
    ///
    /// Equal elements are indistinguishable, but a delivery that completed before an enqueue began
    /// is not of its element. So each delivery, in order of completion, is matched with the
    /// earliest unmatched enqueue if that had begun by then; this greedy matching is maximal.
    /// Enqueues outside `puts` do not reduce it: a matching that covers the one set and one that
    /// covers the other combine into one that covers both (Mendelsohn and Dulmage).
    fn unmatched_enqueues(&self, puts: impl Iterator<Item = &'o Op<'h>>) -> Vec<&'o Op<'h>> {
        let mut queues: FxHashMap<&Value, VecDeque<&Op<'_>>> = FxHashMap::default();
        puts.for_each(|op| queues.entry(op.input).or_default().push_back(op));
        for (element, taker) in &self.given {
            if let Some(queue) = queues.get_mut(element) {
                queue.pop_front_if(|put| put.begin < taker.end);
            }
        }
        let mut left: Vec<&Op<'_>> = queues.into_values().flatten().collect();
        left.sort_by_key(|op| op.begin);
        left
    }

    fn unexpected_case(&self, element: &Value, op: &Op<'_>) -> AnomalyCase {
        let attempt = self.enqueues.iter().find(|enqueue| enqueue.input == element);
        let why = match attempt {
            Some(enqueue) if enqueue.begin > op.end => {
                format!("{} began later", enqueue.describe())
            }
            Some(enqueue) => format!("{} failed", enqueue.describe()),
            None => "it was never enqueued".to_owned(),
        };
        AnomalyCase {
            message: format!(
                "{} returned {}{}, but {why}",
                op.describe(),
                abbreviate(element),
                key_suffix(self.key)
            ),
            steps: attempt.map(|enqueue| enqueue.step(op, "wr", why.clone())).into_iter().collect(),
            operations: attempt
                .map(|enqueue| enqueue.begin)
                .into_iter()
                .chain([op.begin])
                .collect(),
        }
    }

    fn duplicate_case(&self, element: &Value, earlier: &[&Op<'_>], op: &Op<'_>) -> AnomalyCase {
        let first = earlier[0];
        AnomalyCase {
            message: format!(
                "element {}{} was returned by {} and again by {}",
                abbreviate(element),
                key_suffix(self.key),
                first.describe(),
                op.describe()
            ),
            steps: vec![first.step(op, "same", format!("both returned {}", abbreviate(element)))],
            operations: vec![first.begin, op.begin],
        }
    }

    fn lost_case(&self, op: &Op<'_>, emptied: &Op<'_>, missing: usize) -> AnomalyCase {
        let excuse = match self.unknown_takes {
            0 => String::new(),
            takes => format!(
                ", and indeterminate dequeues removed at most {takes} of the {missing} missing \
                 elements"
            ),
        };
        AnomalyCase {
            message: format!(
                "element {}{} is lost: {} was acknowledged, no client received it, and {} found \
                 the queue empty{excuse}",
                abbreviate(op.input),
                key_suffix(self.key),
                op.describe(),
                emptied.describe()
            ),
            steps: vec![op.step(emptied, "realtime", op.acknowledged_before(emptied))],
            operations: vec![op.begin, emptied.begin],
        }
    }
}

/// Whether a dequeue failed because the queue was empty.
fn found_empty(op: &Op<'_>) -> bool {
    let error = op.operation.completion.as_ref().and_then(|completion| completion.error.as_ref());
    op.operation.is_mismatch() || error == Some(&Value::from("empty"))
}
