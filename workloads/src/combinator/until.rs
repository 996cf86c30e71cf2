//! Repeats calls until a reply ends them.

use super::phases::phases;
use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Generator, Next};
use crate::reply::{Outcome, Reply};

/// Repeats calls until one takes effect or observes a mismatch.
pub fn until_ok(part: BoxGenerator) -> BoxGenerator {
    until(part, |reply| reply.outcome == Outcome::Ok || reply.is_mismatch())
}

/// Repeats calls until a reply satisfies the predicate.
pub fn until(
    part: BoxGenerator,
    is_last: impl Fn(&Reply) -> bool + Send + 'static,
) -> BoxGenerator {
    Box::new(Until { part, is_last, done: false })
}

/// Runs the parts one after another, each until a call takes effect or observes a mismatch.
pub fn each_until_ok(parts: impl IntoIterator<Item = BoxGenerator>) -> BoxGenerator {
    phases(parts.into_iter().map(until_ok))
}

struct Until<F> {
    part: BoxGenerator,
    is_last: F,
    done: bool,
}

impl<F: Fn(&Reply) -> bool + Send> Generator for Until<F> {
    fn next_call(&mut self, context: &Context) -> Next {
        if self.done { Next::Done } else { self.part.next_call(context) }
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.done |= (self.is_last)(reply);
        self.part.observe_reply(thread, call, reply);
    }
}
