//! The wall clocks of replicas: set, kept and read.

use super::member::Member;
use anyhow::{Context as _, Result, ensure};
use testbed::host::clock::{self, ClockReading, Skew};
use tokio::task::block_in_place;

impl Member {
    /// Sets the wall clock, or with none sets it right. A replica that is restarted gets the same.
    pub(in super::super) fn set_clock(&mut self, skew: Option<Skew>) -> Result<()> {
        self.skew = skew;
        if skew.is_none() && self.has_exited() {
            return Ok(());
        }
        self.apply_clock()
    }

    /// Makes the clock of the process, and of all its children, what it was set to.
    pub(super) fn apply_clock(&mut self) -> Result<()> {
        let skew = self.skew.unwrap_or_default();
        let set = block_in_place(|| clock::set_skew(&mut self.replica, &skew));
        self.report_clock(&skew);
        set.with_context(|| format!("the clock of {} cannot be set", self.host()))
    }

    /// Sets the clock again: the process may have started a child or executed another program,
    /// whose clock is right.
    pub(in super::super) fn refresh_clock(&mut self) {
        if self.skew.is_some() && !self.is_held() && !self.has_exited() {
            // A process that exits now needs no clock, and a clock that could not be set is noticed
            // when it is read.
            drop(self.apply_clock());
        }
    }

    /// Reads the time as the process itself would.
    pub(in super::super) fn read_clock(&mut self) -> Result<ClockReading> {
        ensure!(!self.has_exited(), "it was down when its clock was to be read");
        block_in_place(|| clock::read_time(&mut self.replica))
    }
}
