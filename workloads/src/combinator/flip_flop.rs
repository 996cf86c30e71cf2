//! Alternates between two generators.

use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Generator, Next};
use crate::reply::Reply;

/// Alternates between calls of the first and of the second generator until either is done.
pub fn flip_flop(first: BoxGenerator, second: BoxGenerator) -> BoxGenerator {
    Box::new(FlipFlop { pair: [first, second], context: 0 })
}

struct FlipFlop {
    pair: [BoxGenerator; 2],
    context: usize,
}

impl Generator for FlipFlop {
    fn next(&mut self, context: &Context) -> Next {
        let next = self.pair[self.context].next(context);
        if matches!(next, Next::Call(_)) {
            self.context = 1 - self.context;
        }
        next
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.pair.iter_mut().for_each(|part| part.observe(thread, call, reply));
    }
}
