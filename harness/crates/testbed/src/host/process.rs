//! Starts, signals and observes one replica; it never outlives its [`Replica`], nor the controller.
//!
//! On a host that encloses its replicas, each has a pid namespace of its own, so that all its
//! processes are killed, stopped and resumed with it. Elsewhere it leads a process group, and
//! processes that leave the group are missed. No signal is sent once the started process has been
//! reaped: until then the kernel gives its pid and group to no other process.

use super::init::{self, InitReport};
use super::process_tree::{self, ProcessTree};
use super::thread::Host;
use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

pub use super::process_tree::Sample;

/// How long the rest of a killed group may take to vanish.
const GROUP_EXIT_TIMEOUT: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(1);
/// The exit code of a Rust program that panicked.
const PANIC_CODE: i32 = 101;

/// One running server; killed when dropped.
pub struct Replica {
    /// The replica, or its init.
    child: Child,
    pid: i32,
    /// The reports of its init, where it has one.
    report: Option<InitReport>,
    tree: ProcessTree,
    exit: Option<ExitStatus>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessExit {
    /// With this exit code or signal.
    Status(ExitStatus),
    /// It ended, and its status could not be read.
    Unknown,
}

impl ProcessExit {
    /// Whether SIGKILL ended it: what the harness itself sends.
    pub fn is_sigkill(self) -> bool {
        matches!(self, Self::Status(status) if status.signal() == Some(Signal::SIGKILL as i32))
    }

    /// Whether it crashed: it ended by a signal or by a Rust panic, not by its own decision.
    pub fn is_crash(self) -> bool {
        let Self::Status(status) = self else { return false };
        status.signal().is_some() || status.code() == Some(PANIC_CODE)
    }
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Unknown => f.write_str("its exit status was lost"),
        }
    }
}

/// The standard input and output of a replica that speaks on them.
pub(crate) struct Pipes {
    /// What it reads.
    pub(crate) input: ChildStdin,
    /// What it writes.
    pub(crate) output: ChildStdout,
}

impl Replica {
    /// Starts a program on a host; what it prints is appended to the log.
    pub fn spawn(host: &Host, program: &Path, args: &[OsString], log: &Path) -> Result<Self> {
        let out = append_to(log)?;
        let err = out.try_clone().context("cannot open the log a second time")?;
        Self::spawn_with_stdio(host, program, args, (Stdio::null(), out.into(), err.into()))
    }

    /// Starts a program that speaks on its standard input and output; what it prints besides is
    /// appended to the log.
    pub(crate) fn spawn_with_pipes(
        host: &Host,
        program: &Path,
        args: &[OsString],
        log: &Path,
    ) -> Result<(Self, Pipes)> {
        let pipes = (Stdio::piped(), Stdio::piped(), append_to(log)?.into());
        let mut replica = Self::spawn_with_stdio(host, program, args, pipes)?;
        let (input, output) = (replica.child.stdin.take(), replica.child.stdout.take());
        let pipes = input.zip(output).map(|(input, output)| Pipes { input, output });
        Ok((replica, pipes.context("the replica has no pipes; this is a bug")?))
    }

    fn spawn_with_stdio(
        host: &Host,
        program: &Path,
        args: &[OsString],
        (input, output, error): (Stdio, Stdio, Stdio),
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(args).env_remove(super::sandbox::SANDBOX_ENV);
        command.stdin(input).stdout(output).stderr(error);
        let report = if host.has_pid_namespaces() {
            Some(init::run_under_init(&mut command)?)
        } else {
            die_with_parent(command.process_group(0));
            None
        };
        let child = host.spawn(command)?.with_context(|| {
            format!("cannot start {}; does it exist and may it be executed?", program.display())
        })?;
        Self::from_child(child, report)
    }

