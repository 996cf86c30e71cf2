//! Names what a run leaves behind besides its history: `run.json`, `verdict.json` and the lines of `index.jsonl`.
//!
//! These are plain values; whoever made a run and whoever reads it years later share nothing but them. Fields
//! are only ever added, and [`FORMAT`] grows when the meaning of one changes.

pub use crate::config::Config;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the files' shape.
pub const FORMAT: u32 = 1;

/// What files from before there was a schema are.
pub fn format() -> u32 {
    FORMAT
}

/// `run.json`: everything about a run but its outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`FORMAT`].
    pub format: u32,
    /// This tool's version.
    pub harness: String,
    /// The command line as it was typed.
    pub argv: Vec<String>,
    /// What was asked.
    pub config: Config,
    /// When it started, UTC, RFC 3339.
    pub started: String,
    /// The machine.
    pub machine: Machine,
    /// The network the replicas talked over.
    pub net: Net,
    /// What replicas' data was on, where disks could fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disks: Option<Disks>,
    /// The replicas, in order of host.
    pub replicas: Vec<Replica>,
    /// How long each part took.
    pub timings: Timings,
    /// A command line that asks for the same run again.
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
    /// What it is made of, in a sentence.
    pub description: String,
    /// Why it is not the one `auto` prefers.
    pub why: Option<String>,
}

/// What made disks fail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disks {
    /// `fuse` or `seccomp`.
    pub means: String,
    /// What that is, in a sentence.
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
    /// What the wall clock read when the run's own clock read zero, in milliseconds since 1970.
    #[serde(default)]
    pub clock_unix_ms: Option<i64>,
    /// Until the network stood.
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

/// Whether a run was fine; the judge's word and the coverage's word together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Validity {
    /// Everything that was claimed was checked and holds.
    Valid,
    /// Something could not be established.
    Unknown,
    /// The system did what it must not do.
    Invalid,
}

impl Validity {
    /// The word in files and on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Unknown => "unknown",
            Self::Invalid => "invalid",
        }
    }
}

/// `verdict.json`: what came of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictRecord {
    /// [`FORMAT`], by the name under which programs look for it; `schema/` has what it means.
    #[serde(default = "format")]
    pub schema_version: u32,
    /// [`FORMAT`].
    pub format: u32,
    /// The worst of everything below.
    pub validity: Validity,
    /// The process's exit code.
    pub exit: u8,
    /// Whether the run was told to stop before it was over.
    pub interrupted: bool,
    /// When and why the main phase ended before its time, if a violation ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_early: Option<String>,
    /// The bugs that were switched on in the replicas.
    #[serde(rename = "unsafe")]
    pub bugs: Vec<String>,
    /// The verdict in a sentence for a stranger.
    pub sentence: String,
    /// Everything that stands against *valid*, the worst first.
    pub reasons: Vec<Reason>,
    /// What was left out because the system declares that it never promised it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_asked: Vec<String>,
    /// What each check found.
    pub checks: Vec<CheckRecord>,
    /// Every fault of the run, in order of its start.
    pub faults: Vec<FaultRecord>,
    /// Operations per function and outcome, and what never started.
    pub counts: Counts,
    /// Latency of completed operations, from the intended start.
    pub latency: Latency,
    /// Replicas that exited unasked.
    pub deaths: Vec<Death>,
    /// What the faults met; empty in runs recorded before it was counted.
    #[serde(default)]
    pub coverage: Coverage,
    /// Who led from when on, as the system says of itself; no evidence of anything.
    #[serde(default)]
    pub led: Vec<Led>,
}

/// One thing that stands against *valid*.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// How bad it is.
    pub validity: Validity,
    /// What it is, in a sentence.
    pub text: String,
}

/// What one check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRecord {
    /// The check's name.
    pub name: String,
    /// What it says.
    pub validity: Validity,
    /// The same in a sentence.
    pub sentence: String,
    /// The few operations that prove it, where it is invalid.
    pub witness: Option<Witness>,
    /// Evidence of other shapes, the worst first.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// What was measured besides, by name.
    #[serde(default)]
    pub measured: BTreeMap<String, serde_json::Value>,
}

/// One kind of wrong, and its smallest case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is called in the literature.
    pub name: String,
    /// How many cases there are.
    pub count: usize,
    /// The case that is shown.
    pub sentence: String,
    /// Why it is one, step by step.
    pub steps: Vec<String>,
    /// The same as arrows between operations, one for each step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arrows: Vec<Arrow>,
    /// The operations of the case, by index of their invocation.
    pub operations: Vec<u64>,
}

