//! The time axis that the drawings of a page share.

use super::series;

/// Stretches of time that operations are counted in, at most.
const BUCKETS: u64 = 120;

/// Where the plots begin, in pixels; the names of the rows stand left of it.
pub(super) const LEFT: f64 = 78.0;

/// Where they end.
pub(super) const RIGHT: f64 = 946.0;

/// Where a moment of the run stands.
pub(super) struct Scale {
    /// The last moment, in nanoseconds since the run began; never 0.
    pub(super) span: u64,
}

impl Scale {
    /// Where this moment stands, in pixels from the left.
    pub(super) fn x(&self, ns: u64) -> f64 {
        LEFT + (RIGHT - LEFT) * (ns.min(self.span) as f64 / self.span as f64)
    }

    /// How long one bucket is, in nanoseconds.
    pub(super) fn bucket(&self) -> u64 {
        series::nice_step(self.span, BUCKETS)
    }
}
