//! Takes from two generators in turn.

use super::{Any, Generator, Next, Turn};
use crate::{Call, Reply};

/// A call of the first, one of the second, one of the first, and so on until either is done.
pub fn flip_flop(first: Any, second: Any) -> Any {
    Box::new(FlipFlop { pair: [first, second], turn: 0 })
}

struct FlipFlop {
    pair: [Any; 2],
    turn: usize,
}

impl Generator for FlipFlop {
    fn next(&mut self, turn: &Turn) -> Next {
        let next = self.pair[self.turn].next(turn);
        if matches!(next, Next::Call(_)) {
            self.turn = 1 - self.turn;
        }
        next
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.pair.iter_mut().for_each(|part| part.observe(thread, call, reply));
    }
}
