//! Kills the harness during a fault, and looks for what the run left behind.
//!
//! Processes of a run have a mark in their environment or a working directory inside the run. Links
//! and rules belong to network namespaces, so a process that still holds a namespace of the run is
//! a leftover, too; so are mounts of the directory, interfaces, and files outside the results.

use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long all may take to be gone.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// How long a run may take until its fault is on.
const START_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(2);
/// In the environment of all processes of a run: its directory.
const MARK: &str = "HARNESS_LEFTOVERS";
/// The exit code of a run that cannot be carried out here.
const UNABLE: i32 = 3;
/// Namespaces that a run makes.
const NAMESPACES: [&str; 6] = ["ipc", "mnt", "net", "pid", "user", "uts"];

/// Namespaces by name, each held open.
type Namespaces = BTreeMap<PathBuf, fs::File>;

/// What came of killing one run.
pub(crate) enum TrialOutcome {
    /// Nothing was left after this time.
    Clean(Duration),
    /// This was still there.
    Leftovers(Vec<String>),
    /// The fault was never on.
    NotBegun,
    /// The run did not begin; why.
    Unable(String),
}

/// Starts a run in its own directory, waits for a fault, and kills the main process of the run.
pub(crate) fn kill_during(fault: &str, directory: &Path) -> Result<TrialOutcome> {
    let before = network_interfaces();
    let mut run = start_run(fault, directory)?;
    let begun =
        wait_until(START_TIMEOUT, || fault_has_begun(directory) || has_ended(&mut run)).is_some();
    if let Some(status) = run.try_wait().context("the run cannot be waited for")? {
        let said = fs::read_to_string(directory.join("tmp/said")).unwrap_or_default();
        let last = said.lines().last().unwrap_or_default();
        if status.code() == Some(UNABLE) {
            return Ok(TrialOutcome::Unable(last.to_owned()));
        }
        bail!("the run ended by itself ({status}): {last}");
    }
    let members = run_processes(directory);
    let spaces = open_namespaces(&members);
    let began = Instant::now();
    run.kill().context("the run cannot be killed")?;
    run.wait().context("the run cannot be waited for")?;
    if !begun {
        return Ok(TrialOutcome::NotBegun);
    }
    let mut gone = Duration::ZERO;
    let is_clean = || {
        let are_dead = !members.iter().any(|process| belongs_to_run(process, directory));
        // What takes longer to look at is looked at when those that are known are gone.
        gone = began.elapsed();
        are_dead && find_leftovers(directory, &spaces, &before).is_empty()
    };
    Ok(match wait_until(GRACE, is_clean) {
        Some(()) if gone <= GRACE => TrialOutcome::Clean(gone),
        Some(()) => {
            TrialOutcome::Leftovers(vec![format!("nothing, but that took {} ms", gone.as_millis())])
        }
        None => TrialOutcome::Leftovers(find_leftovers(directory, &spaces, &before)),
    })
}

