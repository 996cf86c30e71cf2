//! Makes system calls of a host's processes on files of one directory fail or take longer.
//!
//! It needs no device and no privileges. The calls of the host's thread, and so of every replica it
//! starts, are trapped ([`super::calls`]). A thread of the controller receives each
//! ([`super::seccomp_notify`]), looks up its file in `/proc`, and answers: continue, fail, or
//! continue later. It never sleeps during one call, because others wait behind it, and a waiting
//! process can be killed. The kernel executes a call or nothing does: no call is emulated.

use super::calls::{self, Call, Deed};
use super::fault::{Counts, Fault, Switch, Wish};
use super::seccomp_notify::{self, Notice};
use crate::host::thread::Host;
use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A directory and its supervising thread. It must outlive every process that its host starts.
pub(super) struct SyscallFilter {
    directory: PathBuf,
    switch: Arc<Switch>,
    bell: Option<UnixStream>,
    keeper: Option<JoinHandle<()>>,
}

impl SyscallFilter {
    /// Makes a directory and watches over it, as far as what this host starts from now on is
    /// concerned.
    pub(super) fn stand(host: &Host, directory: &Path) -> Result<Self> {
        let cannot = || format!("cannot create {}", directory.display());
        fs::create_dir_all(directory).with_context(cannot)?;
        // The kernel tells whole paths without links.
        let directory = fs::canonicalize(directory).with_context(cannot)?;
        let filter = calls::filter().ok_or_else(|| anyhow!("the filter is for x86-64 only"))?;
        let listener = host.run(move || seccomp_notify::trap(&filter))?;
        let listener = listener.context("the kernel has system calls of replicas not trapped")?;
        let (bell, hears) = UnixStream::pair().context("no socket to ring with")?;
        let switch = Arc::new(Switch::default());
        let keeper = Keeper {
            listener,
            hears,
            switch: Arc::clone(&switch),
            directory: directory.clone(),
            waiting: Vec::new(),
        };
        let keeper = std::thread::Builder::new().name("gate".to_owned()).spawn(|| keeper.keep());
        let keeper = keeper.context("cannot start the thread of a gate")?;
        Ok(Self { directory, switch, bell: Some(bell), keeper: Some(keeper) })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Changes the fault, also for waiting calls; returns the counts until then.
    pub(super) fn set(&self, fault: Fault) -> Counts {
        let counts = self.switch.set(fault);
        // The receiver is gone only during shutdown.
        self.bell.iter().for_each(|mut bell| drop(bell.write(&[1])));
        counts
    }

    pub(super) fn counts(&self) -> Counts {
        self.switch.counts()
    }
}

impl Drop for SyscallFilter {
    fn drop(&mut self) {
        drop(self.bell.take());
        // The thread ends now that the bell is closed; a panic was reported already.
        drop(self.keeper.take().map(JoinHandle::join));
    }
}

/// Who hears and answers.
struct Keeper {
    listener: OwnedFd,
    hears: UnixStream,
    switch: Arc<Switch>,
    directory: PathBuf,
    waiting: Vec<Waiting>,
}

/// A sync that is to take longer.
struct Waiting {
    id: u64,
    since: Instant,
    delay: Duration,
}

impl Waiting {
    fn left(&self) -> Duration {
        self.delay.saturating_sub(self.since.elapsed())
    }
}

impl Keeper {
    /// Answers calls until the bell is closed, or no trapped process is left.
    fn keep(mut self) {
        loop {
            let (called, rung) = self.await_someone();
            if called.contains(PollFlags::POLLIN) {
                self.treat_next();
            } else if called.contains(PollFlags::POLLHUP) {
                return;
            }
            if !rung.is_empty() {
                match self.hears.read(&mut [0; 64]) {
                    // What was wrong is not any more.
                    Ok(1..) => self.release(|_| true),
                    _ => return,
                }
            }
            self.release(|waiting| waiting.left().is_zero());
        }
    }