/// That one operation must come before another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrow {
    /// The first, by index of its invocation.
    pub from: u64,
    /// The second.
    pub to: u64,
    /// Why: `ww`, `wr`, `rw`, `process`, `realtime`.
    pub relation: String,
}

/// The few operations that prove a history wrong, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witness {
    /// The key, where the history was split by key.
    pub key: Option<String>,
    /// The states that could hold when the window opens.
    pub entry_states: Vec<String>,
    /// The operations as ASCII lanes, one per process.
    pub lanes: String,
    /// The operations, by index of their invocation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operations: Vec<u64>,
    /// The one whose answer no order explains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accused: Option<u64>,
    /// The longest order that fits, one operation at a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Placed>,
    /// The states in which the longest order that fits can end.
    pub states_after: Vec<String>,
    /// Each operation that could have come next, and why it cannot.
    pub candidates: Vec<Candidate>,
    /// The file, beside this one, with the window as a history of its own.
    pub file: String,
    /// What is in that file, so that a page that was sent away still has it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub case: String,
}

/// An operation that has its place in an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The index of its invocation.
    pub index: u64,
    /// The operation.
    pub operation: String,
    /// The states that could hold before it.
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
    /// How it aimed: `leader`, `halves`, …
    pub variant: String,
    /// What was done, in words: `n1 n2 | n3 n4 n5`.
    pub target: String,
    /// The hosts whose replica it touched directly (killed, paused); empty for a partition.
    pub hosts: Vec<String>,
    /// The directed links it cut, `[from, to]`.
    pub cut: Vec<(String, String)>,
    /// The hosts that can still form a majority while it lasts; empty where none can.
    pub majority: Vec<String>,
    /// When it bit, in nanoseconds since the run began; `None` when it was skipped.
    pub started: Option<u64>,
    /// When it began to be undone.
    pub ended: Option<u64>,
    /// Whether anything saw it bite.
    pub state: FaultState,
    /// What was seen, in words with numbers; or why it was skipped.
    pub evidence: String,
}

/// What the witnessed faults of a run met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// By kind of fault.
    pub kinds: BTreeMap<String, KindCoverage>,
    /// Reads answered by a replica that did not lead, as far as the system said who does.
    pub reads_by_followers: u64,
}

/// What the witnessed faults of one kind met.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KindCoverage {
    /// How many there were.
    pub witnessed: u64,
    /// The operations that overlapped one of them, by function.
    pub operations: BTreeMap<String, Outcomes>,
    /// How many touched whoever led, or cut it off from a majority.
    pub leader_hit: u64,
    /// How many new terms had a leader while they lasted or soon after; faults that overlap share them.
    pub elections: u64,
}

/// Who led from some time on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Led {
    /// When that was first heard, in nanoseconds since the run began.
    pub at: u64,
    /// Who; `None` where nobody said so.
    pub leader: Option<String>,
    /// Its term, or the last one before nobody led.
    pub term: u64,
}

/// Whether anything saw a fault bite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultState {
    /// Evidence says that it bit.
    Witnessed,
    /// It was applied, and nothing proves that it bit.
    Unwitnessed,
    /// It had no target, or came to nothing.
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
    pub functions: BTreeMap<String, Outcomes>,
    /// Arrivals that found no free process.
    pub missed: u64,
}

/// Operations by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// Happened.
    pub ok: u64,
    /// Did not happen.
    pub fail: u64,
    /// Nobody knows.
    pub info: u64,
}

impl Counts {
    /// All functions together.
    pub fn total(&self) -> Outcomes {
        self.functions.values().fold(Outcomes::default(), |sum, one| Outcomes {
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

/// A replica that exited unasked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Death {
    /// Which one.
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
    /// The system under test; empty, like what follows, in lines from before it was noted.
    #[serde(default)]
    pub system: String,
    /// What clients did.
    #[serde(default)]
    pub workload: String,
    /// What went wrong: kinds of fault with commas, or the file of the schedule.
    #[serde(default)]
    pub nemesis: String,
    /// How many replicas.
    #[serde(default)]
    pub nodes: u8,
    /// The bugs that were switched on.
    #[serde(default, rename = "unsafe")]
    pub bugs: Vec<String>,
    /// Operations that happened.
    #[serde(default)]
    pub ok: u64,
    /// From the command to the verdict, in milliseconds.
    #[serde(default)]
    pub took_ms: u64,
}
