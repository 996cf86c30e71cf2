//! Makes system calls of a host's processes on files of one directory fail or take longer.
//!
//! It needs no device and no privileges. The calls of the host's thread, and so of every replica it
//! starts, are trapped ([`super::calls`]). A thread of the controller receives each
//! ([`super::seccomp_notify`]), looks up its file in `/proc`, and answers: continue, fail, or
//! continue later. It never sleeps during one call, because others wait behind it, and a waiting
//! process can be killed. The kernel executes a call or nothing does: no call is emulated.

use super::calls::{self, SyscallKind, TrappedCall};
use super::fault::{DiskCounts, DiskRequest, Fault, FaultInjector};
use super::seccomp_notify::{self, Notification};
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
    injector: Arc<FaultInjector>,
    wake_sender: Option<UnixStream>,
    supervisor: Option<JoinHandle<()>>,
}

impl SyscallFilter {
    /// Makes a directory and watches over it, as far as what this host starts from now on is
    /// concerned.
    pub(super) fn install_on(host: &Host, directory: &Path) -> Result<Self> {
        let cannot = || format!("cannot create {}", directory.display());
        fs::create_dir_all(directory).with_context(cannot)?;
        // The kernel reports absolute paths without symbolic links.
        let directory = fs::canonicalize(directory).with_context(cannot)?;
        let filter =
            calls::build_filter().ok_or_else(|| anyhow!("the filter is for x86-64 only"))?;
        let listener = host.run(move || seccomp_notify::install_filter(&filter))?;
        let listener = listener.context("the kernel does not let this user trap system calls")?;
        let (wake_sender, wake_receiver) = UnixStream::pair()
            .context("cannot create the socket that wakes the system-call filter")?;
        let injector = Arc::new(FaultInjector::default());
        let supervisor = Supervisor {
            listener,
            wake_receiver,
            injector: Arc::clone(&injector),
            directory: directory.clone(),
            delayed: Vec::new(),
        };
        let supervisor = std::thread::Builder::new()
            .name("seccomp".to_owned())
            .spawn(|| supervisor.handle_calls());
        let supervisor = supervisor.context("cannot start the thread of the system-call filter")?;
        Ok(Self {
            directory,
            injector,
            wake_sender: Some(wake_sender),
            supervisor: Some(supervisor),
        })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Changes the fault, also for waiting calls; returns the counts until then.
    pub(super) fn set_fault(&self, fault: Fault) -> DiskCounts {
        let counts = self.injector.set_fault(fault);
        // The receiver is gone only during shutdown.
        self.wake_sender.iter().for_each(|mut sender| drop(sender.write(&[1])));
        counts
    }

    pub(super) fn counts(&self) -> DiskCounts {
        self.injector.counts()
    }
}

impl Drop for SyscallFilter {
    fn drop(&mut self) {
        drop(self.wake_sender.take());
        // The thread ends when the wake socket is closed; a panic was reported already.
        drop(self.supervisor.take().map(JoinHandle::join));
    }
}

/// The thread that receives and answers trapped calls.
struct Supervisor {
    listener: OwnedFd,
    wake_receiver: UnixStream,
    injector: Arc<FaultInjector>,
    directory: PathBuf,
    delayed: Vec<DelayedSync>,
}

/// A sync that is being delayed.
struct DelayedSync {
    id: u64,
    since: Instant,
    delay: Duration,
}

impl DelayedSync {
    fn remaining(&self) -> Duration {
        self.delay.saturating_sub(self.since.elapsed())
    }
}

impl Supervisor {
    /// Answers calls until the wake socket is closed, or no trapped process is left.
    fn handle_calls(mut self) {
        loop {
            let (called, woken) = self.wait_for_event();
            if called.contains(PollFlags::POLLIN) {
                self.handle_next_call();
            } else if called.contains(PollFlags::POLLHUP) {
                return;
            }
            if !woken.is_empty() {
                match self.wake_receiver.read(&mut [0; 64]) {
                    // The fault has changed.
                    Ok(1..) => self.release_delayed(|_| true),
                    _ => return,
                }
            }
            self.release_delayed(|waiting| waiting.remaining().is_zero());
        }
    }

