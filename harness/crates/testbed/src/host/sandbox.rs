//! Enters user, mount, pid and network namespaces by running the harness again in them, before
//! tokio starts.
//!
//! Three processes form a chain: the *outer* one that the user started, *pid 1* of the new
//! namespaces, and the *controller*, pid 2. The outer one and pid 1 only pass signals down and the
//! exit code up. Pid 1 asks the kernel for SIGKILL when the outer one dies, and exits with the
//! controller; with pid 1 the kernel kills everything in its namespaces. So no kind of exit leaves
//! a process, a link or a rule behind.
//!
//! Pid 1 leads a process group of its own: Ctrl-C on a terminal reaches the outer process alone and
//! the controller hears of it once.

use super::permissions::{describe_refusal, suggest_fix};
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, sigprocmask};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getgid, getuid, setpgid};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Set in the environment of the controller, and of nothing it starts: when the outer process
/// began.
pub(crate) const SANDBOX_ENV: &str = "HARNESS_SANDBOX";
/// The same signal again within this time is the same gesture: `timeout` and shells signal process
/// and group.
const REPEAT_WINDOW: Duration = Duration::from_millis(200);
/// What pid 1 reports when everything stands.
const READY: &str = "ready";

/// Where the caller finds itself.
#[derive(Debug, PartialEq, Eq)]
pub enum Entered {
    /// In the sandbox: this is the controller.
    Inside {
        /// When the process that the user started had begun.
        began: Instant,
    },
    /// Where it was; namespaces are refused.
    Refused {
        /// By what, and what permits them.
        why: String,
    },
}

/// Enters the sandbox, or returns why it cannot. Must be called first in `main`, while there is
/// only one thread.
///
/// The process that the user started does not return from here if the sandbox can be made: it waits
/// for the controller and exits with its code (128 + n where signal n ended it).
pub fn enter(began: Instant) -> Result<Entered> {
    if is_inside() {
        return Ok(Entered::Inside { began: outer_start_time(began) });
    }
    let (signals, before) = block_signals()?;
    match try_namespaces(&before, &signals, &|| exec_self(began))? {
        // Signals stay held: one more that comes now must not take the place of the exit code.
        Ok(code) => std::process::exit(code),
        Err(what) => {
            restore_signal_mask(&before)?;
            Ok(Entered::Refused { why: format!("{what}; {}", suggest_fix()) })
        }
    }
}

/// The start time of the outer process, from the marker; `here` if the marker has none.
fn outer_start_time(here: Instant) -> Instant {
    let told = std::env::var(SANDBOX_ENV)
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Duration::from_nanos);
    let ago = told.and_then(|began| wall_clock().checked_sub(began));
    ago.and_then(|ago| Instant::now().checked_sub(ago)).unwrap_or(here)
}

fn wall_clock() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// This is the controller, in the sandbox.
pub(crate) fn is_inside() -> bool {
    std::env::var_os(SANDBOX_ENV).is_some() && Pid::this() == Pid::from_raw(2)
}

/// Runs `body` as pid 2 of new namespaces and waits: its exit code, or why there are no such
/// namespaces.
///
/// `body` runs in a fork of this process, which must have but one thread.
pub(crate) fn run_contained(body: &dyn Fn() -> i32) -> Result<Result<i32, String>> {
    let (signals, before) = block_signals()?;
    let contained = try_namespaces(&before, &signals, body);
    restore_signal_mask(&before)?;
    contained
}

/// Holds back what [`supervise`] waits for; returns those signals and the mask that was in force.
fn block_signals() -> Result<(SigSet, SigSet)> {
    let signals = supervised_signals();
    let mut before = SigSet::empty();
    sigprocmask(SigmaskHow::SIG_BLOCK, Some(&signals), Some(&mut before))
        .context("signals cannot be held back")?;
    Ok((signals, before))
}

fn restore_signal_mask(before: &SigSet) -> Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(before), None)
        .context("signals cannot be let through again")
}

fn try_namespaces(
    before: &SigSet,
    signals: &SigSet,
    body: &dyn Fn() -> i32,
) -> Result<Result<i32, String>> {
    let mut refused = Vec::new();
    for flags in namespace_flags() {
        match start_init(flags, before, body)? {
            Ok(init) => return Ok(Ok(supervise(init, signals))),
            Err(why) => refused.push(why),
        }
    }
    Ok(Err(refused.join("; then ")))
}

/// Root needs no user namespace, and has more rights without one; unprivileged root does need one.
fn namespace_flags() -> Vec<CloneFlags> {
    let spaces = CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    let rootless = spaces | CloneFlags::CLONE_NEWUSER;
    if getuid().is_root() { vec![spaces, rootless] } else { vec![rootless] }
}

fn supervised_signals() -> SigSet {
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD].into_iter().collect()
}

/// Starts pid 1 and waits until its namespaces are furnished.
fn start_init(
    flags: CloneFlags,
    mask: &SigSet,
    body: &dyn Fn() -> i32,
) -> Result<std::result::Result<Pid, String>> {
    let (mut outer, inner) =
        UnixStream::pair().context("cannot create the socket of the sandbox")?;
    let user = (getuid().as_raw(), getgid().as_raw());
    let init = match fork_into(flags) {
        Err(errno) => return Ok(Err(describe_refusal("a new set of namespaces", errno))),
        Ok(None) => {
            drop(outer);
            let ids = flags.contains(CloneFlags::CLONE_NEWUSER).then_some(user);
            std::process::exit(run_init(ids, inner, mask, body));
        }
        Ok(Some(init)) => init,
    };
    drop(inner);
    let mut report = String::new();
    outer.read_to_string(&mut report).context("cannot read from the sandbox")?;
    if report == READY {
        return Ok(Ok(init));
    }
    waitpid(init, None).context("cannot wait for the failed sandbox")?;
    Ok(Err(if report.is_empty() {
        "the sandbox died while it was made".to_owned()
    } else {
        report
    }))
}

