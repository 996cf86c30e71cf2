//! Reads again and again at the end, until a replica shows what it should or has had long enough.
//!
//! Replicas that converge need time after everything is healed. A read that shows all ends the wait at once; else the
//! last read comes so late that its check may convict ([`PATIENCE`] is a little more than the check's quiet time).

use crate::generator::{Any, Generator, Next, Turn};
use crate::{Call, Outcome, Reply};
use checker::history::Value;

/// How long a replica may take to agree, in nanoseconds.
const PATIENCE: u64 = 11_000_000_000;
/// The time between reads.
const APART: u64 = 500_000_000;

/// Reads until one is `enough`, or for as long as patience lasts and once more.
pub(crate) fn settle(look: Call, enough: impl Fn(&Value) -> bool + Send + 'static) -> Any {
    Box::new(Settle { look, enough, began: None, asked: 0, done: false })
}

struct Settle<F> {
    look: Call,
    enough: F,
    began: Option<u64>,
    /// When it asked last.
    asked: u64,
    done: bool,
}

impl<F: Fn(&Value) -> bool + Send> Generator for Settle<F> {
    fn next(&mut self, turn: &Turn) -> Next {
        if self.done {
            return Next::Done;
        }
        if self.began.is_some() && turn.time < self.asked + APART {
            return Next::Pending;
        }
        self.began.get_or_insert(turn.time);
        self.asked = turn.time;
        Next::Call(self.look.clone())
    }

    fn observe(&mut self, _: usize, _: &Call, reply: &Reply) {
        if reply.outcome != Outcome::Ok {
            return;
        }
        let waited = self.asked - self.began.unwrap_or(self.asked);
        let shown = reply.returned.as_ref().is_some_and(&self.enough);
        self.done = shown || waited >= PATIENCE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: Call = Call::Sum;

    fn generator() -> Any {
        settle(LOOK, |sum| *sum == Value::Int(3))
    }

    fn turn(time: u64) -> Turn {
        Turn { thread: 0, time }
    }

    #[test]
    fn what_is_enough_ends_it_and_what_is_not_comes_again_later() {
        let mut settle = generator();
        assert_eq!(settle.next(&turn(7)), Next::Call(LOOK));
        settle.observe(0, &LOOK, &Reply::read(Some(2)));
        assert_eq!(settle.next(&turn(8)), Next::Pending);
        assert_eq!(settle.next(&turn(7 + APART)), Next::Call(LOOK));
        settle.observe(0, &LOOK, &Reply::read(Some(3)));
        assert_eq!(settle.next(&turn(8 + APART)), Next::Done);
    }

    #[test]
    fn patience_ends_only_with_a_read_that_was_answered_after_it() {
        let mut settle = generator();
        let mut time = 5;
        while time < 5 + PATIENCE {
            assert_eq!(settle.next(&turn(time)), Next::Call(LOOK));
            settle.observe(0, &LOOK, &Reply::read(Some(2)));
            time += APART;
        }
        assert_eq!(settle.next(&turn(time)), Next::Call(LOOK));
        settle.observe(0, &LOOK, &Reply::info("timeout"));
        assert_eq!(settle.next(&turn(time + APART)), Next::Call(LOOK));
        settle.observe(0, &LOOK, &Reply::read(Some(2)));
        assert_eq!(settle.next(&turn(time + 2 * APART)), Next::Done);
    }
}
