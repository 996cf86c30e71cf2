//! The time axis that the drawings of a page share.

use super::series;

/// The most intervals in which operations are counted.
const BUCKETS: u64 = 120;

/// The left edge of the plots in pixels; the row names are to its left.
pub(super) const LEFT: f64 = 78.0;

/// The right edge of the plots.
pub(super) const RIGHT: f64 = 946.0;

/// Maps a time of the run to a position.
pub(super) struct Scale {
    /// The last time, in nanoseconds since the run began; never 0.
    pub(super) span: u64,
}

impl Scale {
    /// The position of a time, in pixels from the left.
    pub(super) fn x(&self, ns: u64) -> f64 {
        LEFT + (RIGHT - LEFT) * (ns.min(self.span) as f64 / self.span as f64)
    }

    /// The length of a bucket in nanoseconds.
    pub(super) fn bucket(&self) -> u64 {
        series::nice_step(self.span, BUCKETS)
    }
}
