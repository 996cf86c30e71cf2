//! Gives a running replica a wall clock of its own: it jumps, drifts or strobes, and is read back through the replica.
//!
//! A process asks the kernel's vDSO for the time. The first instruction there of `clock_gettime`, `gettimeofday` and
//! `time` is replaced by a jump to a [`stub`], in the unused end of the same pages, which asks the kernel and adds what
//! a [`Skew`] says, to the wall clock only: clocks that measure intervals stay right, as on a machine whose wall clock
//! was set. Nothing is asked of the program: static binaries are hit too. Only this process's copy of the pages
//! changes, and a new program image (exec) gets a fresh one, so whoever holds a skew must call [`set`] again.
//! Not hit: raw system calls, timestamps of files, and timers on the wall clock that the kernel keeps.

#[cfg(target_arch = "x86_64")]
mod call;
#[cfg(target_arch = "x86_64")]
mod patch;
#[cfg(target_arch = "x86_64")]
mod stub;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

use super::process::Replica;
use super::thread::Host;
use anyhow::{Result, ensure};
use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the doctor and a run that is about to begin try the clocks with.
const TRIAL_NS: i64 = 3_600_000_000_000;

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
    pub fn at(&self, now_ns: i64) -> i64 {
        let since = now_ns - self.base_ns;
        if self.period_ns != 0 && (since / self.period_ns) % 2 != 0 {
            return 0;
        }
        let drift = (i128::from(since) * i128::from(self.rate)) >> 32;
        self.offset_ns + i64::try_from(drift).unwrap_or(i64::MAX)
    }
}

/// What a replica's clock said, and the right clock just before and just after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The right time before it was asked.
    pub before_ns: i64,
    /// What it said.
    pub said_ns: i64,
    /// The right time afterwards.
    pub after_ns: i64,
}

/// The right clock itself moves a little while it is kept right.
const SLACK_NS: i64 = 2_000_000;

impl Reading {
    /// How far it is off, as near as can be told.
    pub fn off_ns(&self) -> i64 {
        self.said_ns - i64::midpoint(self.before_ns, self.after_ns)
    }

    /// It cannot be the right time.
    pub fn is_wrong(&self) -> bool {
        self.said_ns < self.before_ns - SLACK_NS || self.said_ns > self.after_ns + SLACK_NS
    }

    /// It is what this skew makes of the right time.
    pub fn fits(&self, skew: &Skew) -> bool {
        let (a, b) =
            (self.before_ns + skew.at(self.before_ns), self.after_ns + skew.at(self.after_ns));
        (a.min(b) - SLACK_NS..=a.max(b) + SLACK_NS).contains(&self.said_ns)
    }
}

/// The right wall clock, in nanoseconds since 1970.
pub fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Sets the clock of a replica and of all that it started. A replica whose image was never touched stands still
/// for some milliseconds; later changes take microseconds and stop nobody.
pub fn set(replica: &mut Replica, skew: &Skew) -> Result<()> {
    #[cfg(target_arch = "x86_64")]
    return patch::set(replica, skew);
    #[cfg(not(target_arch = "x86_64"))]
    anyhow::bail!(unsupported(replica, skew));
}

/// Asks a replica for the time the way it asks itself: its own first thread calls its own `clock_gettime`.
pub fn read(replica: &mut Replica) -> Result<Reading> {
    #[cfg(target_arch = "x86_64")]
    return call::read(replica);
    #[cfg(not(target_arch = "x86_64"))]
    anyhow::bail!(unsupported(replica, &Skew::default()));
}

#[cfg(not(target_arch = "x86_64"))]
fn unsupported(_: &Replica, _: &Skew) -> &'static str {
    "clocks of processes can be set on x86-64 only"
}

/// Sets the clock of a process that does nothing, and reads it back: whether this machine lets clocks be set.
pub fn try_here() -> Result<String> {
    let host = Host::shared("clock")?;
    let args = [OsString::from("60")];
    let mut idle = Replica::spawn(&host, Path::new("sleep"), &args, Path::new("/dev/null"))?;
    // It must have found its way from the first instruction to its long sleep.
    std::thread::sleep(Duration::from_millis(5));
    let skew = Skew { offset_ns: TRIAL_NS, base_ns: now_ns(), ..Skew::default() };
    set(&mut idle, &skew)?;
    let there = read(&mut idle)?;
    set(&mut idle, &Skew::default())?;
    let back = read(&mut idle)?;
    ensure!(there.fits(&skew), "a clock was set an hour ahead, and is {} ns off", there.off_ns());
    ensure!(!back.is_wrong(), "a clock was set right again, and is {} ns off", back.off_ns());
    Ok("the wall clock of a process, an hour ahead and back".to_owned())
}
