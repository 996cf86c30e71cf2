//! Starts, signals and observes one replica; it never outlives its [`Replica`], nor the controller.
//!
//! A replica leads a process group of its own, so that what it starts is killed, stopped and resumed with it.
//! Its group is only signalled while its leader is not reaped yet: until then no other process can get that number.

use super::thread::Host;
use anyhow::{Context as _, Result, anyhow, ensure};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long the rest of a killed group may take to vanish.
const VANISH: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(1);

/// One running server; killed when dropped.
pub(crate) struct Replica {
    child: Child,
    exit: Option<ExitStatus>,
}

/// The standard input and output of a replica that speaks on them.
pub(crate) struct Pipes {
    /// What it reads.
    pub(crate) input: ChildStdin,
    /// What it writes.
    pub(crate) output: ChildStdout,
}

/// What the kernel says of a process at one moment, from `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The process, as numbered in the sandbox.
    pub(crate) pid: i32,
    /// When it started, in clock ticks since boot: together with the pid this names a process for good.
    pub(crate) start_time: u64,
    /// `R` running, `S` sleeping, `T` stopped, `Z` dead but not reaped, …; `T` only if all its threads are stopped.
    pub(crate) state: char,
    /// User and system time of all its threads, in clock ticks.
    pub(crate) cpu_ticks: u64,
}

impl Sample {
    /// It is stopped by a signal or a tracer.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }
}

impl Replica {
    /// Starts a program on a host; what it prints is appended to the log.
    pub(crate) fn spawn(
        host: &Host,
        program: &Path,
        args: &[OsString],
        log: &Path,
    ) -> Result<Self> {
        let out = append_to(log)?;
        let err = out.try_clone().context("the log cannot be opened a second time")?;
        Self::start(host, program, args, (Stdio::null(), out.into(), err.into()))
    }

    /// Starts a program that speaks on its standard input and output; what it prints besides is appended to the log.
    pub(crate) fn spawn_speaking(
        host: &Host,
        program: &Path,
        args: &[OsString],
        log: &Path,
    ) -> Result<(Self, Pipes)> {
        let pipes = (Stdio::piped(), Stdio::piped(), append_to(log)?.into());
        let mut replica = Self::start(host, program, args, pipes)?;
        let (input, output) = (replica.child.stdin.take(), replica.child.stdout.take());
        let pipes = input.zip(output).map(|(input, output)| Pipes { input, output });
        Ok((replica, pipes.context("the replica has no pipes; this is a bug")?))
    }

    fn start(
        host: &Host,
        program: &Path,
        args: &[OsString],
        (input, output, error): (Stdio, Stdio, Stdio),
    ) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(args).env_remove(super::sandbox::MARKER).process_group(0);
        command.stdin(input).stdout(output).stderr(error);
        die_with_parent(&mut command);
        let spawned = host.run(move || command.spawn())?;
        let child = spawned.with_context(|| {
            format!(
                "{} cannot be started; does it exist and may it be executed?",
                program.display()
            )
        })?;
        Ok(Self { child, exit: None })
    }

    /// Kills the replica and all it started, and waits until they are gone.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if self.exit.is_none() {
            self.end().context("the killed replica cannot be waited for")?;
        }
        Ok(())
    }

    /// Stops the replica wherever it is.
    pub(crate) fn pause(&mut self) -> Result<()> {
        self.signal(Signal::SIGSTOP)
    }

    /// Lets a stopped replica go on.
    pub(crate) fn resume(&mut self) -> Result<()> {
        self.signal(Signal::SIGCONT)
    }

    /// What the kernel says of it now; an error once it has exited.
    pub(crate) fn sample(&mut self) -> Result<Sample> {
        self.ensure_alive()?;
        let process = PathBuf::from(format!("/proc/{}", self.child.id()));
        let mut sample = look(&process)?;
        let tasks = process.join("task");
        for task in std::fs::read_dir(&tasks)
            .with_context(|| format!("{} cannot be read", tasks.display()))?
        {
            // A thread that is gone by now is not running either.
            let thread = task.ok().and_then(|task| look(&task.path()).ok());
            // One that waits for the disk does not stop before the disk has answered, and works a little then.
            sample.state = thread
                .filter(|thread| !thread.is_stopped())
                .map_or(sample.state, |thread| thread.state);
        }
        Ok(sample)
    }

    /// The process that was started.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// That process and whoever else is in its group now.
    pub(crate) fn processes(&mut self) -> Result<Vec<i32>> {
        self.ensure_alive()?;
        let group = self.group().to_string();
        let all = std::fs::read_dir("/proc").context("/proc cannot be read")?.flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let ours = |pid: &i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
            !matches!(fields.next(), Some("Z" | "X")) && fields.nth(1) == Some(&group)
        };
        Ok(pids.filter(ours).collect())
    }

    /// How the replica ended, once it has.
    pub(crate) fn exited(&mut self) -> Option<String> {
        if self.exit.is_none() && self.is_dead() && self.end().is_err() {
            return Some("its exit status was lost".to_owned());
        }
        self.exit.as_ref().map(ToString::to_string)
    }

    fn signal(&mut self, signal: Signal) -> Result<()> {
        self.ensure_alive()?;
        let sent = killpg(self.group(), signal);
        sent.with_context(|| format!("{signal} cannot be sent to pid {}", self.child.id()))
    }

    fn ensure_alive(&mut self) -> Result<()> {
        let exit = self.exited();
        ensure!(exit.is_none(), "the replica has ended ({})", exit.unwrap_or_default());
        Ok(())
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    fn is_dead(&self) -> bool {
        let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(waitid(Id::Pid(self.group()), look), Ok(WaitStatus::StillAlive))
    }

    /// Kills whatever is left of the group, then reaps its leader.
    fn end(&mut self) -> std::io::Result<()> {
        let killed = killpg(self.group(), Signal::SIGKILL);
        self.exit = Some(self.child.wait()?);
        let deadline = Instant::now() + VANISH;
        while killed.is_ok() && lives(self.group()) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            crate::report::say(&format!("harness: {error:#}"));
        }
    }
}

