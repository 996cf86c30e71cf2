//! Chooses randomly between generators.

use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Generator, Next};
use crate::reply::Reply;
use crate::rng::Rng;

/// Takes each call from a part chosen with these weights. If that part has no call, the next part
/// that has one supplies it. The mix is done when all parts are.
pub fn mix(rng: Rng, parts: Vec<(u64, BoxGenerator)>) -> BoxGenerator {
    Box::new(Mix { rng, parts })
}

struct Mix {
    rng: Rng,
    parts: Vec<(u64, BoxGenerator)>,
}

impl Mix {
    fn choose_part(&mut self) -> usize {
        let mut draw = self.rng.below(self.parts.iter().map(|(weight, _)| weight).sum());
        let hit = |(weight, _): &(u64, BoxGenerator)| {
            let hit = draw < *weight;
            draw = draw.saturating_sub(*weight);
            hit
        };
        self.parts.iter().position(hit).unwrap_or(0)
    }
}

impl Generator for Mix {
    fn next_call(&mut self, context: &Context) -> Next {
        let (first, count) = (self.choose_part(), self.parts.len());
        let mut answer = Next::Done;
        for place in (first..first + count).map(|place| place % count) {
            match self.parts[place].1.next_call(context) {
                Next::Call(call) => return Next::Call(call),
                Next::Pending => answer = Next::Pending,
                Next::Done => (),
            }
        }
        answer
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.parts.iter_mut().for_each(|(_, part)| part.observe_reply(thread, call, reply));
    }
}
