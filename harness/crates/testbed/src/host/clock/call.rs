//! Makes a replica's first thread call its own `clock_gettime`, and returns the result.
//!
//! The thread is interrupted wherever it is, as a debugger does it, and goes on from there; a
//! system call that it was in is taken up again by the kernel. It uses the thread's stack beyond
//! what the thread may be using.

use super::super::process::Replica;
use super::patch::Vdso;
use super::reading::{ClockReading, now_ns};
use super::stub;
use anyhow::{Context as _, Result, bail, ensure};
use nix::errno::Errno;
use nix::libc::user_regs_struct;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

/// What the ABI lets a function use below its stack pointer without saying so.
const RED_ZONE: u64 = 128;
/// How long one answer may take; a machine that is busy takes its time.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_micros(100);
/// How many times that patience a thread that does not stop is waited for before it is given up.
const DETACH_ATTEMPTS: usize = 5;

/// A thread that is held; let go when dropped.
struct SeizedThread {
    thread: Pid,
    registers: Option<user_regs_struct>,
}

/// Reads the replica's clock.
pub(super) fn read_time(replica: &mut Replica) -> Result<ClockReading> {
    ensure!(replica.poll_exit().is_none(), "the replica has ended");
    let pid = replica.pid();
    let vdso = Vdso::open(pid)?;
    let stub = vdso.stub_address().context("this clock was never set")?;
    let function = vdso.function_address("clock_gettime")?;
    let mut held = SeizedThread::seize(Pid::from_raw(pid))?;
    let before_ns = now_ns();
    let time = held.call_clock_gettime(&vdso, function, stub + stub::trap_offset() as u64)?;
    let after_ns = now_ns();
    drop(held);
    let [seconds, nanos] = time;
    Ok(ClockReading { before_ns, reported_ns: seconds * 1_000_000_000 + nanos, after_ns })
}

impl SeizedThread {
    /// Interrupts a thread.
    fn seize(thread: Pid) -> Result<Self> {
        ptrace::seize(thread, Options::empty()).context("the replica may not be traced")?;
        let held = Self { thread, registers: None };
        ptrace::interrupt(thread).context("cannot interrupt the replica")?;
        held.wait_for_stop()?;
        Ok(held)
    }

    /// Calls `clock_gettime(CLOCK_REALTIME, …)`, which returns to a trap.
    fn call_clock_gettime(&mut self, vdso: &Vdso, function: u64, trap: u64) -> Result<[i64; 2]> {
        let before = ptrace::getregs(self.thread).context("cannot read registers")?;
        let time_at = (before.rsp - RED_ZONE - 16) & !15;
        let stack = time_at - 8;
        vdso.memory.write_all_at(&[0; 16], time_at).context("cannot write the stack")?;
        vdso.memory.write_all_at(&trap.to_le_bytes(), stack).context("cannot write the stack")?;
        let mut registers = before;
        (registers.rip, registers.rsp) = (function, stack);
        (registers.rdi, registers.rsi) = (0, time_at);
        // This is no system call that the kernel should take up again.
        (registers.rax, registers.orig_rax) = (0, u64::MAX);
        self.registers = Some(before);
        ptrace::setregs(self.thread, registers).context("cannot write registers")?;
        self.run_to(trap + 1)?;
        let mut time = [0; 16];
        vdso.memory.read_exact_at(&mut time, time_at).context("cannot read the stack")?;
        let (seconds, nanos) = time.split_at(8);
        Ok([seconds, nanos].map(|half| i64::from_le_bytes(half.try_into().unwrap_or_default())))
    }

    /// Lets the thread go on until it is trapped there. Signals for it that come meanwhile are kept
    /// for later.
    fn run_to(&self, place: u64) -> Result<()> {
        let mut kept = Vec::new();
        let ran = loop {
            ptrace::cont(self.thread, None).context("the replica cannot go on")?;
            match self.wait_for_stop()? {
                WaitStatus::Stopped(_, Signal::SIGTRAP) => {
                    let at = ptrace::getregs(self.thread).context("cannot read registers")?.rip;
                    break if at == place { Ok(()) } else { Err(at) };
                }
                WaitStatus::Stopped(_, signal) => kept.push(signal),
                // It was interrupted, or stopped with its group, before it went on.
                _ => {}
            }
        };
        for signal in kept {
            kill(self.thread, signal).context("a signal cannot be given back")?;
        }
        match ran {
            Ok(()) => Ok(()),
            Err(at) => bail!("the replica was trapped at {at:#x} instead of {place:#x}"),
        }
    }

    fn wait_for_stop(&self) -> Result<WaitStatus> {
        let deadline = Instant::now() + STOP_TIMEOUT;
        let flags = WaitPidFlag::__WALL | WaitPidFlag::WNOHANG;
        loop {
            match waitpid(self.thread, Some(flags)) {
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
                Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) => {
                    bail!("the replica ended while its clock was read")
                }
                Ok(status) => return Ok(status),
                Err(errno) => bail!("cannot wait for the replica ({})", errno.desc()),
            }
            ensure!(
                Instant::now() < deadline,
                "the replica does not stop for its clock to be read"
            );
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for SeizedThread {
    /// An exited thread needs no restore. One that has not stopped yet, because it waits for the
    /// disk, must not stop later when no tracer is left to resume it.
    fn drop(&mut self) {
        for _ in 0..DETACH_ATTEMPTS {
            let restored =
                self.registers.map_or(Ok(()), |before| ptrace::setregs(self.thread, before));
            let freed = restored.and_then(|()| ptrace::detach(self.thread, None));
            if freed.is_ok() || self.wait_for_stop().is_err() && kill(self.thread, None).is_err() {
                return;
            }
        }
    }
}