fn start_run(fault: &str, directory: &Path) -> Result<Child> {
    let temporary = directory.join("tmp");
    let made = fs::create_dir_all(&temporary);
    made.with_context(|| format!("{} cannot be made", temporary.display()))?;
    fs::write(directory.join("schedule"), format!("at 300ms {fault} for 30s\n"))
        .context("the schedule cannot be written")?;
    let said = fs::File::create(temporary.join("said")).context("no file for what it says")?;
    Command::new("/proc/self/exe")
        .args(["test", "--schedule", "schedule", "--time-limit", "40s"])
        .current_dir(directory)
        .env("TMPDIR", &temporary)
        .env(MARK, directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn()
        .context("this program cannot be run again")
}

fn has_ended(run: &mut Child) -> bool {
    run.try_wait().is_ok_and(|status| status.is_some())
}

/// Whether the history of a run in this directory tells of a fault.
fn fault_has_begun(directory: &Path) -> bool {
    let families = dir_entries(&directory.join("results"));
    families.flat_map(|family| dir_entries(&family.path())).any(|run| {
        let history = fs::read_to_string(run.path().join("history.jsonl"));
        history.is_ok_and(|text| text.contains("\"process\":\"nemesis\""))
    })
}

fn wait_until(patience: Duration, mut what: impl FnMut() -> bool) -> Option<()> {
    let began = Instant::now();
    while !what() {
        if began.elapsed() > patience {
            return None;
        }
        std::thread::sleep(POLL);
    }
    Some(())
}

/// What is still there.
fn find_leftovers(
    directory: &Path,
    spaces: &Namespaces,
    before: &BTreeSet<PathBuf>,
) -> Vec<String> {
    let members = run_processes(directory);
    let members = members.iter().map(|process| describe_process(process));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let name = directory.to_string_lossy().into_owned();
    let mounts =
        mounts.lines().filter(|line| line.contains(&name)).map(|line| format!("mount {line}"));
    let links = network_interfaces().into_iter().filter(|one| !before.contains(one));
    let links = links.map(|link| format!("interface {}", link.display()));
    members
        .chain(namespace_holders(spaces))
        .chain(mounts)
        .chain(links)
        .chain(stray_files(directory))
        .collect()
}

/// All processes of this machine except zombies, which wait for their parent to reap them.
fn live_processes() -> impl Iterator<Item = PathBuf> {
    let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
    let is_alive = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let state = stat.rsplit(") ").next().unwrap_or_default();
        !state.is_empty() && !state.starts_with(['Z', 'X'])
    };
    dir_entries(Path::new("/proc"))
        .filter(move |entry| entry.file_name().to_str().is_some_and(is_number))
        .map(|entry| entry.path())
        .filter(is_alive)
}

fn describe_process(process: &Path) -> String {
    let line = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
    format!("{} ({})", process.display(), line.replace('\0', " ").trim())
}

/// The processes of a run.
fn run_processes(directory: &Path) -> Vec<PathBuf> {
    live_processes().filter(|process| belongs_to_run(process, directory)).collect()
}

fn belongs_to_run(process: &Path, directory: &Path) -> bool {
    let mark = format!("{MARK}={}", directory.display());
    let environment = fs::read(process.join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
        || fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(directory))
}

/// The namespaces of these processes that this one does not share. Open handles keep their inode
/// numbers from being reused.
fn open_namespaces(processes: &[PathBuf]) -> Namespaces {
    let threads = processes.iter().flat_map(|process| dir_entries(&process.join("task")));
    let all = threads.flat_map(|thread| thread_namespaces(&thread.path()));
    let ours: BTreeSet<PathBuf> =
        thread_namespaces(Path::new("/proc/self")).into_iter().map(|(name, _)| name).collect();
    let mut spaces = Namespaces::new();
    for (name, path) in all.filter(|(name, _)| !ours.contains(name)) {
        if let (false, Ok(file)) = (spaces.contains_key(&name), fs::File::open(path)) {
            spaces.insert(name, file);
        }
    }
    spaces
}

/// The namespaces of a thread, and where each can be opened.
fn thread_namespaces(thread: &Path) -> Vec<(PathBuf, PathBuf)> {
    let paths = NAMESPACES.iter().map(|space| thread.join("ns").join(space));
    paths.filter_map(|path| Some((fs::read_link(&path).ok()?, path))).collect()
}

/// Who but this process still lives in these namespaces, or holds them open.
fn namespace_holders(wanted: &Namespaces) -> Vec<String> {
    let holds = |process: &PathBuf| {
        let threads =
            dir_entries(&process.join("task")).flat_map(|thread| thread_namespaces(&thread.path()));
        let open =
            dir_entries(&process.join("fd")).filter_map(|file| fs::read_link(file.path()).ok());
        threads.map(|(name, _)| name).chain(open).any(|name| wanted.contains_key(&name))
    };
    let ours = PathBuf::from(format!("/proc/{}", std::process::id()));
    let holders = live_processes().filter(|process| *process != ours && holds(process));
    holders.map(|process| format!("a namespace of {}", describe_process(&process))).collect()
}

