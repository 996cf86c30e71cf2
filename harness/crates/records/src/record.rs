//! The record types of a run: `run.json`, `verdict.json` and the lines of `index.jsonl`.
//!
//! They are plain values, the only interface between the run and its later readers. Fields are
//! only added; [`FORMAT`] increases if the meaning of a field changes.

pub use crate::config::Config;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the file formats.
pub const FORMAT: u32 = 1;

/// The version of files without a version field.
pub fn default_format() -> u32 {
    FORMAT
}

/// `run.json`: everything about a run except its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`FORMAT`].
    pub format: u32,
    /// This tool's version.
    pub harness: String,
    /// The command line.
    pub argv: Vec<String>,
    /// The options.
    pub config: Config,
    /// When it started, UTC, RFC 3339.
    pub started: String,
    /// The machine.
    pub machine: Machine,
    /// The network the replicas talked over.
    pub net: Net,
    /// The file system of the replicas' data, if disk faults are possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disks: Option<DiskFaultBackend>,
    /// The replicas, in order of host.
    pub replicas: Vec<Replica>,
    /// The durations of the phases.
    pub timings: Timings,
    /// What the seed drew of the options, as text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drawn: Vec<String>,
    /// A command line that repeats the run.
    pub repro: String,
}

/// The machine a run ran on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `uname` system, release and architecture.
    pub kernel: String,
    /// How many processors this process may use.
    pub cpus: usize,
    /// The user's effective id outside any namespace.
    pub uid: u32,
}

/// The network the replicas talked over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Net {
    /// `bridge` or `proxy`.
    pub backend: String,
    /// A description in one sentence.
    pub description: String,
    /// Why it is not the backend that `auto` prefers.
    pub why: Option<String>,
}

/// The backend of disk faults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFaultBackend {
    /// `fuse` or `seccomp`.
    pub means: String,
    /// A description in one sentence.
    pub description: String,
    /// Why it is not `fuse`.
    pub why: Option<String>,
}

/// One server of the system under test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// `n1`, `n2`, …
    pub name: String,
    /// Where clients reached it.
    pub address: String,
}

/// How long the parts of a run took, in milliseconds since the command began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// The wall clock at time zero of the run, in milliseconds since 1970.
    #[serde(default)]
    pub clock_unix_ms: Option<i64>,
    /// Until the network was up.
    pub net_ms: u64,
    /// Until every replica answered.
    pub ready_ms: u64,
    /// Until the first operation was invoked.
    pub first_op_ms: Option<u64>,
    /// Until the last completion was recorded.
    pub history_ms: Option<u64>,
    /// Until the verdict was there.
    pub judged_ms: Option<u64>,
}

/// The validity of a run: the worst of its checks and its coverage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validity {
    /// All checks passed, and the coverage is sufficient.
    Valid,
    /// Something could not be established.
    Unknown,
    /// The system violated its guarantees.
    Invalid,
}

impl Validity {
    /// The name in files and on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
        }
    }
}

/// `verdict.json`: the outcome of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictRecord {
    /// [`FORMAT`], the version of the schema in `schema/`.
    #[serde(default = "default_format")]
    pub schema_version: u32,
    /// [`FORMAT`].
    pub format: u32,
    /// The worst of everything below.
    pub validity: Validity,
    /// The process's exit code.
    pub exit: u8,
    /// Whether the run was interrupted.
    pub interrupted: bool,
    /// When and why the main phase ended early, if a violation ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_early: Option<String>,
    /// The seeded bugs that are enabled in the replicas.
    #[serde(rename = "unsafe")]
    pub bugs: Vec<String>,
    /// The verdict in one sentence.
    pub sentence: String,
    /// All reasons against *valid*, the worst first.
    pub reasons: Vec<Reason>,
    /// Checks that were skipped because the system does not promise their property.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_asked: Vec<String>,
    /// What each check found.
    pub checks: Vec<CheckRecord>,
    /// Every fault of the run, in order of its start.
    pub faults: Vec<FaultRecord>,
    /// Operations per function and outcome, and the calls that were skipped.
    pub counts: Counts,
    /// Latency of completed operations, from the intended start.
    pub latency: Latency,
    /// Replicas that exited unexpectedly.
    pub deaths: Vec<ReplicaExit>,
    /// The operations during faults; empty in records without this field.
    #[serde(default)]
    pub coverage: Coverage,
    /// The leaders over time, as the system reports them; no check uses them.
    #[serde(default)]
    pub led: Vec<LeaderChange>,
}

/// One reason against *valid*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Its severity.
    pub validity: Validity,
    /// The reason in one sentence.
    pub text: String,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// The check's name.
    pub name: String,
    /// Its verdict.
    pub validity: Validity,
    /// Its message.
    pub sentence: String,
    /// The minimal operations that prove a violation.
    pub witness: Option<Witness>,
    /// Findings without a window, the worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Further measurements, by name.
    #[serde(default)]
    pub measured: BTreeMap<String, serde_json::Value>,
}

/// One kind of anomaly, and its smallest example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its name in the literature.
    pub name: String,
    /// The number of occurrences.
    pub count: usize,
    /// The message of the example.
    pub sentence: String,
    /// The proof, step by step.
    pub steps: Vec<String>,
    /// The dependencies between the operations, one for each step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrows: Vec<DependencyEdge>,
    /// The operations of the example, by index of their invocation.
    pub operations: Vec<u64>,
}

/// A dependency: one operation must precede another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependencyEdge {
    /// The first, by index of its invocation.
    pub from: u64,
    /// The second.
    pub to: u64,
    /// Why: `ww`, `wr`, `rw`, `process`, `realtime`.
    pub relation: String,
}

