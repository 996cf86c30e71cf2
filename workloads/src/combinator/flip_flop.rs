//! Alternates between two generators.

use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Generator, Next};
use crate::reply::Reply;

/// Alternates between calls of the first and of the second generator until either is done.
pub fn flip_flop(first: BoxGenerator, second: BoxGenerator) -> BoxGenerator {
    Box::new(FlipFlop { pair: [first, second], next_index: 0 })
}

struct FlipFlop {
    pair: [BoxGenerator; 2],
    next_index: usize,
}

impl Generator for FlipFlop {
    fn next_call(&mut self, context: &Context) -> Next {
        let next = self.pair[self.next_index].next_call(context);
        if matches!(next, Next::Call(_)) {
            self.next_index = 1 - self.next_index;
        }
        next
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.pair.iter_mut().for_each(|part| part.observe_reply(thread, call, reply));
    }
}
