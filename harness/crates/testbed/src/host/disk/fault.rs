//! Decides what a disk does to each request, and counts what it did.

use nix::libc;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// No sync is held for longer, even if the process that holds it disappears.
const MAX_HOLD: Duration = Duration::from_secs(2);

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    Healthy,
    /// Every change and every sync fails with EIO.
    IoError,
    /// Every request that needs more space fails with ENOSPC.
    Full,
    /// A sync takes so much longer.
    SlowSync(Duration),
    /// No sync completes: power loss is imminent.
    HoldSync,
    /// Power is lost: every request fails.
    PowerOff,
}

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskRequest {
    /// A read.
    Read,
    /// A change that needs no more space.
    Modify,
    /// A change that needs more space.
    Grow,
}

/// What a disk has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskCounts {
    /// Requests that failed on purpose.
    pub errors: u64,
    /// Syncs that took longer on purpose.
    pub delayed: u64,
    /// How much longer, all together, in milliseconds.
    pub delay_ms: u64,
}

impl DiskCounts {
    fn add_delay(&mut self, by: Duration) {
        self.delayed += 1;
        self.delay_ms += u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    }
}

/// A disk's fault and its counts.
#[derive(Debug, Default)]
pub(super) struct FaultInjector {
    state: Mutex<InjectorState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct InjectorState {
    fault: Fault,
    counts: DiskCounts,
    held_syncs: usize,
    /// Bytes that were ever written.
    written_bytes: u64,
}

impl FaultInjector {
    fn lock_state(&self) -> MutexGuard<'_, InjectorState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is wrong, and counts from zero again; what was done until then.
    pub(super) fn set_fault(&self, fault: Fault) -> DiskCounts {
        let mut state = self.lock_state();
        let counts = state.counts;
        state.fault = fault;
        if fault != Fault::PowerOff {
            state.counts = DiskCounts::default();
        }
        self.changed.notify_all();
        counts
    }

    /// What was done since something was last set wrong or right.
    pub(super) fn counts(&self) -> DiskCounts {
        self.lock_state().counts
    }

    /// Whether a sync is being held.
    pub(super) fn is_holding_sync(&self) -> bool {
        self.lock_state().held_syncs > 0
    }

    /// Admits a request, or returns why it fails.
    pub(super) fn admit_request(&self, request: DiskRequest) -> io::Result<()> {
        let mut state = self.lock_state();
        let errno = match (state.fault, request) {
            (Fault::PowerOff, _) | (Fault::IoError, DiskRequest::Modify | DiskRequest::Grow) => {
                libc::EIO
            }
            (Fault::Full, DiskRequest::Grow) => libc::ENOSPC,
            _ => return Ok(()),
        };
        state.counts.errors += 1;
        Err(io::Error::from_raw_os_error(errno))
    }

    /// Admits a sync after its delay, or returns why it fails.
    pub(super) fn admit_sync(&self) -> io::Result<()> {
        self.admit_request(DiskRequest::Modify)?;
        let mut state = self.lock_state();
        match state.fault {
            Fault::SlowSync(delay) => {
                state = self.wait_while(state, delay, |fault| fault == Fault::SlowSync(delay));
                state.counts.add_delay(delay);
            }
            Fault::HoldSync => {
                state.held_syncs += 1;
                state = self.wait_while(state, MAX_HOLD, |fault| fault == Fault::HoldSync);
                state.held_syncs -= 1;
            }
            _ => {}
        }
        drop(state);
        self.admit_request(DiskRequest::Modify)
    }

    /// Whether nothing is wrong.
    pub(super) fn is_healthy(&self) -> bool {
        self.lock_state().fault == Fault::Healthy
    }

    /// By how much a sync is delayed, for a caller that does not wait here.
    pub(super) fn sync_delay(&self) -> Option<Duration> {
        match self.lock_state().fault {
            Fault::SlowSync(delay) => Some(delay),
            _ => None,
        }
    }

    /// A sync took so much longer.
    pub(super) fn count_delayed_sync(&self, by: Duration) {
        self.lock_state().counts.add_delay(by);
    }

    /// Waits so long, or until the fault is another one.
    fn wait_while<'a>(
        &self,
        mut state: MutexGuard<'a, InjectorState>,
        time: Duration,
        while_it: impl Fn(Fault) -> bool,
    ) -> MutexGuard<'a, InjectorState> {
        let until = Instant::now() + time;
        while while_it(state.fault) && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }

    /// A write of so many bytes succeeded.
    pub(super) fn count_written(&self, bytes: usize) {
        self.lock_state().written_bytes += bytes as u64;
    }

    /// How many bytes were ever written.
    pub(super) fn written_bytes(&self) -> u64 {
        self.lock_state().written_bytes
    }
}
