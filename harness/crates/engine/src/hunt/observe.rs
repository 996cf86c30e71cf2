//! Reads what a hunt learns from the directory of a run.

use super::novelty::{RunTraces, observe_states};
use super::redact::Redactor;
use super::signature::{Signature, find_signatures};
use records::RunDirectory;
use records::record::Config;
use records::replica_log::ReplicaTelemetry;
use std::collections::BTreeSet;
use std::path::Path;

/// The file of the history in the directory of a run.
const HISTORY: &str = "history.jsonl";

/// What a hunt learns from a run.
#[derive(Clone, Debug, Default)]
pub(super) struct ObservedRun {
    /// The states that it was in.
    pub(super) states: BTreeSet<String>,
    /// What it violated, the worst first.
    pub(super) signatures: Vec<Signature>,
    /// The verdict in one sentence.
    pub(super) sentence: String,
}

/// What a hunt learns from a run; nothing from one without a verdict.
pub(super) fn observe_run(run: &Path, redactor: &Redactor) -> ObservedRun {
    let directory = RunDirectory::open(run);
    let (Ok(record), Ok(verdict)) = (directory.read_run(), directory.read_verdict()) else {
        return ObservedRun::default();
    };
    let bytes = std::fs::read(directory.file_path(HISTORY)).unwrap_or_default();
    let history = String::from_utf8_lossy(&bytes);
    let names = record.replicas.iter().map(|replica| replica.name.as_str());
    let telemetry = ReplicaTelemetry::read(&directory, names);
    let logs: Vec<_> = telemetry.logs.values().map(|log| String::from_utf8_lossy(log)).collect();
    let traces = RunTraces {
        verdict: &verdict,
        history: &history,
        logs: logs.iter().map(AsRef::as_ref).collect(),
        observations: &telemetry.observations,
    };
    ObservedRun {
        states: observe_states(&traces, redactor),
        signatures: find_signatures(&record.config.system, &verdict, redactor),
        sentence: verdict.sentence,
    }
}

/// The configuration of a run, if it is recorded.
pub(super) fn read_config(run: &Path) -> anyhow::Result<Config> {
    Ok(RunDirectory::open(run).read_run()?.config)
}
