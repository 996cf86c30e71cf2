//! Ends a generator after a number of calls.

use super::{Any, Generator, Next, Turn};
use crate::{Call, Reply};

/// At most this many calls of the part.
pub fn limit(most: u64, part: Any) -> Any {
    Box::new(Limit { left: most, part })
}

struct Limit {
    left: u64,
    part: Any,
}

impl Generator for Limit {
    fn next(&mut self, turn: &Turn) -> Next {
        if self.left == 0 {
            return Next::Done;
        }
        let next = self.part.next(turn);
        self.left -= u64::from(matches!(next, Next::Call(_)));
        next
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.part.observe(thread, call, reply);
    }
}
