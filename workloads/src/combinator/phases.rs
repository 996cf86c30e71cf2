//! Runs generators one after another.

use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Generator, Next};
use crate::reply::Reply;
use std::collections::VecDeque;

/// Starts each part once the previous one is done and all its calls have completed.
pub fn phases(parts: impl IntoIterator<Item = BoxGenerator>) -> BoxGenerator {
    Box::new(Phases { parts: parts.into_iter().collect(), open: 0 })
}

struct Phases {
    parts: VecDeque<BoxGenerator>,
    /// The number of calls in flight.
    open: usize,
}

impl Generator for Phases {
    fn next_call(&mut self, context: &Context) -> Next {
        while let Some(part) = self.parts.front_mut() {
            match part.next_call(context) {
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

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.open = self.open.saturating_sub(1);
        if let Some(part) = self.parts.front_mut() {
            part.observe_reply(thread, call, reply);
        }
    }
}
