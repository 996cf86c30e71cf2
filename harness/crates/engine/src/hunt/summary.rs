//! The result of a hunt, for programs and for people.

use super::estimate::NoveltyEstimate;
use super::journal::{HuntJournal, HuntSettings, RegressionResult};
use super::state::{FindingGroup, HuntState, ValueCoverage};
use records::suite::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of the JSON format.
const FORMAT: u32 = 1;
/// The exit code of an interrupted hunt.
const INTERRUPTED: u8 = 130;

/// The result of a hunt.
#[derive(Clone, Debug, Serialize)]
pub struct HuntRecord {
    /// [`FORMAT`].
    pub format: u32,
    /// The hunt's folder, with its journal.
    pub folder: String,
    /// When it began, UTC, RFC 3339.
    pub started: String,
    /// The seed of all draws.
    pub seed: u64,
    /// Whether it learned from what was new.
    pub feedback: bool,
    /// The time that was spent, in milliseconds.
    pub spent_ms: u64,
    /// The exit code.
    pub exit: u8,
    /// Whether it was interrupted; the same command goes on.
    pub interrupted: bool,
    /// Runs by outcome, repetitions left out.
    pub runs: BTreeMap<&'static str, u64>,
    /// The number of states seen.
    pub states: u64,
    /// Regression files that were played first.
    pub regressions: Vec<RegressionResult>,
    /// What was violated.
    pub findings: Vec<FindingGroup>,
    /// The runs that played each value.
    pub covered: Vec<ValueCoverage>,
    /// The chance that the next run shows a new state.
    pub new_state: Option<NoveltyEstimate>,
    /// The chance that the next run shows a new violation.
    pub new_violation: Option<NoveltyEstimate>,
}

impl HuntRecord {
    pub(super) fn new(
        journal: &HuntJournal,
        settings: &HuntSettings,
        state: &HuntState,
        (spent_ms, interrupted): (u64, bool),
    ) -> Self {
        let (new_state, new_violation) = state.estimates();
        Self {
            format: FORMAT,
            folder: journal.folder().display().to_string(),
            started: journal.started.clone(),
            seed: journal.seed,
            feedback: settings.policy.feedback,
            spent_ms,
            exit: if interrupted { INTERRUPTED } else { state.exit_code() },
            interrupted,
            runs: state.outcomes.iter().map(|(outcome, count)| (outcome.name(), *count)).collect(),
            states: state.state_count(),
            regressions: state.regressions.clone(),
            findings: state.findings.clone(),
            covered: state.coverage(),
            new_state,
            new_violation,
        }
    }

    /// The number of runs that ended with a verdict.
    pub fn judged_runs(&self) -> u64 {
        let settled = [Outcome::Passed, Outcome::Unknown, Outcome::Finding];
        settled.iter().filter_map(|outcome| self.runs.get(outcome.name())).sum()
    }
}
