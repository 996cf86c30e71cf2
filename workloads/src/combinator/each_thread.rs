//! Gives every thread its own generator.

use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Generator, Next};
use crate::reply::Reply;
use std::collections::BTreeMap;

/// Each thread follows its own generator, made when the thread first asks.
pub fn each_thread(make: impl FnMut(usize) -> BoxGenerator + Send + 'static) -> BoxGenerator {
    Box::new(EachThread { make, own: BTreeMap::new() })
}

struct EachThread<F> {
    make: F,
    own: BTreeMap<usize, BoxGenerator>,
}

impl<F: FnMut(usize) -> BoxGenerator + Send> Generator for EachThread<F> {
    fn next_call(&mut self, context: &Context) -> Next {
        let own = self.own.entry(context.thread).or_insert_with(|| (self.make)(context.thread));
        own.next_call(context)
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        if let Some(own) = self.own.get_mut(&thread) {
            own.observe_reply(thread, call, reply);
        }
    }
}
