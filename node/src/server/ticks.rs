//! Counts the brain's ticks against a clock: never more than have passed, and what was slept through is told apart.
//!
//! A replica that was stopped, or starved, comes back with one tick and the word that it slept, so that it is not
//! impatient with peers that could not reach it, and does not take old promises for new ones.

use super::driver::TICK;
use std::time::{Duration, Instant, SystemTime};

/// What tells the time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Clock {
    /// A clock that nobody can set.
    Monotonic(Instant),
    /// A clock that anybody may set: a seeded bug.
    Wall(SystemTime),
}

impl Clock {
    pub(super) fn monotonic() -> Self {
        Self::Monotonic(Instant::now())
    }

    pub(super) fn wall() -> Self {
        Self::Wall(SystemTime::now())
    }

    /// The time since it was made; none, if it was set back beyond that.
    fn elapsed(self) -> Duration {
        match self {
            Self::Monotonic(since) => since.elapsed(),
            Self::Wall(since) => since.elapsed().unwrap_or_default(),
        }
    }
}

/// The ticks that the brain was told of.
#[derive(Debug)]
pub(super) struct Ticks {
    clock: Clock,
    told: u64,
}

impl Default for Ticks {
    fn default() -> Self {
        Self::new(Clock::monotonic())
    }
}

impl Ticks {
    /// None yet.
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, told: 0 }
    }

    /// Whether the time for another one has come; by a clock that was set back it has not.
    pub(super) fn next(&mut self) -> bool {
        let due = self.due();
        // The first comes at once, and an interval may be a little early.
        let comes = matches!(self.clock, Clock::Monotonic(_)) || self.told <= due;
        self.told += u64::from(comes);
        comes
    }

    /// How many have passed that the brain was not told of; it is told of them now.
    pub(super) fn slept(&mut self) -> u64 {
        let slept = self.due().saturating_sub(self.told);
        self.told += slept;
        slept
    }

    fn due(&self) -> u64 {
        let ticks = self.clock.elapsed().as_nanos() / TICK.as_nanos();
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_slept_through_is_told_once() {
        let mut ticks = Ticks::new(Clock::Monotonic(Instant::now() - 50 * TICK));
        assert!(ticks.next());
        assert!((49..60).contains(&ticks.slept()));
        assert!(ticks.slept() < 5);
    }

    #[test]
    fn a_wall_clock_that_is_set_back_stands_still() {
        let mut ticks = Ticks::new(Clock::Wall(SystemTime::now() + Duration::from_secs(60)));
        assert!(ticks.next());
        assert!(!ticks.next() && ticks.slept() == 0);
    }
}
