//! Defines the result of one seed.

use super::setting::Micros;

/// The result of one seed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
    /// How many events there were.
    pub events: u64,
    /// How many operations clients called.
    pub operations: usize,
    /// How many of them were answered *ok*.
    pub ok: usize,
    /// How many times the leader changed.
    pub leader_changes: usize,
    /// How many faults were carried out.
    pub faults: usize,
    /// How much simulated time passed.
    pub simulated_time: Micros,
    /// A digest of everything that happened, in order.
    pub digest: u64,
}

/// A property that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which: a property of the paper, the name of a check, or `liveness`.
    pub property: String,
    /// How.
    pub message: String,
    /// When it was seen.
    pub at: Micros,
}
