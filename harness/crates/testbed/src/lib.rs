//! Processes, hosts, links, clocks and disks of this machine, and what can be done to them.
//!
//! Nothing here depends on a workload, a nemesis or a history.

mod cleanup;
pub mod doctor;
pub mod host;
pub mod net;
#[cfg(test)]
#[path = "../../../tests/not_run/mod.rs"]
mod not_run;
mod random;
