//! Defines the settings that all seeds of a simulation share.

use node::bug::{BugSet, VariationSet};
use workloads::Workload;

/// A moment of simulated time, in microseconds.
pub(super) type Micros = u64;

/// A second of it.
pub(super) const SECOND: Micros = 1_000_000;

/// The settings that all seeds of a simulation share.
#[derive(Clone)]
pub struct SimConfig {
    /// How many servers.
    pub nodes: u64,
    /// How long clients and faults are active.
    pub span: Micros,
    /// What clients do.
    pub workload: &'static dyn Workload,
    /// The bugs that are switched on.
    pub bugs: BugSet,
    /// The harmless variations that are switched on.
    pub variations: VariationSet,
}
