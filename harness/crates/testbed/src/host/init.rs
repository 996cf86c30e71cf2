//! Starts a replica in a pid namespace of its own, below an init that reaps processes there and
//! reports the replica's exit.
//!
//! Every process of the replica stays in that namespace, whatever it does to sessions, groups and
//! parents. When the replica or its init exits, the kernel kills the rest. The replica is not pid 1
//! itself: its own signals would not end it (an abort becomes a segmentation fault), and it would
//! have to reap orphans. Its pid is not 1 everywhere but, as in the sandbox, nearly unique:
//! programs name files in shared places after their pid. `/proc` there shows that namespace. Mounts
//! of the sandbox appear and disappear there, too. The init is a fork of the controller that never
//! becomes another program: what runs here may make system calls and nothing else, as between any
//! fork and exec.

use super::sandbox;
use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::Mode;
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, read, setpgid, write};
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus};

/// What the init reports of its replica: first its pid in the sandbox, and at last its exit.
pub(super) struct InitReport(PipeReader);

/// Runs the command below an init, where the spawning thread creates a new pid namespace.
pub(super) fn run_under_init(command: &mut Command) -> Result<InitReport> {
    let (report, told) = std::io::pipe().context("cannot create the pipe of the replica's init")?;
    let proc = File::open("/proc").context("/proc cannot be opened")?;
    let split = move || fork_init(&proc, &told).map_err(std::io::Error::from);
    #[expect(unsafe_code, reason = "an init must be there before the program is")]
    // SAFETY: between fork and exec the closure makes system calls only and neither allocates nor
    // locks.
    unsafe {
        command.pre_exec(split);
    }
    Ok(InitReport(report))
}

impl InitReport {
    /// The replica's number, once it has been started.
    pub(super) fn read_pid(&mut self) -> Result<i32> {
        self.read_i32().context("the replica's init ended before it reported the start")
    }

    /// The replica has ended, or its init has.
    pub(super) fn has_exited(&self) -> bool {
        let mut ends = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        !matches!(poll(&mut ends, PollTimeout::ZERO), Ok(0) | Err(Errno::EINTR))
    }

    /// How the replica ended; nothing if it went together with its init, which must be dead.
    pub(super) fn read_exit(&mut self) -> Option<ExitStatus> {
        self.read_i32().ok().map(ExitStatus::from_raw)
    }

    fn read_i32(&mut self) -> std::io::Result<i32> {
        let mut bytes = [0; 4];
        self.0.read_exact(&mut bytes).map(|()| i32::from_ne_bytes(bytes))
    }
}

/// Makes pid 1 of this process, and lets its first child go on: to become the replica.
fn fork_init(proc: &File, told: &PipeWriter) -> nix::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // Where the kernel cannot do it, replicas have equal pids, which nearly all tolerate.
    let _ = read_own_pid(proc).and_then(set_last_pid);
    unshare(CloneFlags::CLONE_NEWNS)?;
    let follow = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(None::<&str>, "/", None::<&str>, follow, None::<&str>)?;
    sandbox::mount_proc()?;
    if let Some(replica) = sandbox::fork_into(CloneFlags::empty())? {
        exit_init(reap_until_exit(replica, told));
    }
    setpgid(Pid::from_raw(0), Pid::from_raw(0))?;
    write(told, &read_own_pid(proc)?.to_ne_bytes()).map(drop)
}

