//! A finished run: the input of all reports.

use checker::History;
use records::record::{Reason, RunRecord, VerdictRecord};
use records::replica_log::ReplicaTelemetry;

/// A finished run, as far as reports show it.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// `run.json`: options, machine and network.
    pub record: &'a RunRecord,
    /// `verdict.json`.
    pub verdict: &'a VerdictRecord,
    /// Every operation.
    pub history: &'a History,
    /// Observations and logs of the replicas; for display only.
    pub observed: &'a ReplicaTelemetry,
    /// The names of the workload's checks for `harness check --model`, in the verdict's order.
    pub check_names: &'a [&'a str],
    /// The directory of the run, as the user would type it.
    pub directory: &'a str,
}

/// The reasons against *valid* that neither the verdict's sentence nor a proof contains.
pub(crate) fn further_reasons(verdict: &VerdictRecord) -> impl Iterator<Item = &Reason> {
    let proved = verdict.checks.iter().filter(|check| check.witness.is_some());
    let said: Vec<&str> =
        proved.map(|check| &*check.sentence).chain([&*verdict.sentence]).collect();
    verdict
        .reasons
        .iter()
        .filter(move |reason| !said.iter().any(|said| said.contains(&*reason.text)))
}
