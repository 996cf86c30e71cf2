//! Generates the operations that clients invoke on a system under test, and names the checks that
//! judge the resulting history.
//!
//! A [`Workload`] builds the [`Traffic`] of a run from [`generator`]s. The caller owns the clock:
//! it asks a generator for the next [`Call`] of a thread and passes every [`Reply`] back to it.
//! This crate does no I/O, reads no clock and starts no task: the same seed, contexts and replies
//! yield the same calls.

#![forbid(unsafe_code)]

mod alias;
mod append;
mod bank;
mod broadcast;
mod call;
mod cas;
pub mod combinator;
mod counter;
mod echo;
mod eventual_counter;
mod follower_reads;
mod g_set;
pub mod generator;
mod kafka;
mod key_choice;
mod lock;
mod long_fork;
mod monotonic;
mod object;
mod queue;
mod read_consistency;
mod read_until_converged;
mod register;
mod registry;
mod reply;
mod rng;
mod sequence;
mod set;
mod set_traffic;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod tests;
mod txn_generator;
mod unique_ids;
mod validate;
mod workload;
mod wr;

pub use call::{Call, MicroOp};
pub use generator::{BoxGenerator, Context, Generator, Next};
pub use key_choice::{KeyChoice, Skew};
pub use object::Object;
pub use read_consistency::{READ_CONSISTENCIES, ReadConsistency};
pub use registry::{WORKLOADS, find_workload};
pub use reply::{Outcome, Reply};
pub use rng::Rng;
pub use validate::{is_malformed_reply, validate_reply};
pub use workload::{GeneratorFactory, Traffic, TrafficConfig, Workload};
