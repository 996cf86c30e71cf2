//! Finds an element that was delivered without an enqueue, or more often than it was enqueued.
//!
//! Whether an element is lost is only known at the end: a later dequeue may still deliver it.

use rustc_hash::FxHashMap;

use super::super::op::{Op, abbreviate};
use super::super::queue::Delivery;
use super::OnlineObject;
use crate::history::{Kind, Value};

/// A queue so far.
pub(crate) struct OnlineQueue {
    delivery: Delivery,
    elements: FxHashMap<Value, QueueElement>,
    held: usize,
}

#[derive(Default)]
struct QueueElement {
    /// The invocations of the enqueues that have not failed.
    puts: Vec<u64>,
    /// The completions of the operations that received it, ascending.
    taken: Vec<u64>,
}

impl QueueElement {
    /// What is wrong with one of the deliveries from this place on.
    fn violation(&self, from: usize, delivery: Delivery) -> Option<&'static str> {
        self.taken[from..].iter().zip(from..).find_map(|(end, place)| {
            match self.puts.partition_point(|put| put < end) {
                0 => Some("which was not enqueued by then"),
                possible if place >= possible && delivery == Delivery::ExactlyOnce => {
                    Some("more often than it was enqueued")
                }
                _ => None,
            }
        })
    }
}

impl OnlineQueue {
    pub(crate) fn exactly_once() -> Self {
        Self { delivery: Delivery::ExactlyOnce, elements: FxHashMap::default(), held: 0 }
    }

    pub(crate) fn at_least_once() -> Self {
        Self { delivery: Delivery::AtLeastOnce, ..Self::exactly_once() }
    }

    fn element(&mut self, value: &Value) -> &mut QueueElement {
        if !self.elements.contains_key(value) {
            self.held += value.approximate_bytes() + size_of::<QueueElement>() + 32;
        }
        self.elements.entry(value.clone()).or_default()
    }

    fn deliver(&mut self, op: &Op<'_>, value: &Value) -> Option<String> {
        let delivery = self.delivery;
        let element = self.element(value);
        element.taken.push(op.end);
        let wrong = element.violation(element.taken.len() - 1, delivery)?;
        Some(format!("{} returned {}, {wrong}", op.describe(), abbreviate(value)))
    }

    /// Takes an enqueue that failed.
    fn withdraw(&mut self, op: &Op<'_>) -> Option<String> {
        let delivery = self.delivery;
        let element = self.element(op.input);
        element.puts.retain(|put| *put != op.begin);
        let wrong = element.violation(0, delivery)?;
        let value = abbreviate(op.input);
        Some(format!("{} failed, but a client received {value}, {wrong}", op.describe()))
    }
}

impl OnlineObject for OnlineQueue {
    fn begin(&mut self, op: &Op<'_>) -> Result<(), String> {
        if op.f == "enqueue" {
            if *op.input == Value::Nil {
                return Err(op.invalid_input("it has no element"));
            }
            self.element(op.input).puts.push(op.begin);
        }
        Ok(())
    }

    fn end(&mut self, op: &Op<'_>) -> Result<Option<String>, String> {
        match (op.f, op.output, op.kind) {
            ("enqueue", _, Kind::Fail) => Ok(self.withdraw(op)),
            ("enqueue", ..) | ("dequeue", None | Some(Value::Nil), _) | ("drain", None, _) => {
                Ok(None)
            }
            ("dequeue", Some(value), _) => Ok(self.deliver(op, value)),
            ("drain", Some(Value::List(values)), _) => {
                let violations: Vec<_> =
                    values.iter().filter_map(|value| self.deliver(op, value)).collect();
                Ok(violations.into_iter().next())
            }
            ("drain", Some(other), _) => {
                Err(op.invalid_output(&format!("expected a list, got {}", abbreviate(other))))
            }
            _ => Err(op.unknown_function("dequeue, drain, enqueue")),
        }
    }

    fn held_bytes(&self) -> usize {
        self.held
    }
}
