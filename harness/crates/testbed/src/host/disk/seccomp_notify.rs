//! Implements the kernel's seccomp notification protocol: traps calls of a thread and its children,
//! receives them and answers.
//!
//! The filter applies to a thread and all its future children for good. While the listener is open,
//! a trapped call waits for its answer, but can still be ended by SIGKILL. Once it is closed such
//! calls fail, so it must outlive every trapped process.

use nix::errno::Errno;
use nix::libc::{self, c_long, c_ulong, c_void, sock_filter};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// The kernel's structures may have grown since ours were written down; it is told none of their
/// sizes.
const PADDING_BYTES: usize = 512;
/// Wakes the waiting process on the processor of the answering one, because they alternate anyway.
/// Since Linux 6.6.
const FD_SYNC_WAKE_UP: u64 = 1;

#[repr(C)]
struct Padded<T> {
    inner: T,
    _padding: [u8; PADDING_BYTES],
}

/// A trapped call, which waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Notification {
    /// The identifier of its answer.
    pub(super) id: u64,
    /// The calling thread, by its id in this pid namespace.
    pub(super) thread: u32,
    /// The number of the call.
    pub(super) number: c_long,
    /// Its arguments.
    pub(super) arguments: [u64; 6],
}

/// Installs the filter for this thread and every process that it starts.
pub(super) fn install_filter(filter: &[sock_filter]) -> io::Result<OwnedFd> {
    // Without it an ordinary user may set no filter: setuid programs must not be deceived.
    nix::sys::prctl::set_no_new_privs()?;
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // So that a signal does not make a process ask once more what it is waiting for. Since Linux
    // 5.19.
    let calmly = listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let opened = match set_filter(filter, calmly) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => set_filter(filter, listener),
        opened => opened,
    }?;
    set_flags(&opened);
    Ok(opened)
}

fn set_filter(filter: &[sock_filter], flags: c_ulong) -> io::Result<OwnedFd> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).map_err(io::Error::other)?,
        filter: filter.as_ptr().cast_mut(),
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    #[expect(unsafe_code, reason = "neither std nor nix sets a filter of system calls")]
    // SAFETY: the program and its instructions live until the call returns, and the kernel only
    // reads them; it returns a new descriptor that has no other owner.
    unsafe {
        let opened = libc::syscall(libc::SYS_seccomp, mode, flags, &raw const program);
        let opened = i32::try_from(Errno::result(opened)?).map_err(io::Error::other)?;
        Ok(OwnedFd::from_raw_fd(opened))
    }
}

/// Enables faster answers; older kernels refuse this and are slower.
fn set_flags(listener: &OwnedFd) {
    let (of, request) = (listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS);
    #[expect(unsafe_code, reason = "nix does not know this ioctl")]
    // SAFETY: the kernel takes the flags from the argument itself, which is no pointer.
    let _ = unsafe { libc::ioctl(of, request, FD_SYNC_WAKE_UP) };
}

/// The next call that waits, if it still does: a process may have been killed meanwhile.
pub(super) fn receive_notification(listener: BorrowedFd<'_>) -> io::Result<Option<Notification>> {
    #[expect(unsafe_code, reason = "the kernel wants these structures empty")]
    // SAFETY: both structures are plain numbers, of which zero is one.
    let mut heard: Padded<libc::seccomp_notif> = unsafe { std::mem::zeroed() };
    let place = (&raw mut heard).cast();
    if !is_delivered(ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_RECV, place))? {
        return Ok(None);
    }
    let libc::seccomp_notif { id, pid, data, .. } = heard.inner;
    Ok(Some(Notification { id, thread: pid, number: c_long::from(data.nr), arguments: data.args }))
}

/// Lets a call go on, or makes it fail; whether anyone still waited for that.
pub(super) fn send_response(
    listener: BorrowedFd<'_>,
    id: u64,
    response: Result<(), Errno>,
) -> io::Result<bool> {
    let inner = match response {
        Ok(()) => libc::seccomp_notif_resp {
            id,
            val: 0,
            error: 0,
            flags: libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32,
        },
        Err(errno) => libc::seccomp_notif_resp { id, val: 0, error: -(errno as i32), flags: 0 },
    };
    let mut told = Padded { inner, _padding: [0; PADDING_BYTES] };
    is_delivered(ioctl(listener, libc::SECCOMP_IOCTL_NOTIF_SEND, (&raw mut told).cast()))
}

/// Whether the answer was delivered; the process may have exited.
fn is_delivered(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The argument points to one of the kernel's structures with room behind it.
fn ioctl(listener: BorrowedFd<'_>, request: libc::Ioctl, argument: *mut c_void) -> io::Result<()> {
    let of = listener.as_raw_fd();
    #[expect(unsafe_code, reason = "nix does not know these ioctls")]
    // SAFETY: this module passes only structures larger than the kernel's, which live on.
    let result = unsafe { libc::ioctl(of, request, argument) };
    Errno::result(result)?;
    Ok(())
}
