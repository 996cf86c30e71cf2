//! Judges that a queue gives each element to one client, loses none and makes none up.
//!
//! An element is lost if its enqueue was acknowledged, nobody was given it, and a drain, or a dequeue that found
//! the queue empty, began afterwards. A dequeue of unknown end may have taken one element, a drain any number, so
//! elements convict only when more are missing than such dequeues can have taken.

use rustc_hash::FxHashMap;
use std::collections::VecDeque;

use super::objects::{Object, Op, brief, objects, of_key};
use super::set_final::after;
use super::tally::{Case, Tally, meaningless};
use crate::history::{History, Kind, Value};
use crate::verdict::{Check, Limits, Verdict};

/// What is promised of an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It is given away at least once; again is measured, not wrong.
    AtLeastOnce,
    /// It is given away once.
    ExactlyOnce,
}

/// Jepsen's total-queue, or one that forbids duplicates too.
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
                "everything enqueued is dequeued or drained at least once by the end, and nothing else \
                 is (Jepsen's total-queue)"
            }
            Delivery::ExactlyOnce => {
                "everything enqueued is dequeued or drained once by the end, and nothing else is, \
                 whatever the order"
            }
        }
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Verdict {
        judge(self, history, limits).unwrap_or_else(|why| meaningless(self.name(), why))
    }
}

fn judge(check: &Queue, history: &History, limits: &Limits<'_>) -> Result<Verdict, String> {
    let mut tally = Tally::new(check.name(), &["lost", "unexpected", "duplicated"]);
    for object in objects(history, limits.keyed)? {
        let before = tally.wrongs();
        let queue = Traffic::of(&object)?;
        queue.taken(check.0, &mut tally);
        queue.missing(&mut tally);
        tally.count(object.ops.len(), before);
    }
    let operations = tally.stats.operations;
    Ok(tally.verdict(&format!("{operations} operations lost, made up and repeated nothing")))
}