    /// Waits for a call, for the bell, or until a wait is over.
    fn await_someone(&self) -> (PollFlags, PollFlags) {
        let next = self.waiting.iter().map(Waiting::left).min();
        // Rounded up, so as not to look again and again during the last part of a millisecond.
        let millis = next.map(|left| u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX));
        let mut both = [&self.listener.as_fd(), &self.hears.as_fd()]
            .map(|descriptor| PollFd::new(*descriptor, PollFlags::POLLIN));
        // An interrupted wait has seen nothing.
        let _ = poll(&mut both, millis.map_or(PollTimeout::NONE, PollTimeout::from));
        let [called, rung] = both.map(|one| one.revents().unwrap_or(PollFlags::empty()));
        (called, rung)
    }

    fn treat_next(&mut self) {
        let Ok(Some(notice)) = seccomp_notify::hear(self.listener.as_fd()) else { return };
        let said = match self.fate(&notice) {
            Ok(Some(delay)) => {
                return self.waiting.push(Waiting { id: notice.id, since: Instant::now(), delay });
            }
            Ok(None) => Ok(()),
            Err(errno) => Err(errno),
        };
        self.answer(notice.id, said);
    }

    /// Lets go who has waited long enough, or for a disk that is another one now.
    fn release(&mut self, so: impl Fn(&Waiting) -> bool) {
        let waiting = std::mem::take(&mut self.waiting);
        let (over, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(so);
        self.waiting = rest;
        for waiting in over {
            // A call released early, or of a killed process, is no evidence of the current fault.
            if self.answer(waiting.id, Ok(())) && waiting.left().is_zero() {
                self.switch.delayed(waiting.since.elapsed());
            }
        }
    }

    /// Whether anyone was there to hear it: who has died needs no answer.
    fn answer(&self, id: u64, said: Result<(), Errno>) -> bool {
        seccomp_notify::answer(self.listener.as_fd(), id, said).unwrap_or(false)
    }

    /// How much longer a call is to take, or why it fails.
    fn fate(&self, notice: &Notice) -> Result<Option<Duration>, Errno> {
        let call = calls::trapped(notice.number).filter(|_| !self.switch.is_whole());
        let Some(call) = call else { return Ok(None) };
        let file = File::of(notice, call);
        let wish = match call.deed {
            // It names no file and cannot fail.
            Deed::SyncAll => return Ok(self.switch.slowness()),
            _ if !file.is_below(&self.directory) => return Ok(None),
            Deed::Sync => Wish::Change,
            Deed::Allocate if notice.arguments[1] & FREES != 0 => Wish::Change,
            Deed::Resize if notice.arguments[1] <= file.size() => Wish::Change,
            Deed::Allocate | Deed::Resize | Deed::Write => Wish::Grow,
        };
        let admitted = self.switch.admit(wish);
        admitted.map_err(|why| why.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        let syncs = || call.deed == Deed::Sync || call.deed == Deed::Write && file.is_synchronous();
        Ok(self.switch.slowness().filter(|_| syncs()))
    }
}

/// What `fallocate` is told to take room away.
const FREES: u64 =
    (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_COLLAPSE_RANGE).cast_unsigned() as u64;

/// A file that a process has open.
struct File {
    process: PathBuf,
    descriptor: String,
}

impl File {
    fn of(notice: &Notice, call: Call) -> Self {
        // The kernel takes the lower half, too.
        let descriptor = notice.arguments[call.descriptor] as u32;
        let process = PathBuf::from(format!("/proc/{}", notice.thread));
        Self { process, descriptor: descriptor.to_string() }
    }

    fn link(&self) -> PathBuf {
        self.process.join("fd").join(&self.descriptor)
    }

    /// Whether it is in that directory, or is that. A deleted file still has its former path.
    fn is_below(&self, directory: &Path) -> bool {
        fs::read_link(self.link()).is_ok_and(|path| path.starts_with(directory))
    }

    fn size(&self) -> u64 {
        fs::metadata(self.link()).map_or(0, |metadata| metadata.len())
    }

    /// Whether each write to it is a sync as well.
    fn is_synchronous(&self) -> bool {
        let info = self.process.join("fdinfo").join(&self.descriptor);
        let info = fs::read_to_string(info).unwrap_or_default();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|text| i32::from_str_radix(text.trim(), 8).ok()).unwrap_or(0);
        flags & libc::O_DSYNC != 0
    }
}

#[cfg(test)]
mod tests;
