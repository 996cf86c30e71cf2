//! Measures the core's ticks against a monotonic clock, and reports missed time separately.
//!
//! A replica that was paused or starved continues with one tick and the missed time. So it does not
//! time out on peers that could not reach it, and its leases end in real time.

use std::time::{Duration, Instant};

/// One tick of the core's clock.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// The ticks that the core has received.
#[derive(Debug)]
pub(super) struct Ticks {
    since: Instant,
    counted: u64,
}

impl Default for Ticks {
    fn default() -> Self {
        Self { since: Instant::now(), counted: 0 }
    }
}

impl Ticks {
    /// Counts a tick; it may come a little early, as the first one does.
    pub(super) fn count(&mut self) {
        self.counted += 1;
    }

    /// Returns the ticks that were missed since the last call, and counts them.
    pub(super) fn take_missed(&mut self) -> u64 {
        let due = self.since.elapsed().as_nanos() / TICK.as_nanos();
        let missed = u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(self.counted);
        self.counted += missed;
        missed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missed_ticks_are_reported_once() {
        let mut ticks = Ticks { since: Instant::now() - 50 * TICK, counted: 0 };
        ticks.count();
        assert!((49..60).contains(&ticks.take_missed()));
        assert!(ticks.take_missed() < 5);
    }
}