/// How the caller is numbered in the `/proc` that it was started with.
fn read_own_pid(proc: &File) -> nix::Result<i32> {
    let stat = openat(proc, c"self/stat", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut text = [0; 16];
    let length = read(stat, &mut text)?;
    let digits = text[..length].iter().take_while(|byte| byte.is_ascii_digit());
    Ok(digits.fold(0, |number, digit| number * 10 + i32::from(digit - b'0')))
}

/// Has the next process of the caller's namespace be numbered from there on.
fn set_last_pid(last: i32) -> nix::Result<()> {
    let path = c"/proc/sys/kernel/ns_last_pid";
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    let mut text = [b'0'; 10];
    let (mut rest, mut first) = (last, text.len());
    // A zero in front would make it octal.
    while rest > 0 {
        first -= 1;
        text[first] += u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
    write(file, &text[first..]).map(drop)
}

/// Runs the init: reaps processes until the replica has ended and its exit is reported.
fn reap_until_exit(replica: Pid, told: &PipeWriter) -> nix::Result<()> {
    SigSet::all().thread_block()?;
    nix::sys::prctl::set_name(c"init")?;
    close_all_but(told)?;
    loop {
        let (ended, status) = wait_any_child()?;
        // The replica stays a zombie until its exit is reported, so its pid remains valid.
        if ended == replica {
            return write(told, &status.to_ne_bytes()).map(drop);
        }
        // The exit of an orphan is not reported.
        let _ = waitpid(ended, None);
    }
}

/// Pid and status of an exited child, as `wait` reports them; the child is not reaped.
fn wait_any_child() -> nix::Result<(Pid, i32)> {
    let flags = libc::WEXITED | libc::WNOWAIT;
    #[expect(unsafe_code, reason = "nix takes a death by a real-time signal for an error")]
    // SAFETY: the kernel fills in what it is given, which is plain numbers, and does so for any
    // child that has ended.
    let (pid, code, status) = unsafe {
        let mut ended: libc::siginfo_t = std::mem::zeroed();
        Errno::result(libc::waitid(libc::P_ALL, 0, &raw mut ended, flags))?;
        (ended.si_pid(), ended.si_code, ended.si_status())
    };
    let status = match code {
        libc::CLD_EXITED => (status & 0xFF) << 8,
        libc::CLD_DUMPED => status | 0x80,
        _ => status,
    };
    Ok((Pid::from_raw(pid), status))
}

/// Closes everything of the controller: sockets, disks, and the pipe that reports the start.
fn close_all_but(kept: &PipeWriter) -> nix::Result<()> {
    let kept = kept.as_raw_fd().cast_unsigned();
    for (first, last) in [(0, kept.wrapping_sub(1)), (kept + 1, u32::MAX)] {
        if first <= last {
            #[expect(unsafe_code, reason = "std closes files one by one")]
            // SAFETY: this process never touches what it closes here again.
            let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
            Errno::result(closed)?;
        }
    }
    Ok(())
}

/// Exits without running the controller's exit handlers.
fn exit_init(served: nix::Result<()>) -> ! {
    #[expect(unsafe_code, reason = "exit would run what the controller has registered")]
    // SAFETY: it only ends this process.
    unsafe {
        libc::_exit(i32::from(served.is_err()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::process::Replica;
    use crate::host::thread::Host;
    use crate::not_run::not_run;
    use nix::sys::signal::kill;
    use std::ffi::OsString;
    use std::path::Path;
    use std::time::Duration;

    fn wait_until(mut what: impl FnMut() -> bool) {
        assert!(
            (0..2000).any(|_| {
                std::thread::sleep(Duration::from_millis(1));
                what()
            }),
            "it never came to that"
        );
    }

    fn spawn_script(host: &Host, script: &str, log: &Path) -> anyhow::Result<Replica> {
        Replica::spawn(host, Path::new("/bin/sh"), &["-c", script].map(OsString::from), log)
    }

    /// A replica in a namespace of its own, where this user may make one outside of the sandbox.
    fn spawn_enclosed(script: &str) -> Option<(Host, Replica)> {
        let host = Host::with_pid_namespaces("n1").expect("a thread starts");
        match spawn_script(&host, script, Path::new("/dev/null")) {
            Ok(replica) => Some((host, replica)),
            Err(error) => {
                not_run(format!("this user gets none outside of the sandbox: {error:#}"));
                None
            }
        }
    }

    fn process_states(pids: &[i32]) -> String {
        let state = |pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            stat.rsplit(") ").next()?.chars().next()
        };
        pids.iter().filter_map(state).collect()
    }

    fn run_script(script: &str) -> Option<String> {
        let (_host, mut replica) = spawn_enclosed(script)?;
        wait_until(|| replica.poll_exit().is_some());
        replica.poll_exit().map(|exit| exit.to_string())
    }

    /// Everyone is stopped, resumed and killed with a replica that has so many processes.
    fn check_signals_reach_all(script: &str, count: usize) {
        let Some((_host, mut replica)) = spawn_enclosed(script) else { return };
        wait_until(|| replica.list_processes().expect("it lives").len() == count);
        let all = replica.list_processes().expect("it lives");
        assert!(!replica.sample().expect("it lives").is_stopped());
        replica.pause().expect("it stops");
        wait_until(|| replica.sample().expect("it lives").is_stopped());
        assert_eq!(process_states(&all), "T".repeat(count));
        replica.resume().expect("it goes on");
        wait_until(|| !process_states(&all).contains('T'));
        replica.kill().expect("it dies");
        assert_eq!(process_states(&all), "");
        assert_eq!(
            replica.poll_exit().map(|exit| exit.to_string()).as_deref(),
            Some("signal: 9 (SIGKILL)")
        );
        assert!(replica.pause().is_err(), "the dead are not signalled");
    }

    #[test]
    fn a_child_with_a_session_of_its_own_shares_the_fate_of_its_replica() {
        check_signals_reach_all("setsid sleep 1000 & exec sleep 1000", 2);
    }

    #[test]
    fn an_orphan_shares_the_fate_of_its_replica() {
        check_signals_reach_all(
            "(setsid sh -c 'sleep 1000 & exec sleep 1000' &); exec sleep 1000",
            3,
        );
    }

    #[test]
    fn a_replica_is_not_stopped_while_one_that_left_its_group_runs() {
        let Some((_host, mut replica)) = spawn_enclosed("setsid sleep 1000 & exec sleep 1000")
        else {
            return;
        };
        wait_until(|| replica.list_processes().expect("it lives").len() == 2);
        let all = replica.list_processes().expect("it lives");
        replica.pause().expect("it stops");
        wait_until(|| replica.sample().expect("it lives").is_stopped());
        let escaped = all.into_iter().find(|pid| *pid != replica.pid()).expect("there are two");
        kill(Pid::from_raw(escaped), Signal::SIGCONT).expect("it lives");
        wait_until(|| !replica.sample().expect("it lives").is_stopped());
    }

    #[test]
    fn how_it_ended_is_told_as_if_there_were_no_init() {
        for (script, how) in [
            ("exit 3", "exit status: 3"),
            ("kill -KILL $$", "signal: 9 (SIGKILL)"),
            ("ulimit -c 0; kill -ABRT $$", "signal: 6 (SIGABRT)"),
            ("(sh -c 'sleep 0.05; kill -40 $$' &); sleep 0.2; exit 4", "exit status: 4"),
        ] {
            let Some(told) = run_script(script) else { return };
            assert_eq!(told, how, "{script}");
        }
    }

    #[test]
    fn what_is_left_when_a_replica_ends_by_itself_ends_with_it() {
        let Some((_host, mut replica)) = spawn_enclosed("setsid sleep 1000 & sleep 0.1; exit 5")
        else {
            return;
        };
        wait_until(|| replica.list_processes().is_ok_and(|all| all.len() == 3));
        let all = replica.list_processes().expect("it lives");
        wait_until(|| replica.poll_exit().is_some());
        assert_eq!(
            replica.poll_exit().map(|exit| exit.to_string()).as_deref(),
            Some("exit status: 5")
        );
        assert_eq!(process_states(&all), "");
    }

    #[test]
    fn what_a_host_started_dies_with_its_thread() {
        let Some((host, mut replica)) = spawn_enclosed("setsid sleep 1000 & exec sleep 1000")
        else {
            return;
        };
        wait_until(|| replica.list_processes().expect("it lives").len() == 2);
        let all = replica.list_processes().expect("it lives");
        drop(host);
        wait_until(|| replica.poll_exit().is_some());
        assert_eq!(
            replica.poll_exit().map(|exit| exit.to_string()).as_deref(),
            Some("signal: 9 (SIGKILL)")
        );
        assert_eq!(process_states(&all), "");
    }

    #[test]
    fn proc_shows_only_processes_of_the_replica() {
        let script = "read me rest < /proc/self/stat; [ $me = $$ ] && [ $me != 1 ] \
                      && set -- /proc/[0-9]* && [ \"$*\" = \"/proc/1 /proc/$$\" ] && exit 7";
        assert!(run_script(script).is_none_or(|how| how == "exit status: 7"));
    }

    #[test]
    fn two_replicas_have_two_numbers() {
        let directory = tempfile::tempdir().expect("a directory");
        let log = directory.path().join("log");
        let Some((host, _replica)) = spawn_enclosed("exec sleep 1000") else { return };
        for _ in 0..2 {
            let mut replica = spawn_script(&host, "echo $$", &log).expect("it starts");
            wait_until(|| replica.poll_exit().is_some());
        }
        let text = std::fs::read_to_string(&log).expect("a log");
        let numbers: Vec<&str> = text.lines().collect();
        assert!(numbers.len() == 2 && numbers[0] != numbers[1], "{text}");
    }

    #[test]
    fn a_program_that_is_not_there_is_told_of() {
        if spawn_enclosed("exit 0").is_none() {
            return;
        }
        let host = Host::with_pid_namespaces("n1").expect("a thread starts");
        let nowhere = Replica::spawn(&host, Path::new("/nowhere"), &[], Path::new("/dev/null"));
        let error = format!("{:#}", nowhere.err().expect("there is no such program"));
        assert!(error.contains("No such file"), "{error}");
    }
}
