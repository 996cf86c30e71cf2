//! Records the values of the options of `harness test` in `run.json`.
//!
//! Every field has an entry in the table of [`crate::options`].

pub use crate::options::{NameSource, OPTIONS, OptionKind, TestOption};
use serde::{Deserialize, Serialize};

/// The options of a run, with all defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The system under test.
    pub system: String,
    /// How many replicas.
    pub nodes: u8,
    /// The workload.
    pub workload: String,
    /// The consistency asked of reads: `linearizable`, `lease`, `stale` or `after`.
    #[serde(default = "default_read_consistency")]
    pub read: String,
    /// The kinds of fault, each with a variant after a colon where one was named.
    pub nemesis: Vec<String>,
    /// How the seed paces faults: the name of a regime, or `mixed`.
    #[serde(default = "default_pace_before_regimes")]
    pub pace: String,
    /// How long from the start of one fault to that of the next, in milliseconds; `None` leaves it
    /// to the pace.
    #[serde(default)]
    pub interval_ms: Option<u64>,
    /// How long each fault lasts, in milliseconds; `None` leaves it to the pace.
    #[serde(default)]
    pub duration_ms: Option<u64>,
    /// How long the main phase lasts, in milliseconds.
    pub time_limit_ms: u64,
    /// Whether the seed draws what was not asked for. A run that has drawn records what it drew,
    /// and that it draws no more.
    #[serde(default)]
    pub swarm: bool,
    /// How many keys clients use at a time; `None` leaves it to the workload.
    #[serde(default)]
    pub keys: Option<u64>,
    /// How often each of them is used, `hot`, `uniform` or `zipf`; `None` leaves it to the
    /// workload.
    #[serde(default)]
    pub skew: Option<String>,
    /// How long a client waits for an answer, in milliseconds; `None` leaves it to the adapter.
    #[serde(default)]
    pub patience_ms: Option<u64>,
    /// The variant of the system's file.
    #[serde(default)]
    pub variant: Option<String>,
    /// The number of clients.
    pub concurrency: u64,
    /// Operations started a second.
    pub rate: u64,
    /// Determines generator, plan and schedule.
    pub seed: u64,
    /// The network that was asked for: `auto`, `namespaces`, `proxy` or `switch`.
    pub net: String,
    /// The seeded bugs enabled in the replicas.
    #[serde(rename = "unsafe")]
    pub bugs: Vec<String>,
    /// Further arguments of each replica.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub node_args: Vec<String>,
    /// Another build of the system than the one in this binary.
    pub bin: Option<String>,
    /// The file with the schedule, where one was given instead of a nemesis.
    #[serde(default)]
    pub schedule: Option<String>,
    /// Whether to stop at the first violation.
    #[serde(default)]
    pub fail_fast: bool,
    /// Whether every packet was recorded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub capture: bool,
    /// The mean latency of messages that the harness carries, in milliseconds.
    #[serde(default)]
    pub latency_ms: u64,
    /// The distribution of these latencies.
    #[serde(default = "default_latency_dist")]
    pub latency_dist: String,
    /// How many of 1000 such messages are lost.
    #[serde(default)]
    pub loss_per_mille: u16,
    /// The neighbours that nodes are given, where the workload gives them any.
    #[serde(default = "default_topology")]
    pub topology: String,
}

/// The default distribution of latencies.
pub fn default_latency_dist() -> String {
    "constant".to_owned()
}

/// The default topology, which is Maelstrom's, too.
pub fn default_topology() -> String {
    "grid".to_owned()
}

/// How faults were paced in runs recorded before there was a choice.
fn default_pace_before_regimes() -> String {
    "calm".to_owned()
}

/// The consistency of reads in runs recorded before there was a choice.
fn default_read_consistency() -> String {
    "linearizable".to_owned()
}
