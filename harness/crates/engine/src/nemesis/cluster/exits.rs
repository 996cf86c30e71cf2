//! Tells unexpected exits of replicas from those that a fault explains. Each is reported once.

use super::member::Member;
use super::process::{DownCause, Process};
use std::time::{Duration, Instant};
use testbed::host::process::ProcessExit;
use testbed::net::plan::HostId;

/// For how long after its fault a replica may still exit because of what its disk had refused, if
/// it was slow to.
pub(in super::super) const DISK_FAULT_GRACE: Duration = Duration::from_secs(2);

/// The exit of a replica that no fault explains.
#[derive(Clone, Debug)]
pub(crate) struct UnexpectedExit {
    /// Where it ran.
    pub(crate) host: HostId,
    /// How it ended.
    pub(crate) exit: ProcessExit,
    /// The last lines of its logs.
    pub(crate) log: Vec<String>,
    /// Its disk had been corrupted and not repaired, so it may have been right to stop.
    pub(crate) disk_was_corrupt: bool,
}

impl Member {
    /// Notices an exit that no fault explains. One that a disk fault excuses leaves the process
    /// down, for the supervisor to restart.
    pub(super) fn poll_unexpected_exit(&mut self) -> Option<ProcessExit> {
        if let Some(missed) = self.exits.missed.take() {
            return Some(missed);
        }
        let exit = self.replica.poll_exit();
        self.expire_disk_grace(exit.is_none());
        let exit = exit.filter(|_| !self.is_held() && !self.has_crashed())?;
        if self.has_disk_grace() {
            self.process = Process::Down { by: DownCause::DiskGrace };
            self.hold("disk fault");
            return None;
        }
        self.process = Process::Crashed { exit, at: Instant::now() };
        Some(exit)
    }

    /// Remembers an exit that was not noticed before the process was killed or restarted, unless a
    /// disk fault excuses it. Of several the first is reported.
    pub(in super::super) fn record_missed_exit(&mut self, exit: Option<ProcessExit>) {
        if let Some(exit) = exit.filter(|_| !self.has_disk_grace()) {
            self.exits.missed.get_or_insert(exit);
        }
    }

    /// Drops a missed exit that was the replica's own decision: one that is no member any more may
    /// stop.
    pub(in super::super) fn forgive_missed_stop(&mut self) {
        self.exits.missed.take_if(|exit| !exit.is_crash());
    }

    fn has_crashed(&self) -> bool {
        matches!(self.process, Process::Crashed { .. })
    }

    /// Whether a disk fault still excuses an exit.
    pub(super) fn has_disk_grace(&self) -> bool {
        self.lasting.disk_grace.is_some()
    }

    /// When a process exited is known no better than by polls. Only one that is seen running, and
    /// could have exited, has outlived its grace.
    fn expire_disk_grace(&mut self, is_running: bool) {
        let could_exit = is_running && !self.is_held();
        self.lasting.disk_grace.take_if(|until| could_exit && *until < Instant::now());
    }

    /// Extends the grace of a replica that could not exit meanwhile because it was held.
    pub(super) fn renew_disk_grace(&mut self) {
        if let Some(until) = &mut self.lasting.disk_grace {
            *until = (*until).max(Instant::now() + DISK_FAULT_GRACE);
        }
    }
}
