//! Lists the system calls that change files or make them durable, and builds the filter that traps
//! exactly those.
//!
//! Not trapped are calls that name files by path (`open`, `rename`, `unlink`, …), writes through a
//! mapping, and Linux's own asynchronous I/O: faults do not affect them. `io_uring` is disabled.

use nix::libc::{self, c_long, sock_filter};

/// What a system call does to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyscallKind {
    /// Allocates or frees space, depending on its second argument.
    Allocate,
    /// Sets its length to the second argument.
    Resize,
    /// Makes it durable.
    Sync,
    /// Makes everything durable, without naming a file.
    SyncAll,
    /// Puts bytes into it.
    Write,
}

/// A system call that is trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TrappedCall {
    number: c_long,
    pub(super) kind: SyscallKind,
    /// Which argument is the descriptor of the file.
    pub(super) fd_argument: usize,
}

const fn trapped_call(number: c_long, kind: SyscallKind, fd_argument: usize) -> TrappedCall {
    TrappedCall { number, kind, fd_argument }
}

const TRAPPED: &[TrappedCall] = &[
    trapped_call(libc::SYS_copy_file_range, SyscallKind::Write, 2),
    trapped_call(libc::SYS_fallocate, SyscallKind::Allocate, 0),
    trapped_call(libc::SYS_fdatasync, SyscallKind::Sync, 0),
    trapped_call(libc::SYS_fsync, SyscallKind::Sync, 0),
    trapped_call(libc::SYS_ftruncate, SyscallKind::Resize, 0),
    trapped_call(libc::SYS_pwrite64, SyscallKind::Write, 0),
    trapped_call(libc::SYS_pwritev, SyscallKind::Write, 0),
    trapped_call(libc::SYS_pwritev2, SyscallKind::Write, 0),
    trapped_call(libc::SYS_sendfile, SyscallKind::Write, 0),
    trapped_call(libc::SYS_splice, SyscallKind::Write, 2),
    trapped_call(libc::SYS_sync, SyscallKind::SyncAll, 0),
    trapped_call(libc::SYS_sync_file_range, SyscallKind::Sync, 0),
    trapped_call(libc::SYS_syncfs, SyscallKind::Sync, 0),
    trapped_call(libc::SYS_write, SyscallKind::Write, 0),
    trapped_call(libc::SYS_writev, SyscallKind::Write, 0),
];

/// The kernel's name of the architecture of the filter; others number system calls differently.
#[cfg(target_arch = "x86_64")]
const AUDIT_ARCH_X86_64: u32 = 0xc000_003e;

/// The trapped call of that number.
pub(super) fn find_trapped_call(number: c_long) -> Option<TrappedCall> {
    TRAPPED.iter().copied().find(|call| call.number == number)
}

/// The filter program; `None` on architectures without one.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn filter() -> Option<Vec<sock_filter>> {
    None
}

/// The program that the kernel runs before each system call.
#[cfg(target_arch = "x86_64")]
pub(super) fn build_filter() -> Option<Vec<sock_filter>> {
    let traps = u8::try_from(TRAPPED.len()).ok()?;
    let no_ring = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let mut program = vec![
        load_word(std::mem::offset_of!(libc::seccomp_data, arch)),
        skip_unless_equal(AUDIT_ARCH_X86_64, traps + 2),
        load_word(std::mem::offset_of!(libc::seccomp_data, nr)),
        skip_if_equal(libc::SYS_io_uring_setup, traps + 2),
    ];
    let trap = |(call, left): (&TrappedCall, u8)| skip_if_equal(call.number, left);
    program.extend(TRAPPED.iter().zip((1..=traps).rev()).map(trap));
    program.extend(
        [libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_USER_NOTIF, no_ring].map(return_action),
    );
    Some(program)
}

fn bpf_instruction(code: u32, value: u32, (then, or): (u8, u8)) -> sock_filter {
    // All codes fit: classic BPF has 16 bits for them.
    sock_filter { code: code as u16, jt: then, jf: or, k: value }
}

/// Reads what is at that place in the description of the call.
fn load_word(place: usize) -> sock_filter {
    bpf_instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, place as u32, (0, 0))
}

/// Leaves out so many instructions when the value is this one.
fn skip_if_equal(number: c_long, skipped: u8) -> sock_filter {
    bpf_instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, number as u32, (skipped, 0))
}

/// Leaves out so many instructions unless the value is this one.
fn skip_unless_equal(value: u32, skipped: u8) -> sock_filter {
    bpf_instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, (0, skipped))
}

/// Decides.
fn return_action(action: u32) -> sock_filter {
    bpf_instruction(libc::BPF_RET | libc::BPF_K, action, (0, 0))
}
