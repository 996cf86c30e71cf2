//! Runs a test from plan to verdict: controller, nemeses and adapters of systems under test.
//!
//! `node` is not a dependency: a replica is a separate process, reached only over its public API.

mod clock;
pub mod duration;
mod evidence;
pub mod hunt;
pub mod invariants;
pub mod live;
pub mod nemesis;
pub mod run;
pub mod spelling;
mod status_poller;
pub mod suite;
pub mod system;
