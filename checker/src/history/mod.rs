//! Defines histories: calls and responses in one total order, well-formed by construction.
//!
//! A [`History`] can only be made from events in which every client process is sequential and never
//! continues after an `info`, so checks need not validate it again. Two operations overlap unless
//! the completion of one precedes the invocation of the other.
//!
//! - An `ok` operation took effect.
//! - A `fail` did not, and is ignored. A `fail` with the error [`MISMATCH`] is a read: the state
//!   was not the expected one.
//! - An `info`, and an operation without a completion, may take effect at any time after its
//!   invocation, or never.

mod actor;
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

pub use actor::Actor;
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
