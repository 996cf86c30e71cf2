//! Orders what is going to happen by time, and then by when it was decided.
//!
//! The heap holds small keys, and the events stay in place beside it: moving whole events within
//! the heap took a quarter of a simulation's time.

use super::setting::Micros;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A queue of events.
pub(super) struct EventQueue<E> {
    /// Time, number of the decision, place among the events.
    due: BinaryHeap<Reverse<(Micros, u64, usize)>>,
    events: Vec<Option<E>>,
    /// Places that are empty.
    free: Vec<usize>,
    sequence: u64,
}

impl<E> EventQueue<E> {
    pub(super) fn new() -> Self {
        Self { due: BinaryHeap::new(), events: Vec::new(), free: Vec::new(), sequence: 0 }
    }

    /// Lets an event happen at a time.
    pub(super) fn push(&mut self, at: Micros, event: E) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.sequence += 1;
        self.due.push(Reverse((at, self.sequence, place)));
    }

    /// Takes the next event before `end`, and its time.
    pub(super) fn pop_before(&mut self, end: Micros) -> Option<(Micros, E)> {
        let Reverse((at, _, place)) = *self.due.peek().filter(|due| due.0.0 < end)?;
        self.due.pop();
        self.free.push(place);
        let event = self.events[place].take();
        event.map(|event| (at, event))
    }
}

#[cfg(test)]
mod tests {
    use super::EventQueue;

    #[test]
    fn events_come_in_order_of_time_and_then_of_decision() {
        let mut queue = EventQueue::new();
        for (at, event) in [(3, "d"), (1, "a"), (2, "b"), (2, "c")] {
            queue.push(at, event);
        }
        assert_eq!(queue.pop_before(1), None);
        assert_eq!((queue.pop_before(3), queue.pop_before(3)), (Some((1, "a")), Some((2, "b"))));
        queue.push(2, "e");
        let rest: Vec<_> = std::iter::from_fn(|| queue.pop_before(9)).collect();
        assert_eq!(rest, [(2, "c"), (2, "e"), (3, "d")]);
        assert_eq!(queue.events.len(), 4, "places are used again");
    }
}
