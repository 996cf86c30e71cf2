//! Injects faults. A [`Nemesis`] chooses a [`Target`] purely, then begins a fault on the
//! [`Cluster`].
//!
//! A fault that is on is an [`ActiveFault`]. It owns all of its state: samples from its start,
//! counters, clocks, damage. Its `tick` does what takes its time, its `end_fault` samples what
//! proves it and undoes it, and its `weigh_evidence` weighs the samples. One nemesis = one file +
//! one line in [`NEMESES`]; names, `--help`, `harness list` and validation come from there.

mod aim;
mod clock;
mod cluster;
mod crash_loop;
mod disk;
pub(crate) mod event;
pub(crate) mod executor;
mod fault;
pub(crate) mod grudge;
mod kill;
mod membership;
mod no_faults;
mod no_target;
mod packet;
mod partition;
mod pause;
pub mod regime;
mod registry;
mod request;
mod samples;
pub mod schedule;
pub mod script;
mod selector;
mod starve;
mod target;
#[cfg(test)]
mod tests;
pub(crate) mod timeline;
mod transfer;
mod waiting;

pub use cluster::Cluster;
pub(crate) use cluster::{Member, Replacements, Startup, Telemetry, UnexpectedExit};
pub use fault::{ActiveFault, BeginFuture, Evidence, Nemesis, Requirement, Skip};
pub use registry::{NEMESES, find_nemesis};
pub use request::{RequestedNemesis, parse_request};
pub use target::{ClusterView, Target};

use fault::{reject_variant, try_all};
