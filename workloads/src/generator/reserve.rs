//! Keeps threads for a purpose.

use super::{Any, Generator, Next, Turn};
use crate::{Call, Reply};

/// The first `count` threads follow `reserved`, all others follow `rest`.
pub fn reserve(count: usize, reserved: Any, rest: Any) -> Any {
    Box::new(Reserve { count, reserved, rest })
}

struct Reserve {
    count: usize,
    reserved: Any,
    rest: Any,
}

impl Reserve {
    fn of(&mut self, thread: usize) -> &mut Any {
        if thread < self.count { &mut self.reserved } else { &mut self.rest }
    }
}

impl Generator for Reserve {
    fn next(&mut self, turn: &Turn) -> Next {
        self.of(turn.thread).next(turn)
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.of(thread).observe(thread, call, reply);
    }
}