/// Who put and took what.
struct Traffic<'o, 'h> {
    key: Option<&'h Value>,
    enqueues: Vec<&'o Op<'h>>,
    /// Elements given away, with the operation that got them, in order of completion.
    given: Vec<(&'h Value, &'o Op<'h>)>,
    /// The last operation that found the queue empty, by invocation.
    emptied: Option<&'o Op<'h>>,
    /// How many elements may have been taken by operations of unknown end.
    unknown_takes: usize,
}

impl<'o, 'h> Traffic<'o, 'h> {
    fn of(object: &'o Object<'h>) -> Result<Self, String> {
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
                return Err(op.bad_input("it has no element"));
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
                return Err(op.bad_output(&format!("a drain returns a list, not {}", brief(other))));
            }
            ("dequeue" | "drain", None, Kind::Fail) => {}
            ("dequeue", ..) => self.unknown_takes = self.unknown_takes.saturating_add(1),
            ("drain", ..) => self.unknown_takes = usize::MAX,
            _ => return Err(op.unknown_function("dequeue, drain, enqueue")),
        }
        Ok(())
    }

    /// Judges what was given away: once each, and only what somebody put in before.
    fn taken(&self, delivery: Delivery, tally: &mut Tally) {
        let mut puts: FxHashMap<&Value, Vec<&Op<'_>>> = FxHashMap::default();
        for op in self.enqueues.iter().filter(|op| op.possible()) {
            puts.entry(op.input).or_default().push(op);
        }
        let mut taken: FxHashMap<&Value, Vec<&Op<'_>>> = FxHashMap::default();
        for (element, op) in &self.given {
            let earlier = taken.entry(element).or_default();
            let put = puts.get(element).map_or(&[][..], Vec::as_slice);
            let possible = put.partition_point(|put| put.begin < op.end);
            if possible == 0 {
                tally.found("unexpected", || self.unexpected(element, op));
            } else if earlier.len() >= possible {
                tally.add("repeated", 1);
                if delivery == Delivery::ExactlyOnce {
                    tally.found("duplicated", || self.duplicated(element, earlier, op));
                }
            } else if put[earlier.len()].output.is_none() {
                tally.add("recovered", 1);
            }
            earlier.push(op);
        }
    }

    fn missing(&self, tally: &mut Tally) {
        let acknowledged = self.enqueues.iter().filter(|op| op.output.is_some()).copied();
        let provable = |op: &&Op<'_>| self.emptied.is_some_and(|emptied| emptied.begin > op.end);
        let lost = self.left_of(acknowledged.clone().filter(provable));
        let missing = self.left_of(acknowledged).len();
        tally.add("outstanding", missing);
        if let (Some(op), Some(emptied)) = (lost.first(), self.emptied) {
            for _ in self.unknown_takes..lost.len() {
                tally.found("lost", || self.lost(op, emptied, lost.len()));
            }
        }
        if lost.len() < missing {
            let (rest, key) = (missing - lost.len(), of_key(self.key));
            tally.doubt(|| format!("{rest} elements{key} were never dequeued, and the queue was not seen empty after them"));
        }
        if self.given.is_empty() && self.emptied.is_none() {
            let key = of_key(self.key);
            tally.doubt(|| format!("nobody was told what is in the queue{key}"));
        }
    }

    /// What is left of some enqueues, in order of invocation, when as many as possible of them were given away.
    ///
    /// Equal elements cannot be told apart, but who was given one before an enqueue began was not given its. So each
    /// taker, the first to be done first, accounts for the earliest that is left, if that had begun: this accounts
    /// for as many as can be. Other enqueues, of unknown end or not provably lost, take nothing away from that:
    /// what some takers can account for, and what all of them need, can be had together (Mendelsohn and Dulmage).
    fn left_of(&self, puts: impl Iterator<Item = &'o Op<'h>>) -> Vec<&'o Op<'h>> {
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

    fn unexpected(&self, element: &Value, op: &Op<'_>) -> Case {
        let attempt = self.enqueues.iter().find(|enqueue| enqueue.input == element);
        let why = match attempt {
            Some(enqueue) if enqueue.begin > op.end => format!("{} began later", enqueue.named()),
            Some(enqueue) => format!("{} had failed", enqueue.named()),
            None => "nobody enqueued it".to_owned(),
        };
        Case {
            message: format!(
                "{} got {}{}, but {why}",
                op.named(),
                brief(element),
                of_key(self.key)
            ),
            steps: attempt.map(|enqueue| enqueue.step(op, "wr", why.clone())).into_iter().collect(),
            operations: attempt
                .map(|enqueue| enqueue.begin)
                .into_iter()
                .chain([op.begin])
                .collect(),
        }
    }

    fn duplicated(&self, element: &Value, earlier: &[&Op<'_>], op: &Op<'_>) -> Case {
        let first = earlier[0];
        Case {
            message: format!(
                "element {}{} was given to {} and again to {}",
                brief(element),
                of_key(self.key),
                first.named(),
                op.named()
            ),
            steps: vec![first.step(op, "same", format!("both were given {}", brief(element)))],
            operations: vec![first.begin, op.begin],
        }
    }

    fn lost(&self, op: &Op<'_>, emptied: &Op<'_>, missing: usize) -> Case {
        let excuse = match self.unknown_takes {
            0 => String::new(),
            takes => format!(
                ", and of {missing} that are missing, dequeues of unknown end took {takes} at most"
            ),
        };
        Case {
            message: format!(
                "element {}{} is lost: {} was acknowledged, nobody was given it, and {} found nothing \
                 left{excuse}",
                brief(op.input),
                of_key(self.key),
                op.named(),
                emptied.named()
            ),
            steps: vec![op.step(emptied, "realtime", after(op, emptied))],
            operations: vec![op.begin, emptied.begin],
        }
    }
}

/// Whether a dequeue failed because there was nothing to take.
fn found_empty(op: &Op<'_>) -> bool {
    let error = op.operation.completion.as_ref().and_then(|completion| completion.error.as_ref());
    op.operation.is_mismatch() || error == Some(&Value::from("empty"))
}
