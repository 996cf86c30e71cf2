//! Ends a generator after a number of calls.

use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Generator, Next};
use crate::reply::Reply;

/// Takes at most this many calls from the generator.
pub fn limit(most: u64, part: BoxGenerator) -> BoxGenerator {
    Box::new(Limit { left: most, part })
}

struct Limit {
    left: u64,
    part: BoxGenerator,
}

impl Generator for Limit {
    fn next_call(&mut self, context: &Context) -> Next {
        if self.left == 0 {
            return Next::Done;
        }
        let next = self.part.next_call(context);
        self.left -= u64::from(matches!(next, Next::Call(_)));
        next
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.part.observe_reply(thread, call, reply);
    }
}
