//! Repeats until something was heard.

use super::{Any, Generator, Next, Turn};
use crate::{Call, Outcome, Reply};

/// Calls of the part until one of them was answered: it happened, or it observed a state in which it could not.
pub fn until_ok(part: Any) -> Any {
    until(part, |reply| reply.outcome == Outcome::Ok || reply.is_mismatch())
}

/// Calls of the part until a reply is the last one that was wanted.
pub fn until(part: Any, last: impl Fn(&Reply) -> bool + Send + 'static) -> Any {
    Box::new(Until { part, last, heard: false })
}

struct Until<F> {
    part: Any,
    last: F,
    heard: bool,
}

impl<F: Fn(&Reply) -> bool + Send> Generator for Until<F> {
    fn next(&mut self, turn: &Turn) -> Next {
        if self.heard { Next::Done } else { self.part.next(turn) }
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.heard |= (self.last)(reply);
        self.part.observe(thread, call, reply);
    }
}
