//! Gives each run of the product a directory and a turn of its own, and tries further seeds where
//! one run proves too little.
//!
//! At most two runs are active at a time: more would starve each other on a small machine. One seed
//! may not expose a seeded bug, and a fault may overlap too few operations. So a conviction is
//! tried with several seeds, and *unknown* with another seed and more time. A conviction of a
//! correct system fails the test at once.

use crate::not_run::not_run;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How many more runs may begin, and the threads that wait to begin one.
static PERMITS: (Mutex<usize>, Condvar) = (Mutex::new(2), Condvar::new());

/// Exit codes of `harness test`.
pub(crate) const VALID: i32 = 0;
pub(crate) const INVALID: i32 = 1;
pub(crate) const UNKNOWN: i32 = 2;

/// The seeds that are tried, and how many times the asked time each of them is given.
const TRIES: [(u64, u32); 5] = [(1, 1), (2, 1), (3, 1), (4, 3), (5, 3)];

/// The conventional user without rights.
const UNPRIVILEGED: u32 = 65_534;

/// A directory to run in, alone.
pub(crate) struct Workdir {
    pub(crate) directory: TempDir,
    /// The program: a copy, where its user cannot read the build directory.
    program: PathBuf,
    /// The user that runs it, if it is not the user of these tests.
    user: Option<u32>,
    _permit: RunPermit,
}

/// The right to run something, until it is dropped.
struct RunPermit;

impl RunPermit {
    fn acquire() -> Self {
        let (left, given_back) = &PERMITS;
        let left = left.lock().unwrap_or_else(PoisonError::into_inner);
        let left = given_back.wait_while(left, |left| *left == 0);
        *left.unwrap_or_else(PoisonError::into_inner) -= 1;
        Self
    }
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        let (left, given_back) = &PERMITS;
        *left.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        given_back.notify_one();
    }
}

impl Workdir {
    pub(crate) fn new() -> Self {
        let turn = RunPermit::acquire();
        let directory = tempfile::tempdir().expect("a directory");
        let program = PathBuf::from(env!("CARGO_BIN_EXE_harness"));
        Self { directory, program, user: None, _permit: turn }
    }

    /// A directory for a user without rights: the user of these tests, or [`UNPRIVILEGED`] if that
    /// is root.
    pub(crate) fn for_unprivileged_user() -> Option<Self> {
        let mut workdir = Self::new();
        if !geteuid().is_root() {
            return Some(workdir);
        }
        let program = workdir.directory.path().join("harness");
        fs::copy(&workdir.program, &program).expect("there is room");
        let (path, user) = (workdir.directory.path(), Some(UNPRIVILEGED));
        if let Err(why) = std::os::unix::fs::chown(path, user, user) {
            not_run(format!("cannot give a directory to uid {UNPRIVILEGED} ({why})"));
            return None;
        }
        (workdir.program, workdir.user) = (program, user);
        Some(workdir)
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.harness_command(line).output().expect("harness runs")
    }

    /// Runs it where nothing that it prints finds room.
    pub(crate) fn run_with_full_stdout(&self, line: &str) -> Output {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
        let mut command = self.harness_command(line);
        command.stdout(full).stderr(Stdio::piped());
        command.spawn().and_then(Child::wait_with_output).expect("harness runs")
    }

    pub(crate) fn start(&self, line: &str) -> Child {
        let mut command = self.harness_command(line);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("harness starts")
    }

    fn harness_command(&self, line: &str) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.args(line.split_whitespace()).current_dir(self.directory.path());
        command
    }

    /// Everything below the directory.
    pub(crate) fn all_files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.directory.path().to_owned()];
        let mut next = 0;
        while let Some(path) = files.get(next) {
            let inside = dir_entries(path);
            files.extend(inside);
            next += 1;
        }
        files
    }

    /// Waits until no process knows this directory any more.
    pub(crate) fn assert_nothing_left(&self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Some(left) = self.find_process_inside() {
            assert!(Instant::now() < deadline, "{left} is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn find_process_inside(&self) -> Option<String> {
        let name = self.directory.path().to_string_lossy().into_owned();
        dir_entries(Path::new("/proc")).into_iter().find_map(|process| {
            let here =
                fs::read_link(process.join("cwd")).ok()?.to_string_lossy().starts_with(&name);
            here.then(|| fs::read_to_string(process.join("cmdline")).unwrap_or_default())
        })
    }
}

/// The first run of a few seeds that convicts; each without a conviction was only without a chance.
pub(crate) fn run_until_invalid(line: &str, seconds: u32) -> (Workdir, Output) {
    run_until(line, seconds, INVALID, |_| true)
}

/// The first run of a few seeds that is valid; an *unknown* is asked again, a conviction is not.
pub(crate) fn run_until_valid(line: &str, seconds: u32) -> (Workdir, Output) {
    run_until_valid_showing(line, seconds, |_| true)
}

/// As [`acquitted`], and of those the first that shows this.
pub(crate) fn run_until_valid_showing(
    line: &str,
    seconds: u32,
    shows: impl Fn(&Output) -> bool,
) -> (Workdir, Output) {
    run_until(line, seconds, VALID, shows)
}

fn run_until(
    line: &str,
    seconds: u32,
    code: i32,
    shows: impl Fn(&Output) -> bool,
) -> (Workdir, Output) {
    let mut seen = String::new();
    for (seed, times) in TRIES {
        let workdir = Workdir::new();
        let line = format!("{line} --time-limit {}s --seed {seed}", seconds * times);
        let output = workdir.run(&line);
        let got = output.status.code().unwrap_or(-1);
        if got == code && shows(&output) {
            return (workdir, output);
        }
        let by_chance = [code, UNKNOWN, VALID].contains(&got);
        assert!(by_chance, "{line}: exit code {got}: {}", output_text(&output));
        seen += &format!("{line}: exit code {got}: {}\n", output_text(&output));
    }
    panic!("none of {} seeds ends with {code} and shows what it should: {seen}", TRIES.len());
}

/// Whether a program is there; if not, says so.
pub(crate) fn is_installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        not_run(format!("there is no {program}"));
    }
    found
}

pub(crate) fn dir_entries(path: &Path) -> Vec<PathBuf> {
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

pub(crate) fn output_text(output: &Output) -> String {
    let text = [output.stdout.as_slice(), b"\n", &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

pub(crate) fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("the file exists")).expect("it is JSON")
}

/// What a run printed with `--format json`.
pub(crate) fn parse_stdout(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("standard output is JSON")
}

pub(crate) fn send_signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).expect("a pid");
    kill(Pid::from_raw(pid), signal).expect("the process is there");
}
