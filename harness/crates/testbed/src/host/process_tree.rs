//! Finds every process of a replica, and reads its state from the kernel.
//!
//! In a pid namespace of its own a replica cannot lose a process; without one, a process that
//! leaves the process group is missed. Zombies do not count. Processes in pid namespaces that the
//! replica itself creates are not found.

use anyhow::{Context as _, Result, anyhow};
use std::path::{Path, PathBuf};

/// What holds a replica's processes together.
pub(super) enum ProcessTree {
    /// The process group that a replica leads.
    Group(i32),
    /// A pid namespace.
    Namespace {
        /// Its first process, which belongs to us.
        init: i32,
        /// Its name.
        name: PathBuf,
    },
}

/// The state of a process at one moment, from `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The process, as numbered in the sandbox.
    pub pid: i32,
    /// When it started, in clock ticks since boot: together with the pid this names a process for
    /// good.
    pub start_time: u64,
    /// `R` running, `S` sleeping, `T` stopped, `Z` dead but not reaped, …; `T` only if all its
    /// threads are stopped.
    pub state: char,
    /// User and system time of all its threads, in clock ticks.
    pub cpu_ticks: u64,
}

impl Sample {
    /// It is stopped by a signal or a tracer.
    pub fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    fn is_dead(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

impl ProcessTree {
    /// The namespace that was made for this init.
    pub(super) fn below_init(init: i32) -> Result<Self> {
        let name = pid_namespace(init).context("cannot inspect the replica's init")?;
        Ok(Self::Namespace { init, name })
    }

    /// Its current processes.
    pub(super) fn list_members(&self) -> Result<Vec<i32>> {
        let all = std::fs::read_dir("/proc").context("/proc cannot be read")?.flatten();
        let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        Ok(pids.filter(|pid| self.contains_process(*pid)).collect())
    }

    fn contains_process(&self, pid: i32) -> bool {
        match self {
            Self::Group(group) => {
                read_live_process(pid).is_some_and(|process| process.group == *group)
            }
            Self::Namespace { init, name } => {
                pid != *init
                    && pid_namespace(pid).as_ref() == Some(name)
                    && read_live_process(pid).is_some()
            }
        }
    }
}

fn pid_namespace(pid: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok()
}

struct ProcessStat {
    group: i32,
    sample: Sample,
}

/// A process that is not dead.
fn read_live_process(pid: i32) -> Option<ProcessStat> {
    let process = read_stat(Path::new(&format!("/proc/{pid}"))).ok()?;
    (!process.sample.is_dead()).then_some(process)
}

/// The state of a process and its descendants: stopped if all of their threads are.
pub(super) fn sample_tree(pid: i32, members: &[i32]) -> Result<Sample> {
    let mut all = sample_threads(pid)?;
    for other in members.iter().filter(|other| **other != pid) {
        // One that is gone by now does nothing either.
        let Ok(one) = sample_threads(*other) else { continue };
        all.cpu_ticks += one.cpu_ticks;
        if !one.is_dead() && !one.is_stopped() {
            all.state = one.state;
        }
    }
    Ok(all)
}

/// The state of one process, from that of each thread.
fn sample_threads(pid: i32) -> Result<Sample> {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let mut sample = read_stat(&process)?.sample;
    let tasks = process.join("task");
    for task in
        std::fs::read_dir(&tasks).with_context(|| format!("cannot read {}", tasks.display()))?
    {
        // A thread that is gone by now is not running either.
        let thread = task.ok().and_then(|task| read_stat(&task.path()).ok());
        // One that waits for the disk does not stop before the disk has answered, and works a
        // little then.
        sample.state = thread
            .map(|thread| thread.sample)
            .filter(|thread| !thread.is_stopped())
            .map_or(sample.state, |thread| thread.state);
    }
    Ok(sample)
}

/// The state of a process or a thread in the kernel.
fn read_stat(directory: &Path) -> Result<ProcessStat> {
    let path = directory.join("stat");
    let stat = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    parse_stat(&stat)
        .ok_or_else(|| anyhow!("{} is not of the form proc(5) describes", path.display()))
}

/// Reads `/proc/PID/stat`, whose second field may itself hold spaces and parentheses.
fn parse_stat(stat: &[u8]) -> Option<ProcessStat> {
    let stat = String::from_utf8_lossy(stat);
    let pid = stat.split(' ').next()?.parse().ok()?;
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
    // `fields[0]` is the third field of proc(5).
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let sample = Sample {
        pid,
        start_time: number(22)?,
        state: fields.first()?.chars().next()?,
        cpu_ticks: number(14)? + number(15)?,
    };
    Some(ProcessStat { group: i32::try_from(number(5)?).ok()?, sample })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_is_read() {
        let stat = b"42 (a) b (c) T 1 41 42 0 -1 4 1 2 3 4 50 60 7 8 20 0 1 0 9900 1 2";
        let process = parse_stat(stat).expect("it is whole");
        let sample = Sample { pid: 42, start_time: 9900, state: 'T', cpu_ticks: 110 };
        assert_eq!((process.sample, process.group), (sample, 41));
        assert!(sample.is_stopped());
    }

    #[test]
    fn a_torn_stat_is_no_sample() {
        assert!(parse_stat(b"42 (sh) S 1 42").is_none());
        assert!(parse_stat(b"").is_none());
    }
}
