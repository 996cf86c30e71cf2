//! Repeats a final read until the replica has converged or its time is up.
//!
//! Eventually consistent replicas need time to converge after faults heal. A converged read ends
//! the wait at once. Otherwise the last read is late enough for the check to report an anomaly
//! ([`CONVERGENCE_TIMEOUT`] slightly exceeds the quiet time of the check).

use crate::call::Call;
use crate::generator::{BoxGenerator, Context, Generator, Next};
use crate::reply::{Outcome, Reply};
use checker::history::Value;

/// How long a replica may take to converge, in nanoseconds.
const CONVERGENCE_TIMEOUT: u64 = 11_000_000_000;
/// The time between reads, in nanoseconds.
const READ_INTERVAL: u64 = 500_000_000;

/// Repeats `read` until it returns a converged value, or once more after the timeout.
pub(crate) fn read_until_converged(
    read: Call,
    is_converged: impl Fn(&Value) -> bool + Send + 'static,
) -> BoxGenerator {
    Box::new(ReadUntilConverged { read, is_converged, first_read: None, last_read: 0, done: false })
}

struct ReadUntilConverged<F> {
    read: Call,
    is_converged: F,
    /// The time of the first read.
    first_read: Option<u64>,
    /// The time of the latest read.
    last_read: u64,
    done: bool,
}

impl<F: Fn(&Value) -> bool + Send> Generator for ReadUntilConverged<F> {
    fn next_call(&mut self, context: &Context) -> Next {
        if self.done {
            return Next::Done;
        }
        if self.first_read.is_some() && context.time < self.last_read + READ_INTERVAL {
            return Next::Pending;
        }
        self.first_read.get_or_insert(context.time);
        self.last_read = context.time;
        Next::Call(self.read.clone())
    }

    fn observe_reply(&mut self, _: usize, _: &Call, reply: &Reply) {
        if reply.outcome != Outcome::Ok {
            return;
        }
        let waited = self.last_read - self.first_read.unwrap_or(self.last_read);
        let converged = reply.returned.as_ref().is_some_and(&self.is_converged);
        self.done = converged || waited >= CONVERGENCE_TIMEOUT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Call = Call::ReadCounter;

    fn make_generator() -> BoxGenerator {
        read_until_converged(READ, |sum| *sum == Value::Int(3))
    }

    fn context_at(time: u64) -> Context {
        Context { thread: 0, time }
    }

    #[test]
    fn a_converged_read_ends_the_wait_and_others_are_repeated() {
        let mut reads = make_generator();
        assert_eq!(reads.next_call(&context_at(7)), Next::Call(READ));
        reads.observe_reply(0, &READ, &Reply::read(Some(2)));
        assert_eq!(reads.next_call(&context_at(8)), Next::Pending);
        assert_eq!(reads.next_call(&context_at(7 + READ_INTERVAL)), Next::Call(READ));
        reads.observe_reply(0, &READ, &Reply::read(Some(3)));
        assert_eq!(reads.next_call(&context_at(8 + READ_INTERVAL)), Next::Done);
    }

    #[test]
    fn the_timeout_takes_effect_with_the_first_answered_read_after_it() {
        let mut reads = make_generator();
        let mut time = 5;
        while time < 5 + CONVERGENCE_TIMEOUT {
            assert_eq!(reads.next_call(&context_at(time)), Next::Call(READ));
            reads.observe_reply(0, &READ, &Reply::read(Some(2)));
            time += READ_INTERVAL;
        }
        assert_eq!(reads.next_call(&context_at(time)), Next::Call(READ));
        reads.observe_reply(0, &READ, &Reply::info("timeout"));
        assert_eq!(reads.next_call(&context_at(time + READ_INTERVAL)), Next::Call(READ));
        reads.observe_reply(0, &READ, &Reply::read(Some(2)));
        assert_eq!(reads.next_call(&context_at(time + 2 * READ_INTERVAL)), Next::Done);
    }
}
