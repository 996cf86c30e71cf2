//! Spreads calls over time.

use super::{Any, Generator, Next, Turn};
use crate::{Call, Reply, Rng};

/// Calls of the part that are apart by `gap` nanoseconds on average, at random between nothing and twice that.
pub fn stagger(rng: Rng, gap: u64, part: Any) -> Any {
    Box::new(Stagger { rng, gap, due: 0, part })
}

struct Stagger {
    rng: Rng,
    gap: u64,
    /// When the next call may start.
    due: u64,
    part: Any,
}

impl Generator for Stagger {
    fn next(&mut self, turn: &Turn) -> Next {
        if turn.time < self.due {
            return Next::Pending;
        }
        let next = self.part.next(turn);
        if matches!(next, Next::Call(_)) {
            self.due = turn.time + self.rng.below(2 * self.gap + 1);
        }
        next
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.part.observe(thread, call, reply);
    }
}
