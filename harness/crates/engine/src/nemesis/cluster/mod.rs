//! What a nemesis acts on: the links between hosts and one [`Member`] per host.
//!
//! [`links`] owns the state of the network. [`member`] owns one replica and its `Process` state
//! machine. [`supervisor`] notices replicas that exit by themselves and restarts them. A member is
//! *held* from the moment a fault acts on its process or disk until that fault lets go. Only a
//! member that is not held can exit unexpectedly.

mod assembly;
mod clocks;
mod exits;
mod healing;
mod links;
mod member;
mod process;
mod replacement;
mod shutdown;
mod supervisor;
mod telemetry;
#[cfg(test)]
mod tests;

pub use assembly::Cluster;
pub(super) use exits::DISK_FAULT_GRACE;
pub(crate) use exits::UnexpectedExit;
pub(super) use member::Roster;
pub(crate) use member::{Member, Startup};
pub(crate) use replacement::Replacements;
pub(super) use supervisor::SUPERVISION_INTERVAL;
pub(crate) use telemetry::Telemetry;
