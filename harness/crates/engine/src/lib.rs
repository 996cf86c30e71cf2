//! Runs a test from plan to verdict: the controller, the nemeses and the adapters of systems under test.
//!
//! `node` is not among the dependencies: a replica is a separate process, reached only over its public API.

mod clock;
pub mod duration;
mod evidence;
pub mod live;
pub mod nemesis;
pub mod run;
mod spelling;
pub mod suite;
pub mod system;
mod watch;
