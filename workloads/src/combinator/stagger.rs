//! Spreads calls over time.

use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Generator, Next};
use crate::reply::Reply;
use crate::rng::Rng;

/// Delays calls so that they are `gap` nanoseconds apart on average, uniformly in `0..=2 * gap`.
pub fn stagger(rng: Rng, gap: u64, part: BoxGenerator) -> BoxGenerator {
    Box::new(Stagger { rng, gap, due: 0, part })
}

struct Stagger {
    rng: Rng,
    gap: u64,
    /// The earliest time of the next call.
    due: u64,
    part: BoxGenerator,
}

impl Generator for Stagger {
    fn next_call(&mut self, context: &Context) -> Next {
        if context.time < self.due {
            return Next::Pending;
        }
        let next = self.part.next_call(context);
        if matches!(next, Next::Call(_)) {
            self.due = context.time + self.rng.below(2 * self.gap + 1);
        }
        next
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.part.observe_reply(thread, call, reply);
    }
}
