//! Records what was asked and answered, in one total order, well-formed by construction.
//!
//! A [`History`] can only be made from events in which every client process is single-threaded and
//! never returns after an `info`; whoever holds one need not check again. Two operations overlap
//! unless one's completion comes before the other's invocation. An `ok` happened. A `fail` did not,
//! and is forgotten, except one whose error is [`MISMATCH`]: that is an observation that the state
//! was not the expected one. An `info`, and an operation without a completion, may happen at any
//! time after its invocation, or never.

pub mod edn;
mod event;
mod format;
pub mod jsonl;
pub mod notation;
mod pairing;
mod parse_error;
pub mod porcupine_log;
pub mod session_text;
mod text;
mod timed_operation;
mod value;

pub use event::{Completion, Event, Kind, MISMATCH, Moment, Operation, Process};
pub use format::Format;
pub use pairing::{History, Malformed, Violation};
pub(crate) use pairing::{complete, invocation};
pub use parse_error::{ParseError, Parsed, TornLine};
pub use text::Text;
pub use timed_operation::{Invocation, OperationsError, TimedOperation};
pub use value::{Real, Value};

#[cfg(test)]
mod tests;
