//! Defines generators: values that choose the next call of a thread and observe every reply.
//!
//! A generator answers a [`Context`] with a call, with [`Next::Pending`] or with [`Next::Done`].
//! Small generators are closures ([`repeat_with`]); [`crate::combinator`]s build larger ones and
//! forward every reply to their parts. The same seed, contexts and replies yield the same calls.

use crate::call::Call;
use crate::reply::Reply;

/// The thread that asks for a call, and the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The thread, counted from 0; it has no call in flight.
    pub thread: usize,
    /// The intended start of the call, in nanoseconds since the phase began.
    pub time: u64,
}

/// What a thread does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Invoke this call.
    Call(Call),
    /// Nothing yet; ask again later.
    Pending,
    /// Nothing more: the generator is exhausted for this thread.
    Done,
}

/// Chooses the calls of threads.
pub trait Generator: Send {
    /// Returns what the thread does next.
    fn next_call(&mut self, context: &Context) -> Next;
    /// Observes the reply to a call of this generator; later calls may depend on it.
    fn observe_reply(&mut self, _thread: usize, _call: &Call, _reply: &Reply) {}
}

/// A generator of any type.
pub type BoxGenerator = Box<dyn Generator>;

/// Returns an infinite generator whose calls the closure makes.
pub fn repeat_with(make: impl FnMut(&Context) -> Call + Send + 'static) -> BoxGenerator {
    Box::new(RepeatWith(make))
}

struct RepeatWith<F>(F);

impl<F: FnMut(&Context) -> Call + Send> Generator for RepeatWith<F> {
    fn next_call(&mut self, context: &Context) -> Next {
        Next::Call((self.0)(context))
    }
}
