//! Judges histories: says whether what clients were told could have come from one correct copy.
//!
//! A [`History`] is well-formed by construction, a [`model`] says what one copy does, [`linear`]
//! searches for an order that explains the history, and a [`Verdict`] says what came of it, with
//! the smallest evidence for a No. Nothing here does I/O, reads a clock or starts a task, and the
//! same history gets the same verdict however many threads looked at it; only a spent budget
//! ([`Limits`]) can turn an answer into [`Validity::Unknown`].

#![forbid(unsafe_code)]

pub mod bench;
pub mod check;
pub mod finding;
pub mod history;
pub mod linear;
pub mod model;
pub mod txn;

pub use check::{
    Algorithm, Check, Keyed, Limits, Stats, Validity, Verdict, check_linearizable, judge, linearize,
};
pub use finding::{Finding, Step};
pub use history::History;
pub use linear::{Linearization, Window};
