//! Chooses between generators by chance.

use super::{Any, Generator, Next, Turn};
use crate::{Call, Reply, Rng};

/// Each call is of one of the parts, chosen with these weights. Where that one has nothing now, the next one that
/// has takes its place; when all are done, so is the mix.
pub fn mix(rng: Rng, parts: Vec<(u64, Any)>) -> Any {
    Box::new(Mix { rng, parts })
}

struct Mix {
    rng: Rng,
    parts: Vec<(u64, Any)>,
}

impl Mix {
    fn choose(&mut self) -> usize {
        let mut draw = self.rng.below(self.parts.iter().map(|(weight, _)| weight).sum());
        let hit = |(weight, _): &(u64, Any)| {
            let hit = draw < *weight;
            draw = draw.saturating_sub(*weight);
            hit
        };
        self.parts.iter().position(hit).unwrap_or(0)
    }
}

impl Generator for Mix {
    fn next(&mut self, turn: &Turn) -> Next {
        let (first, count) = (self.choose(), self.parts.len());
        let mut answer = Next::Done;
        for place in (first..first + count).map(|place| place % count) {
            match self.parts[place].1.next(turn) {
                Next::Call(call) => return Next::Call(call),
                Next::Pending => answer = Next::Pending,
                Next::Done => (),
            }
        }
        answer
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.parts.iter_mut().for_each(|(_, part)| part.observe(thread, call, reply));
    }
}