    /// A replica that has just been started.
    fn from_child(mut child: Child, mut report: Option<InitReport>) -> Result<Self> {
        let first = child.id().cast_signed();
        let met = match &mut report {
            None => Ok((first, ProcessTree::Group(first))),
            Some(report) => {
                report.read_pid().and_then(|pid| Ok((pid, ProcessTree::below_init(first)?)))
            }
        };
        match met {
            Ok((pid, tree)) => Ok(Self { child, pid, report, tree, exit: None }),
            Err(error) => {
                // One that is gone already cannot be killed, and is waited for all the same.
                drop(child.kill());
                child.wait().context("cannot wait for the replica's init")?;
                Err(error)
            }
        }
    }

    /// Kills the replica and all it started, and waits until they are gone.
    pub fn kill(&mut self) -> Result<()> {
        if self.exit.is_none() {
            self.kill_and_reap().context("cannot wait for the killed replica")?;
        }
        Ok(())
    }

    /// Stops the replica, then the processes that left its group, until a scan finds no new one.
    pub fn pause(&mut self) -> Result<()> {
        self.signal_group(Signal::SIGSTOP)?;
        let mut known = BTreeSet::from([self.pid]);
        while self.signal_new_members(Signal::SIGSTOP, &mut known)? {}
        Ok(())
    }

    /// Lets a stopped replica go on.
    pub fn resume(&mut self) -> Result<()> {
        let mut known = BTreeSet::from([self.pid]);
        self.signal_new_members(Signal::SIGCONT, &mut known)?;
        self.signal_group(Signal::SIGCONT)
    }

    /// Asks the process that was started to end, once: what it started itself is its own business.
    pub fn send_signal(&mut self, signal: Signal) -> Result<()> {
        self.ensure_alive()?;
        kill(Pid::from_raw(self.pid), signal)
            .with_context(|| format!("cannot send {signal} to pid {}", self.pid))
    }

    /// Its current state in the kernel; an error once it has exited. It is stopped if all that it
    /// started is.
    pub fn sample(&mut self) -> Result<Sample> {
        self.ensure_alive()?;
        // Without a namespace all processes of the machine would have to be looked at; its own
        // group stops as one.
        let members = if self.report.is_some() { self.tree.list_members()? } else { Vec::new() };
        process_tree::sample_tree(self.pid, &members)
    }

    /// The process that was started.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The process and all its current descendants.
    pub(crate) fn list_processes(&mut self) -> Result<Vec<i32>> {
        self.ensure_alive()?;
        self.tree.list_members()
    }

    /// How the replica ended, once it has.
    pub fn poll_exit(&mut self) -> Option<ProcessExit> {
        if self.exit.is_none() && self.is_dead() && self.kill_and_reap().is_err() {
            return Some(ProcessExit::Unknown);
        }
        self.exit.map(ProcessExit::Status)
    }

    fn signal_group(&mut self, signal: Signal) -> Result<()> {
        self.ensure_alive()?;
        let replica = Pid::from_raw(self.pid);
        let mut sent = killpg(replica, signal);
        if self.report.is_some() {
            // It may have left its own group.
            sent = kill(replica, signal);
        }
        sent.with_context(|| format!("cannot send {signal} to pid {replica}"))
    }

    /// Signals its processes that are not in `known` yet; returns whether there were any.
    fn signal_new_members(&mut self, signal: Signal, known: &mut BTreeSet<i32>) -> Result<bool> {
        self.ensure_alive()?;
        if self.report.is_none() {
            return Ok(false);
        }
        let new: Vec<i32> =
            self.tree.list_members()?.into_iter().filter(|pid| known.insert(*pid)).collect();
        for pid in &new {
            match kill(Pid::from_raw(*pid), signal) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(errno) => {
                    return Err(errno).with_context(|| format!("cannot send {signal} to {pid}"));
                }
            }
        }
        Ok(!new.is_empty())
    }

    fn ensure_alive(&mut self) -> Result<()> {
        match self.poll_exit() {
            Some(exit) => bail!("the replica has ended ({exit})"),
            None => Ok(()),
        }
    }

    fn is_dead(&self) -> bool {
        match &self.report {
            Some(report) => report.has_exited(),
            None => {
                let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
                !matches!(
                    waitid(Id::Pid(Pid::from_raw(self.pid)), look),
                    Ok(WaitStatus::StillAlive)
                )
            }
        }
    }

    /// Kills whatever is left, then reaps the process that was started.
    fn kill_and_reap(&mut self) -> std::io::Result<()> {
        if let Some(report) = &mut self.report {
            self.child.kill()?;
            // An init is dead when all that was below it is.
            let with_init = self.child.wait()?;
            self.exit = Some(report.read_exit().unwrap_or(with_init));
            return Ok(());
        }
        let killed = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        self.exit = Some(self.child.wait()?);
        let deadline = Instant::now() + GROUP_EXIT_TIMEOUT;
        while killed.is_ok() && self.is_group_alive() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Whether a process of the group still runs. An orphan that is dead but not yet reaped by its
    /// new parent does not.
    fn is_group_alive(&self) -> bool {
        killpg(Pid::from_raw(self.pid), None) != Err(Errno::ESRCH)
            && self.tree.list_members().is_ok_and(|members| !members.is_empty())
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            crate::cleanup::report_failure(&error);
        }
    }
}

