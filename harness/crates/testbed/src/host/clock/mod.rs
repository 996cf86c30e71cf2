//! Gives a running replica a wall clock of its own: it jumps, drifts or strobes, and is read back
//! through the replica.
//!
//! A process asks the kernel's vDSO for the time. The first instruction there of `clock_gettime`,
//! `gettimeofday` and `time` is replaced by a jump to a [`stub`], in the unused end of the same
//! pages, which asks the kernel and adds what a [`Skew`] says, to the wall clock only: clocks that
//! measure intervals stay right, as on a machine whose wall clock was set. The program needs no
//! preparation: static binaries work, too. Only this process's copy of the pages changes, and a new
//! program image (exec) gets a fresh one, so a caller with a skew must call [`set`] again. Not
//! affected: raw system calls, timestamps of files, and timers on the wall clock that the kernel
//! keeps.

#[cfg(target_arch = "x86_64")]
mod call;
#[cfg(target_arch = "x86_64")]
mod patch;
mod reading;
#[cfg(target_arch = "x86_64")]
mod stub;
#[cfg(all(test, target_arch = "x86_64"))]
mod tests;

use super::process::Replica;
use super::thread::Host;
use anyhow::{Result, ensure};
pub use reading::{ClockReading, Skew, now_ns};
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

/// What the doctor and a run that is about to begin try the clocks with.
const TRIAL_OFFSET_NS: i64 = 3_600_000_000_000;

/// Sets the clock of a replica and of all that it started. A replica whose image was never touched
/// stands still for some milliseconds; later changes take microseconds and stop no thread.
pub fn set_skew(replica: &mut Replica, skew: &Skew) -> Result<()> {
    #[cfg(target_arch = "x86_64")]
    return patch::set_skew(replica, skew);
    #[cfg(not(target_arch = "x86_64"))]
    anyhow::bail!(unsupported(replica, skew));
}

/// Asks a replica for the time the way it asks itself: its own first thread calls its own
/// `clock_gettime`.
pub fn read_time(replica: &mut Replica) -> Result<ClockReading> {
    #[cfg(target_arch = "x86_64")]
    return call::read_time(replica);
    #[cfg(not(target_arch = "x86_64"))]
    anyhow::bail!(unsupported(replica, &Skew::default()));
}

#[cfg(not(target_arch = "x86_64"))]
fn unsupported(_: &Replica, _: &Skew) -> &'static str {
    "clocks of processes can be set on x86-64 only"
}

/// Sets the clock of a process that does nothing, and reads it back: whether this machine lets
/// clocks be set.
pub fn try_here() -> Result<String> {
    let host = Host::shared("clock")?;
    let args = [OsString::from("60")];
    let mut idle = Replica::spawn(&host, Path::new("sleep"), &args, Path::new("/dev/null"))?;
    // It must have found its way from the first instruction to its long sleep.
    std::thread::sleep(Duration::from_millis(5));
    let skew = Skew { offset_ns: TRIAL_OFFSET_NS, base_ns: now_ns(), ..Skew::default() };
    set_skew(&mut idle, &skew)?;
    let there = read_time(&mut idle)?;
    set_skew(&mut idle, &Skew::default())?;
    let back = read_time(&mut idle)?;
    ensure!(
        there.matches_skew(&skew),
        "a clock was set an hour ahead, and is {} ns off",
        there.offset_ns()
    );
    ensure!(!back.is_wrong(), "a clock was set right again, and is {} ns off", back.offset_ns());
    Ok("the wall clock of a process, an hour ahead and back".to_owned())
}
