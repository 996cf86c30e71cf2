//! Simulates the store: its own core, runtime and log, over a network, disks, clocks and clients
//! that a seed decides.
//!
//! The same seed gives the same run to the last byte, hundreds of times faster than real time.
//! After every step an [`invariant_checker`] checks Raft's safety properties. The workload's own
//! checks judge the clients' history. When everything has healed, a leader and answers must
//! come within a bound. Each seed draws its own mix of faults (swarm testing: Groce et al., ISSTA
//! 2012), so that no kind of fault hides another.
//!
//! [`plan`] is pure data, [`world`] plays it, [`shrink`] finds the smallest plan that still fails.

mod clients;
mod faults;
mod invariant_checker;
mod members;
mod network;
mod outcome;
pub mod plan;
mod queue;
mod replicas;
mod run;
mod setting;
pub mod shrink;
mod sim_node;
#[cfg(test)]
mod tests;
pub mod trace;
mod translate;
mod world;

pub use node::bug::{Bug, BugRow, Place, VARIATIONS, Variation, all_bugs};
pub use outcome::{Failure, Outcome};
pub use run::run_simulation;
pub use setting::SimConfig;