fn append_to(log: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(log);
    file.with_context(|| format!("cannot open the log {}", log.display()))
}

/// Has the kernel kill the child when the thread that starts it ends.
pub fn die_with_parent(command: &mut Command) {
    let parent = Pid::this();
    let arm = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the signal was armed.
        if Pid::parent() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    #[expect(unsafe_code, reason = "std offers no parent-death signal")]
    // SAFETY: between fork and exec the closure makes two system calls and neither allocates nor
    // locks.
    unsafe {
        command.pre_exec(arm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spawn_shell(host: &Host, script: &str) -> Replica {
        let args = ["-c", script].map(OsString::from);
        Replica::spawn(host, Path::new("/bin/sh"), &args, Path::new("/dev/null"))
            .expect("it starts")
    }

    fn wait_for_sample(replica: &mut Replica, wanted: fn(&Sample) -> bool) -> Sample {
        for _ in 0..1000 {
            let sample = replica.sample().expect("it lives");
            if wanted(&sample) {
                return sample;
            }
            std::thread::sleep(POLL);
        }
        panic!("it never came to that state")
    }

    #[test]
    fn a_paused_replica_stands_still_and_a_resumed_one_goes_on() {
        let host = Host::shared("n1").expect("a thread starts");
        let mut replica = spawn_shell(&host, "while :; do :; done");
        replica.pause().expect("it stops");
        let begin = wait_for_sample(&mut replica, Sample::is_stopped);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(replica.sample().expect("it lives"), begin);
        replica.resume().expect("it goes on");
        wait_for_sample(&mut replica, |sample| sample.state == 'R');
    }

    #[test]
    fn a_kill_takes_the_children_along_and_is_seen() {
        let host = Host::shared("n1").expect("a thread starts");
        let mut replica = spawn_shell(&host, "sleep 1000 & sleep 1000");
        assert_eq!(replica.poll_exit(), None);
        replica.kill().expect("it dies");
        assert_eq!(
            replica.poll_exit().map(|exit| exit.to_string()).as_deref(),
            Some("signal: 9 (SIGKILL)")
        );
        assert!(!replica.is_group_alive());
        assert!(replica.pause().is_err(), "the dead are not signalled");
    }

    #[test]
    fn reports_an_unexpected_exit() {
        let host = Host::shared("n1").expect("a thread starts");
        let mut replica = spawn_shell(&host, "exit 3");
        while replica.poll_exit().is_none() {
            std::thread::sleep(POLL);
        }
        assert_eq!(
            replica.poll_exit().map(|exit| exit.to_string()).as_deref(),
            Some("exit status: 3")
        );
    }

    #[test]
    fn what_a_host_started_dies_with_its_thread() {
        let host = Host::shared("n1").expect("a thread starts");
        let mut replica = spawn_shell(&host, "sleep 1000");
        drop(host);
        while replica.poll_exit().is_none() {
            std::thread::sleep(POLL);
        }
        assert_eq!(
            replica.poll_exit().map(|exit| exit.to_string()).as_deref(),
            Some("signal: 9 (SIGKILL)")
        );
    }
}
