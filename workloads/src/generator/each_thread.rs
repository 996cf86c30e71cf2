//! Gives every thread a generator of its own.

use super::{Any, Generator, Next, Turn};
use crate::{Call, Reply};
use std::collections::BTreeMap;

/// Each thread follows a generator of its own, made when its first turn comes.
pub fn each_thread(make: impl FnMut(usize) -> Any + Send + 'static) -> Any {
    Box::new(EachThread { make, own: BTreeMap::new() })
}

struct EachThread<F> {
    make: F,
    own: BTreeMap<usize, Any>,
}

impl<F: FnMut(usize) -> Any + Send> Generator for EachThread<F> {
    fn next(&mut self, turn: &Turn) -> Next {
        let own = self.own.entry(turn.thread).or_insert_with(|| (self.make)(turn.thread));
        own.next(turn)
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        if let Some(own) = self.own.get_mut(&thread) {
            own.observe(thread, call, reply);
        }
    }
}