/// The minimal operations that prove a violation, ready for display.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The key, if the history was split by key.
    pub key: Option<String>,
    /// The possible states at the start of the window.
    pub entry_states: Vec<String>,
    /// The operations as ASCII lanes, one per process.
    pub lanes: String,
    /// The operations, by index of their invocation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<u64>,
    /// The operation whose answer no order explains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accused: Option<u64>,
    /// The longest consistent prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<PrefixOperation>,
    /// The possible states after the longest consistent prefix.
    pub states_after: Vec<String>,
    /// Each operation that could have come next, and why it cannot.
    pub candidates: Vec<Candidate>,
    /// The file beside this one that has the window as a separate history.
    pub file: String,
    /// The content of that file, for reports that are copied without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub case: String,
}

/// An operation of the longest consistent prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrefixOperation {
    /// The index of its invocation.
    pub index: u64,
    /// The operation.
    pub operation: String,
    /// The possible states before it.
    pub before: Vec<String>,
}

/// An operation that could have come next, and why it cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The index of its invocation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// The operation.
    pub operation: String,
    /// Why it is illegal here.
    pub reason: String,
}

/// One fault of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultRecord {
    /// From 1, in order of the schedule.
    pub id: u32,
    /// The nemesis: `partition`, `kill`, `pause`.
    pub kind: String,
    /// The target selector: `leader`, `halves`, …
    pub variant: String,
    /// The target, as text: `n1 n2 | n3 n4 n5`.
    pub target: String,
    /// The hosts whose replica it touched directly (killed, paused); empty for a partition.
    pub hosts: Vec<String>,
    /// The directed links it cut, `[from, to]`.
    pub cut: Vec<(String, String)>,
    /// The hosts that can still form a majority while it lasts; empty where none can.
    pub majority: Vec<String>,
    /// When it took effect, in nanoseconds since the run began; `None` if it was skipped.
    pub started: Option<u64>,
    /// When it ended.
    pub ended: Option<u64>,
    /// Whether evidence confirms it.
    pub state: FaultState,
    /// The evidence, or why it was skipped.
    pub evidence: String,
}

/// The coverage of the confirmed faults of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// By kind of fault.
    pub kinds: BTreeMap<String, KindCoverage>,
    /// Reads that a follower answered, as far as the leader is known.
    pub reads_by_followers: u64,
}

/// The coverage of the confirmed faults of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCoverage {
    /// The number of confirmed faults.
    pub witnessed: u64,
    /// The operations that overlapped with one of them, by function.
    pub operations: BTreeMap<String, OutcomeCounts>,
    /// How many affected the leader, or cut it off from a majority.
    pub leader_hit: u64,
    /// The number of elections during or soon after them; overlapping faults share elections.
    pub elections: u64,
}

/// The leader from some time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderChange {
    /// When it was first reported, in nanoseconds since the run began.
    pub at: u64,
    /// The leader; `None` if no replica reports one.
    pub leader: Option<String>,
    /// Its term, or the last term before there was no leader.
    pub term: u64,
}

/// Whether evidence confirms a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultState {
    /// Confirmed by evidence.
    Witnessed,
    /// Applied, but not confirmed.
    Unwitnessed,
    /// Skipped: no target, or no effect possible.
    Skipped,
}

impl FaultState {
    /// The word in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Witnessed => "witnessed",
            Self::Unwitnessed => "unwitnessed",
            Self::Skipped => "skipped",
        }
    }
}

/// How operations ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// By function.
    pub functions: BTreeMap<String, OutcomeCounts>,
    /// Calls that were skipped because all clients were busy.
    pub missed: u64,
}

/// Operations by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeCounts {
    /// Succeeded.
    pub ok: u64,
    /// Failed without effect.
    pub fail: u64,
    /// Unknown outcome.
    pub info: u64,
}

impl Counts {
    /// The sum over all functions.
    pub fn sum_outcomes(&self) -> OutcomeCounts {
        self.functions.values().fold(OutcomeCounts::default(), |sum, one| OutcomeCounts {
            ok: sum.ok + one.ok,
            fail: sum.fail + one.fail,
            info: sum.info + one.info,
        })
    }
}

/// Latency of `ok` operations in microseconds, from the intended start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50_us: u64,
    /// 95th percentile.
    pub p95_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// Largest.
    pub max_us: u64,
}

/// A replica that exited unexpectedly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaExit {
    /// Its name.
    pub replica: String,
    /// How: exit code or signal.
    pub how: String,
    /// The last lines of its log.
    pub log: Vec<String>,
}

/// One line of `index.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexLine {
    /// The run's directory, relative to the results directory.
    pub run: String,
    /// When it started, UTC.
    pub started: String,
    /// The verdict.
    pub validity: Validity,
    /// The exit code.
    pub exit: u8,
    /// The seed.
    pub seed: u64,
    /// The verdict's sentence.
    pub sentence: String,
    /// The system under test; empty, like the fields below, in lines of older versions.
    #[serde(default)]
    pub system: String,
    /// The workload.
    #[serde(default)]
    pub workload: String,
    /// The kinds of fault, separated by commas, or the schedule file.
    #[serde(default)]
    pub nemesis: String,
    /// The number of replicas.
    #[serde(default)]
    pub nodes: u8,
    /// The seeded bugs that were enabled.
    #[serde(default, rename = "unsafe")]
    pub bugs: Vec<String>,
    /// The number of successful operations.
    #[serde(default)]
    pub ok: u64,
    /// From the command to the verdict, in milliseconds.
    #[serde(default)]
    pub took_ms: u64,
}
