//! Decides what a disk does to each request, and counts what it did.

use nix::libc;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// No sync is held for longer, even if the process that holds it disappears.
const LONGEST_HOLD: Duration = Duration::from_secs(2);

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    Whole,
    /// Whatever changes it, or wants to be certain of a change, fails with EIO.
    Failing,
    /// Whatever wants more room fails with ENOSPC.
    Full,
    /// A sync takes so much longer.
    Slow(Duration),
    /// No sync comes to an end: the power is about to go.
    Held,
    /// The power is gone: everything fails.
    Off,
}

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To see something.
    Look,
    /// To change something within the room there is.
    Change,
    /// More room.
    Grow,
}

/// What a disk has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that failed on purpose.
    pub errors: u64,
    /// Syncs that took longer on purpose.
    pub delayed: u64,
    /// How much longer, all together, in milliseconds.
    pub delay_ms: u64,
}

impl Counts {
    fn delayed(&mut self, by: Duration) {
        self.delayed += 1;
        self.delay_ms += u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    }
}

/// A disk's fault and its counts.
#[derive(Debug, Default)]
pub(super) struct Switch {
    inside: Mutex<Inside>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inside {
    fault: Fault,
    counts: Counts,
    held: usize,
    /// Bytes that were ever written.
    written: u64,
}

impl Switch {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is wrong, and counts from zero again; what was done until then.
    pub(super) fn set(&self, fault: Fault) -> Counts {
        let mut inside = self.lock();
        let counts = inside.counts;
        inside.fault = fault;
        if fault != Fault::Off {
            inside.counts = Counts::default();
        }
        self.changed.notify_all();
        counts
    }

    /// What was done since something was last set wrong or right.
    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Whether a sync is being held.
    pub(super) fn is_holding(&self) -> bool {
        self.lock().held > 0
    }

    /// Lets a request through, or says why not.
    pub(super) fn admit(&self, wish: Wish) -> io::Result<()> {
        let mut inside = self.lock();
        let errno = match (inside.fault, wish) {
            (Fault::Off, _) | (Fault::Failing, Wish::Change | Wish::Grow) => libc::EIO,
            (Fault::Full, Wish::Grow) => libc::ENOSPC,
            _ => return Ok(()),
        };
        inside.counts.errors += 1;
        Err(io::Error::from_raw_os_error(errno))
    }

    /// Lets a sync through when it is time, or says why not.
    pub(super) fn admit_sync(&self) -> io::Result<()> {
        self.admit(Wish::Change)?;
        let mut inside = self.lock();
        match inside.fault {
            Fault::Slow(delay) => {
                inside = self.wait(inside, delay, |fault| fault == Fault::Slow(delay));
                inside.counts.delayed(delay);
            }
            Fault::Held => {
                inside.held += 1;
                inside = self.wait(inside, LONGEST_HOLD, |fault| fault == Fault::Held);
                inside.held -= 1;
            }
            _ => {}
        }
        drop(inside);
        self.admit(Wish::Change)
    }

    /// Whether nothing is wrong.
    pub(super) fn is_whole(&self) -> bool {
        self.lock().fault == Fault::Whole
    }

    /// How much longer a sync is to take, for a caller that does not wait here.
    pub(super) fn slowness(&self) -> Option<Duration> {
        match self.lock().fault {
            Fault::Slow(delay) => Some(delay),
            _ => None,
        }
    }

    /// A sync took so much longer.
    pub(super) fn delayed(&self, by: Duration) {
        self.lock().counts.delayed(by);
    }

    /// Waits so long, or until the fault is another one.
    fn wait<'a>(
        &self,
        mut inside: MutexGuard<'a, Inside>,
        time: Duration,
        while_it: impl Fn(Fault) -> bool,
    ) -> MutexGuard<'a, Inside> {
        let until = Instant::now() + time;
        while while_it(inside.fault) && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            let waited = self.changed.wait_timeout(inside, left);
            inside = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        inside
    }

    /// A write of so many bytes succeeded.
    pub(super) fn wrote(&self, bytes: usize) {
        self.lock().written += bytes as u64;
    }

    /// How many bytes were ever written.
    pub(super) fn written(&self) -> u64 {
        self.lock().written
    }
}