fn append_to(log: &Path) -> Result<File> {
    let file = File::options().create(true).append(true).open(log);
    file.with_context(|| format!("the log {} cannot be opened", log.display()))
}

/// What the kernel says of a process or a thread.
fn look(directory: &Path) -> Result<Sample> {
    let path = directory.join("stat");
    let stat =
        std::fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    parse(&stat).ok_or_else(|| anyhow!("{} is not of the form proc(5) describes", path.display()))
}

/// Whether anyone of the group still runs. An orphan that is dead but not yet reaped by its new parent does not.
fn lives(group: Pid) -> bool {
    if killpg(group, None) == Err(Errno::ESRCH) {
        return false;
    }
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok()).any(
        |stat| {
            let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
            let state = fields.next();
            fields.nth(1) == Some(&group.to_string()) && !matches!(state, Some("Z" | "X"))
        },
    )
}

/// Has the kernel kill the child when the thread that starts it ends.
pub(crate) fn die_with_parent(command: &mut Command) {
    let parent = Pid::this();
    let arm = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the signal was armed.
        if Pid::parent() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    #[expect(unsafe_code, reason = "std offers no parent-death signal")]
    // SAFETY: between fork and exec the closure makes two system calls and neither allocates nor locks.
    unsafe {
        command.pre_exec(arm);
    }
}

/// Reads `/proc/PID/stat`, whose second field may itself hold spaces and parentheses.
fn parse(stat: &[u8]) -> Option<Sample> {
    let stat = String::from_utf8_lossy(stat);
    let pid = stat.split(' ').next()?.parse().ok()?;
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    // `fields[0]` is the third field of proc(5).
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Sample {
        pid,
        start_time: number(22)?,
        state: fields.first()?.chars().next()?,
        cpu_ticks: number(14)? + number(15)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(host: &Host, script: &str) -> Replica {
        let args = ["-c", script].map(OsString::from);
        Replica::spawn(host, Path::new("/bin/sh"), &args, Path::new("/dev/null"))
            .expect("it starts")
    }

    fn sampled(replica: &mut Replica, wanted: fn(&Sample) -> bool) -> Sample {
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
    fn a_name_with_spaces_and_parentheses_is_read() {
        let stat = b"42 (a) b (c) T 1 42 42 0 -1 4 1 2 3 4 50 60 7 8 20 0 1 0 9900 1 2";
        let sample = Sample { pid: 42, start_time: 9900, state: 'T', cpu_ticks: 110 };
        assert_eq!(parse(stat), Some(sample));
        assert!(sample.is_stopped());
    }

    #[test]
    fn a_torn_stat_is_no_sample() {
        assert_eq!(parse(b"42 (sh) S 1 42"), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn a_paused_replica_stands_still_and_a_resumed_one_goes_on() {
        let host = Host::shared("n1").expect("a thread starts");
        let mut replica = shell(&host, "while :; do :; done");
        replica.pause().expect("it stops");
        let begin = sampled(&mut replica, Sample::is_stopped);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(replica.sample().expect("it lives"), begin);
        replica.resume().expect("it goes on");
        sampled(&mut replica, |sample| sample.state == 'R');
    }

    #[test]
    fn a_kill_takes_the_children_along_and_is_seen() {
        let host = Host::shared("n1").expect("a thread starts");
        let mut replica = shell(&host, "sleep 1000 & sleep 1000");
        assert_eq!(replica.exited(), None);
        let group = replica.group();
        replica.kill().expect("it dies");
        assert_eq!(replica.exited().as_deref(), Some("signal: 9 (SIGKILL)"));
        assert!(!lives(group));
        assert!(replica.pause().is_err(), "the dead are not signalled");
    }

    #[test]
    fn an_exit_nobody_asked_for_is_told() {
        let host = Host::shared("n1").expect("a thread starts");
        let mut replica = shell(&host, "exit 3");
        while replica.exited().is_none() {
            std::thread::sleep(POLL);
        }
        assert_eq!(replica.exited().as_deref(), Some("exit status: 3"));
    }

    #[test]
    fn what_a_host_started_dies_with_its_thread() {
        let host = Host::shared("n1").expect("a thread starts");
        let mut replica = shell(&host, "sleep 1000");
        drop(host);
        while replica.exited().is_none() {
            std::thread::sleep(POLL);
        }
        assert_eq!(replica.exited().as_deref(), Some("signal: 9 (SIGKILL)"));
    }
}
