//! What is known of the replicas of a run besides the history.

use super::log_rules::LogRules;
use crate::nemesis::{Nemesis, Requirement, find_nemesis};
use records::record::{FaultRecord, FaultState};
use records::replica_log::ObservationRecord;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

/// What is known of the replicas of a run.
pub(crate) struct Sources<'a> {
    /// The logs of the replicas.
    pub(crate) logs: &'a [ReplicaFile],
    /// The protocol trace of each host whose system writes one.
    pub(crate) traces: &'a [ReplicaFile],
    /// The status that replicas reported.
    pub(crate) observations: &'a [ObservationRecord],
    /// All faults of the run.
    pub(crate) faults: &'a [FaultRecord],
    /// The names of seeded bugs, which no invariant may read.
    pub(crate) bugs: &'a [String],
    /// What may not stand in a log.
    pub(crate) log_rules: LogRules,
    /// Whether the system elects at most one leader in a term.
    pub(crate) one_leader_per_term: bool,
}

/// The most bytes of a file that are read: about an hour of a trace at the default rate.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// What the replica on a host wrote to one file.
#[derive(Clone)]
pub(crate) struct ReplicaFile {
    /// The host of the replica.
    pub(crate) host: String,
    /// The name of the file.
    pub(crate) name: String,
    /// What it wrote, as far as it was read.
    pub(crate) text: String,
    /// Whether the file is longer.
    pub(crate) is_cut: bool,
}

impl ReplicaFile {
    /// Reads the beginnings of all files of a directory, in order of name. Names begin with the
    /// host, as in `n1.log`, or `n1-NAME` of a file that the replica wrote itself.
    pub(crate) fn read_all(directory: &Path) -> Vec<Self> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        let read = |entry: std::fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let host = name.split(['.', '-']).next()?.to_owned();
            let file = File::open(entry.path()).ok()?;
            let is_cut = file.metadata().ok()?.len() > MAX_FILE_BYTES;
            let mut bytes = Vec::new();
            file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).ok()?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Some(Self { host, name, text, is_cut })
        };
        let mut files: Vec<Self> = entries.filter_map(read).collect();
        files.sort_by(|one, other| one.name.cmp(&other.name));
        files
    }
}

impl Sources<'_> {
    /// The hosts whose disk a fault disturbed: their replicas may stop, and say why.
    pub(super) fn disturbed_hosts(&self) -> BTreeSet<&str> {
        self.hosts_hit_by(|nemesis| nemesis.requirements().contains(&Requirement::Disks))
    }

    /// The hosts of faults of some kind of nemesis that were applied.
    fn hosts_hit_by(&self, is_such: fn(&dyn Nemesis) -> bool) -> BTreeSet<&str> {
        let applied = self.faults.iter().filter(|fault| fault.state != FaultState::Skipped);
        let such = applied.filter(|fault| find_nemesis(&fault.kind).is_some_and(is_such));
        such.flat_map(|fault| &fault.hosts).map(String::as_str).collect()
    }

    /// The hosts whose replica may have lost what it had made durable.
    pub(super) fn damaged_hosts(&self) -> BTreeSet<&str> {
        self.hosts_hit_by(|nemesis| nemesis.corrupts_data())
    }

    /// The hosts whose replica may have started again from nothing.
    pub(super) fn emptied_hosts(&self) -> BTreeSet<&str> {
        self.hosts_hit_by(|nemesis| nemesis.empties_disk())
    }

    /// What must be added to a sentence about these files where not all of each was read.
    pub(super) fn cut_note(files: &[ReplicaFile]) -> String {
        match files.iter().any(|file| file.is_cut) {
            true => format!("; only the first {} MiB of a file were read", MAX_FILE_BYTES >> 20),
            false => String::new(),
        }
    }

    /// The first fault that corrupted what a replica had synced. Raft promises nothing after that.
    pub(super) fn first_corruption(&self) -> Option<&FaultRecord> {
        let applied = self.faults.iter().filter(|fault| fault.state != FaultState::Skipped);
        applied
            .into_iter()
            .find(|fault| find_nemesis(&fault.kind).is_some_and(|nemesis| nemesis.corrupts_data()))
    }
}