/// Forks; the child has new namespaces, and is pid 1 of a new pid namespace. Only a system call.
pub(super) fn fork_into(flags: CloneFlags) -> nix::Result<Option<Pid>> {
    let flags = libc::c_long::from(flags.bits() | libc::SIGCHLD);
    #[expect(
        unsafe_code,
        reason = "only clone(2) makes a child in other namespaces than its parent"
    )]
    // SAFETY: without a stack and without CLONE_VM this is fork(2), and the caller has but one
    // thread or knows what may be done between fork and exec.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    let pid = i32::try_from(Errno::result(pid)?).map_err(|_| Errno::EOVERFLOW)?;
    Ok((pid != 0).then(|| Pid::from_raw(pid)))
}

/// The life of pid 1: furnish, report, start the controller, reap; its return value is the exit
/// code.
fn run_init(
    ids: Option<(u32, u32)>,
    mut outer: UnixStream,
    mask: &SigSet,
    body: &dyn Fn() -> i32,
) -> i32 {
    if let Err(why) = die_with_outer(&mut outer).and_then(|()| set_up_namespaces(ids)) {
        // If this write fails, no process is left to report to.
        let _ = outer.write_all(why.as_bytes());
        return 1;
    }
    if outer.write_all(READY.as_bytes()).is_err() {
        return 1;
    }
    drop(outer);
    match fork_controller() {
        Ok(ForkResult::Parent { child }) => supervise(child, &supervised_signals()),
        Ok(ForkResult::Child) => match sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None) {
            Ok(()) => body(),
            Err(errno) => print_failure("signals cannot be let through again", errno),
        },
        Err(errno) => print_failure("cannot start the controller in the sandbox", errno),
    }
}

fn fork_controller() -> nix::Result<ForkResult> {
    #[expect(unsafe_code, reason = "pid 1 must be another process than the controller")]
    // SAFETY: pid 1 was forked from a process with one thread and has started none.
    unsafe {
        fork()
    }
}

fn print_failure(what: &str, errno: Errno) -> i32 {
    eprintln!("harness: {what} ({})", errno.desc());
    255
}

/// Lets the kernel kill this process when the outer one dies, and checks that it has not yet died.
fn die_with_outer(outer: &mut UnixStream) -> Result<(), String> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|errno| describe_refusal("a parent-death signal", errno))?;
    outer.set_nonblocking(true).map_err(|error| error.to_string())?;
    match outer.read(&mut [0]) {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
        _ => return Err("the outer process is gone".to_owned()),
    }
    setpgid(Pid::from_raw(0), Pid::from_raw(0))
        .map_err(|errno| describe_refusal("a process group of its own", errno))
}

/// Maps the user, keeps mounts from spreading but to replicas, and shows the new processes in
/// `/proc`.
fn set_up_namespaces(ids: Option<(u32, u32)>) -> Result<(), String> {
    if let Some((uid, gid)) = ids {
        write_user_map("setgroups", "deny")?;
        write_user_map("uid_map", &format!("0 {uid} 1"))?;
        write_user_map("gid_map", &format!("0 {gid} 1"))?;
    }
    for spread in [MsFlags::MS_PRIVATE, MsFlags::MS_SHARED] {
        mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | spread, None::<&str>)
            .map_err(|errno| describe_refusal("a private view of the mounts", errno))?;
    }
    mount_proc().map_err(|errno| {
        describe_refusal("a /proc of its own (containers often mask theirs)", errno)
    })
}

/// Mounts a `/proc` of the caller's pid namespace. Only a system call.
pub(super) fn mount_proc() -> nix::Result<()> {
    let plain = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), plain, None::<&str>)
}

fn write_user_map(file: &str, text: &str) -> Result<(), String> {
    std::fs::write(format!("/proc/self/{file}"), text).map_err(|error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        describe_refusal(&format!("writing {file} of the user namespace"), errno)
    })
}

/// Becomes the harness again, with the same arguments; returns only when that fails.
fn exec_self(began: Instant) -> i32 {
    // The monotonic clock has no common zero between processes; the wall clock will do for these
    // milliseconds.
    let began = wall_clock().saturating_sub(began.elapsed()).as_nanos().to_string();
    let mut arguments = std::env::args_os();
    let mut command = Command::new("/proc/self/exe");
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    let error = command.args(arguments).env(SANDBOX_ENV, began).exec();
    eprintln!("harness: cannot run itself again in the sandbox: {error}");
    255
}

/// Passes signals down to `child` and reaps whatever ends, until `child` does; returns its exit
/// code.
fn supervise(child: Pid, signals: &SigSet) -> i32 {
    let mut last: Option<(Signal, Instant)> = None;
    loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) => {
                if let Some(code) = reap_children(child) {
                    return code;
                }
            }
            Ok(signal) => {
                let is_echo =
                    last.is_some_and(|(old, at)| old == signal && at.elapsed() < REPEAT_WINDOW);
                if !is_echo {
                    last = Some((signal, Instant::now()));
                    // The child may have ended a moment ago; then SIGCHLD is next.
                    let _ = kill(child, signal);
                }
            }
            Err(_) => {}
        }
    }
}

/// Reaps all that ended; the exit code of `child` if it is among them.
fn reap_children(child: Pid) -> Option<i32> {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Some(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Some(128 + signal as i32);
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
