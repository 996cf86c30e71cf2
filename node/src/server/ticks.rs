//! Counts the brain's ticks against a clock that nobody can set: what was slept through is told apart.
//!
//! A replica that was stopped, or starved, comes back with one tick and the word that it slept, so that it is not
//! impatient with peers that could not reach it, and does not take old promises for new ones.

use super::driver::TICK;
use std::time::Instant;

/// The ticks that the brain was told of.
#[derive(Debug)]
pub(super) struct Ticks {
    since: Instant,
    told: u64,
}

impl Default for Ticks {
    fn default() -> Self {
        Self { since: Instant::now(), told: 0 }
    }
}

impl Ticks {
    /// One more; it may come a little early, and the first does.
    pub(super) fn tell(&mut self) {
        self.told += 1;
    }

    /// How many have passed that the brain was not told of; it is told of them now.
    pub(super) fn slept(&mut self) -> u64 {
        let due = self.since.elapsed().as_nanos() / TICK.as_nanos();
        let slept = u64::try_from(due).unwrap_or(u64::MAX).saturating_sub(self.told);
        self.told += slept;
        slept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_slept_through_is_told_once() {
        let mut ticks = Ticks { since: Instant::now() - 50 * TICK, told: 0 };
        ticks.tell();
        assert!((49..60).contains(&ticks.slept()));
        assert!(ticks.slept() < 5);
    }
}
