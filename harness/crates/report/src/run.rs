//! A finished run, as a report is given it.

use checker::History;
use records::record::{Reason, RunRecord, VerdictRecord};
use records::sights::Observed;

/// A finished run, as much of it as a report shows.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// What was asked, and of which machine.
    pub record: &'a RunRecord,
    /// What came of it.
    pub verdict: &'a VerdictRecord,
    /// Every operation.
    pub history: &'a History,
    /// What was seen of the replicas meanwhile, and their logs; for the eye only.
    pub observed: &'a Observed,
    /// The names of its workload's checks, as `harness check --model` takes them, in the verdict's order.
    pub check_names: &'a [&'a str],
    /// Where the run's files are, as a user here would type it.
    pub directory: &'a str,
}

/// What stands against *valid* and is said neither by the verdict's sentence nor beside a proof.
pub(crate) fn further_reasons(verdict: &VerdictRecord) -> impl Iterator<Item = &Reason> {
    let proved = verdict.checks.iter().filter(|check| check.witness.is_some());
    let said: Vec<&str> =
        proved.map(|check| &*check.sentence).chain([&*verdict.sentence]).collect();
    verdict
        .reasons
        .iter()
        .filter(move |reason| !said.iter().any(|said| said.contains(&*reason.text)))
}