fn dir_entries(path: &Path) -> impl Iterator<Item = fs::DirEntry> + use<> {
    fs::read_dir(path).into_iter().flatten().flatten()
}

/// This machine's network interfaces.
fn network_interfaces() -> BTreeSet<PathBuf> {
    dir_entries(Path::new("/sys/class/net")).map(|entry| entry.path()).collect()
}

/// Files of a run that are not among its results.
fn stray_files(directory: &Path) -> Vec<String> {
    let beside = dir_entries(directory).filter(|entry| {
        !["results", "schedule", "tmp"].iter().any(|name| entry.file_name() == *name)
    });
    let temporary = dir_entries(&directory.join("tmp")).filter(|entry| entry.file_name() != "said");
    beside.chain(temporary).map(|entry| format!("file {}", entry.path().display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::not_run::not_run;
    use testbed::host::process::Replica;
    use testbed::host::thread::Host;

    fn leftovers_in(directory: &Path) -> Vec<String> {
        find_leftovers(directory, &Namespaces::new(), &network_interfaces())
    }

    /// Retries for a while: a process that has just started has no arguments and no environment.
    fn wait_for_sleep(tell: impl Fn() -> Vec<String>) -> Vec<String> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let told = tell();
            if told.iter().any(|line| line.contains("(sleep 1000)")) || Instant::now() > deadline {
                return told;
            }
            std::thread::sleep(POLL);
        }
    }

    #[test]
    fn a_process_that_bears_the_mark_or_stands_in_the_directory_is_seen() {
        let directory = tempfile::tempdir().expect("a directory");
        let sleep = |place: &Path, mark: &Path| {
            let mut command = Command::new("sleep");
            command.arg("1000").current_dir(place).env(MARK, mark).spawn().expect("it starts")
        };
        let (here, elsewhere) = (directory.path(), Path::new("/"));
        for (place, mark) in [(here, elsewhere), (elsewhere, here)] {
            let mut process = sleep(place, mark);
            let told = wait_for_sleep(|| leftovers_in(here));
            process.kill().expect("it lives");
            assert!(told.iter().any(|line| line.contains("(sleep 1000)")), "{told:?}");
            process.wait().expect("it ends");
            assert_eq!(leftovers_in(here), Vec::<String>::new());
        }
    }

    #[test]
    fn a_file_that_is_no_result_is_seen() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(directory.path().join("tmp")).expect("a directory");
        for name in ["schedule", "tmp/said", "core", "tmp/harness-disk-1"] {
            fs::write(directory.path().join(name), "").expect("a file");
        }
        let told = leftovers_in(directory.path());
        assert!(told.len() == 2 && told.iter().all(|line| line.starts_with("file ")), "{told:?}");
    }

    #[test]
    fn who_holds_a_namespace_is_seen() {
        let host = Host::with_pid_namespaces("n1").expect("a thread starts");
        let args = [std::ffi::OsString::from("1000")];
        let started = Replica::spawn(&host, Path::new("sleep"), &args, Path::new("/dev/null"));
        let mut replica = match started {
            Ok(replica) => replica,
            Err(error) => {
                return not_run(format!("this user gets none outside of the sandbox: {error:#}"));
            }
        };
        let spaces = open_namespaces(&[PathBuf::from(format!("/proc/{}", replica.pid()))]);
        let told = wait_for_sleep(|| namespace_holders(&spaces));
        assert!(told.iter().any(|line| line.contains("(sleep 1000)")), "{told:?}");
        replica.kill().expect("it lives");
        let mount = spaces.iter().find(|(name, _)| name.to_string_lossy().starts_with("mnt:"));
        let (_, file) = mount.expect("it had mounts of its own");
        let mut other = Command::new("sleep");
        let mut other =
            other.arg("1000").stdin(file.try_clone().expect("a file")).spawn().expect("it starts");
        let told = namespace_holders(&spaces);
        other.kill().expect("it lives");
        other.wait().expect("it ends");
        assert!(told.len() == 1 && told[0].contains("(sleep 1000)"), "{told:?}");
        assert_eq!(namespace_holders(&spaces), Vec::<String>::new());
    }
}
