//! Does one thing after another.

use super::{Any, Generator, Next, Turn};
use crate::{Call, Reply};
use std::collections::VecDeque;

/// Each part begins when the one before is done and every call of it was answered.
pub fn phases(parts: impl IntoIterator<Item = Any>) -> Any {
    Box::new(Phases { parts: parts.into_iter().collect(), open: 0 })
}

struct Phases {
    parts: VecDeque<Any>,
    /// Calls without an answer.
    open: usize,
}

impl Generator for Phases {
    fn next(&mut self, turn: &Turn) -> Next {
        while let Some(part) = self.parts.front_mut() {
            match part.next(turn) {
                Next::Call(call) => {
                    self.open += 1;
                    return Next::Call(call);
                }
                Next::Pending => return Next::Pending,
                Next::Done if self.open > 0 => return Next::Pending,
                Next::Done => drop(self.parts.pop_front()),
            }
        }
        Next::Done
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.open = self.open.saturating_sub(1);
        if let Some(part) = self.parts.front_mut() {
            part.observe(thread, call, reply);
        }
    }
}
