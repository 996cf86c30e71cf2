//! Says what every seed of a simulation has in common.

use node::raft::Bug;
use workloads::Workload;

/// A moment of simulated time, in microseconds.
pub(super) type Micros = u64;

/// A second of it.
pub(super) const SECOND: Micros = 1_000_000;

/// What every seed of a simulation has in common.
#[derive(Clone)]
pub struct SimConfig {
    /// How many servers.
    pub nodes: u64,
    /// How long clients and faults are at work.
    pub span: Micros,
    /// What clients do.
    pub workload: &'static dyn Workload,
    /// The bugs that are switched on.
    pub bugs: Vec<Bug>,
}