    /// Waits for a call, for the wake socket, or until a delay is over.
    fn wait_for_event(&self) -> (PollFlags, PollFlags) {
        let next = self.delayed.iter().map(DelayedSync::remaining).min();
        // Rounded up, so as not to look again and again during the last part of a millisecond.
        let millis = next.map(|left| u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX));
        let mut both = [&self.listener.as_fd(), &self.wake_receiver.as_fd()]
            .map(|descriptor| PollFd::new(*descriptor, PollFlags::POLLIN));
        // An interrupted wait has seen nothing.
        let _ = poll(&mut both, millis.map_or(PollTimeout::NONE, PollTimeout::from));
        let [called, woken] = both.map(|one| one.revents().unwrap_or(PollFlags::empty()));
        (called, woken)
    }

    fn handle_next_call(&mut self) {
        let Ok(Some(notice)) = seccomp_notify::receive_notification(self.listener.as_fd()) else {
            return;
        };
        let said = match self.decide_outcome(&notice) {
            Ok(Some(delay)) => {
                return self.delayed.push(DelayedSync {
                    id: notice.id,
                    since: Instant::now(),
                    delay,
                });
            }
            Ok(None) => Ok(()),
            Err(errno) => Err(errno),
        };
        self.send_response(notice.id, said);
    }

    /// Releases syncs whose delay is over, or whose fault has changed.
    fn release_delayed(&mut self, so: impl Fn(&DelayedSync) -> bool) {
        let waiting = std::mem::take(&mut self.delayed);
        let (over, rest): (Vec<_>, Vec<_>) = waiting.into_iter().partition(so);
        self.delayed = rest;
        for waiting in over {
            // A call released early, or of a killed process, is no evidence of the current fault.
            if self.send_response(waiting.id, Ok(())) && waiting.remaining().is_zero() {
                self.injector.count_delayed_sync(waiting.since.elapsed());
            }
        }
    }

    /// Returns whether the answer was delivered: a dead process needs none.
    fn send_response(&self, id: u64, response: Result<(), Errno>) -> bool {
        seccomp_notify::send_response(self.listener.as_fd(), id, response).unwrap_or(false)
    }

    /// By how much a call is delayed, or why it fails.
    fn decide_outcome(&self, notice: &Notification) -> Result<Option<Duration>, Errno> {
        let call = calls::find_trapped_call(notice.number).filter(|_| !self.injector.is_healthy());
        let Some(call) = call else { return Ok(None) };
        let file = OpenFile::from_call(notice, call);
        let request = match call.kind {
            // It names no file and cannot fail.
            SyscallKind::SyncAll => return Ok(self.injector.sync_delay()),
            _ if !file.is_below(&self.directory) => return Ok(None),
            SyscallKind::Sync => DiskRequest::Modify,
            SyscallKind::Allocate if notice.arguments[1] & DEALLOCATING_MODES != 0 => {
                DiskRequest::Modify
            }
            SyscallKind::Resize if notice.arguments[1] <= file.size() => DiskRequest::Modify,
            SyscallKind::Allocate | SyscallKind::Resize | SyscallKind::Write => DiskRequest::Grow,
        };
        let admitted = self.injector.admit_request(request);
        admitted.map_err(|why| why.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        let syncs = || {
            call.kind == SyscallKind::Sync
                || call.kind == SyscallKind::Write && file.is_synchronous()
        };
        Ok(self.injector.sync_delay().filter(|_| syncs()))
    }
}

/// The mode of `fallocate` that frees space.
const DEALLOCATING_MODES: u64 =
    (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_COLLAPSE_RANGE).cast_unsigned() as u64;

/// A file that a process has open.
struct OpenFile {
    process: PathBuf,
    descriptor: String,
}

impl OpenFile {
    fn from_call(notice: &Notification, call: TrappedCall) -> Self {
        // The kernel takes the lower half, too.
        let descriptor = notice.arguments[call.fd_argument] as u32;
        let process = PathBuf::from(format!("/proc/{}", notice.thread));
        Self { process, descriptor: descriptor.to_string() }
    }

    fn proc_link(&self) -> PathBuf {
        self.process.join("fd").join(&self.descriptor)
    }

    /// Whether it is in that directory, or is that. A deleted file still has its former path.
    fn is_below(&self, directory: &Path) -> bool {
        fs::read_link(self.proc_link()).is_ok_and(|path| path.starts_with(directory))
    }

    fn size(&self) -> u64 {
        fs::metadata(self.proc_link()).map_or(0, |metadata| metadata.len())
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
