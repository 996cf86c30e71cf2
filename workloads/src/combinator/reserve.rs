//! Reserves threads for one generator.

use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Generator, Next};
use crate::reply::Reply;

/// The first `count` threads follow `reserved`, all others follow `rest`.
pub fn reserve(count: usize, reserved: BoxGenerator, rest: BoxGenerator) -> BoxGenerator {
    Box::new(Reserve { count, reserved, rest })
}

struct Reserve {
    count: usize,
    reserved: BoxGenerator,
    rest: BoxGenerator,
}

impl Reserve {
    fn part_of(&mut self, thread: usize) -> &mut BoxGenerator {
        if thread < self.count { &mut self.reserved } else { &mut self.rest }
    }
}

impl Generator for Reserve {
    fn next_call(&mut self, context: &Context) -> Next {
        self.part_of(context.thread).next_call(context)
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.part_of(thread).observe_reply(thread, call, reply);
    }
}
