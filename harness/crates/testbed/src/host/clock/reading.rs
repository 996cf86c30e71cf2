//! The offset of a wall clock, and what a replica reads from it.

use std::time::{SystemTime, UNIX_EPOCH};

/// How a wall clock differs from the right one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skew {
    /// Added at all times, in nanoseconds.
    pub offset_ns: i64,
    /// Added per nanosecond since `base_ns`, in parts per 2^32.
    pub rate: i64,
    /// If not 0, the clock is right in every other period of so many nanoseconds since `base_ns`.
    pub period_ns: i64,
    /// The right wall clock when this began, in nanoseconds since 1970.
    pub base_ns: i64,
}

impl Skew {
    /// How far the clock is off when the right one says `now_ns`; the stub computes the same.
    pub fn offset_at(&self, now_ns: i64) -> i64 {
        let since = now_ns - self.base_ns;
        if self.period_ns != 0 && (since / self.period_ns) % 2 != 0 {
            return 0;
        }
        let drift = (i128::from(since) * i128::from(self.rate)) >> 32;
        self.offset_ns + i64::try_from(drift).unwrap_or(i64::MAX)
    }
}

/// A reading of a replica's clock, and of the right clock just before and just after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The right time before it was asked.
    pub before_ns: i64,
    /// The replica's clock.
    pub reported_ns: i64,
    /// The right time afterwards.
    pub after_ns: i64,
}

/// The right clock itself moves a little while it is kept right.
const TOLERANCE_NS: i64 = 2_000_000;

impl ClockReading {
    /// How far it is off, as near as can be told.
    pub fn offset_ns(&self) -> i64 {
        self.reported_ns - i64::midpoint(self.before_ns, self.after_ns)
    }

    /// It cannot be the right time.
    pub fn is_wrong(&self) -> bool {
        self.reported_ns < self.before_ns - TOLERANCE_NS
            || self.reported_ns > self.after_ns + TOLERANCE_NS
    }

    /// It is what this skew makes of the right time.
    pub fn matches_skew(&self, skew: &Skew) -> bool {
        let (a, b) = (
            self.before_ns + skew.offset_at(self.before_ns),
            self.after_ns + skew.offset_at(self.after_ns),
        );
        (a.min(b) - TOLERANCE_NS..=a.max(b) + TOLERANCE_NS).contains(&self.reported_ns)
    }
}

/// The right wall clock, in nanoseconds since 1970.
pub fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
