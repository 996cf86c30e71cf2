//! Composes the calls of a run from values: a [`Generator`] is asked for the next call of a thread and told every
//! reply, and whoever owns the clock decides when.
//!
//! A generator answers a [`Turn`] with a call, with *not now*, or with *never again*. Small ones are made of closures
//! ([`calls`]), larger ones of smaller ones; a combinator tells its parts all it is told. The same seed, turns and
//! replies give the same calls.

mod each_thread;
mod flip_flop;
mod limit;
mod mix;
mod phases;
mod reserve;
mod stagger;
mod until;

pub use each_thread::each_thread;
pub use flip_flop::flip_flop;
pub use limit::limit;
pub use mix::mix;
pub use phases::phases;
pub use reserve::reserve;
pub use stagger::stagger;
pub use until::{until, until_ok};

use crate::{Call, Reply};

/// Whose turn it is, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The thread, counted from 0; it has no call on its way.
    pub thread: usize,
    /// When the call is meant to start, in nanoseconds since the phase began.
    pub time: u64,
}

/// What a thread is to do in its turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make this call.
    Call(Call),
    /// Nothing now; ask again later.
    Pending,
    /// Nothing, ever again.
    Done,
}

/// Says what threads do.
pub trait Generator: Send {
    /// What the thread is to do.
    fn next(&mut self, turn: &Turn) -> Next;
    /// What came of a call of this generator. Later calls may build on it.
    fn observe(&mut self, _thread: usize, _call: &Call, _reply: &Reply) {}
}

/// A generator of any kind.
pub type Any = Box<dyn Generator>;

/// Calls without end, each as the closure makes it.
pub fn calls(make: impl FnMut(&Turn) -> Call + Send + 'static) -> Any {
    Box::new(Calls(make))
}

struct Calls<F>(F);

impl<F: FnMut(&Turn) -> Call + Send> Generator for Calls<F> {
    fn next(&mut self, turn: &Turn) -> Next {
        Next::Call((self.0)(turn))
    }
}

#[cfg(test)]
mod tests;
