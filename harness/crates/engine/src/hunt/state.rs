//! What a hunt has learned: a fold over the lines of its journal. Pure.
//!
//! A hunt that goes on folds the lines that are there, and is where it was.

use super::estimate::{NoveltyEstimate, SpeciesCounts};
use super::journal::{FindingLine, HuntLine, HuntSettings, RegressionResult, RunLine};
use super::policy::Bandit;
use super::signature::Signature;
use crate::spelling::hash_text;
use records::suite::Outcome;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What a hunt has learned.
#[derive(Clone, Debug)]
pub struct HuntState {
    /// Which values the next run plays.
    pub bandit: Bandit,
    /// Every state that a run was in.
    seen: BTreeSet<u64>,
    /// States by runs.
    state_counts: SpeciesCounts,
    /// Violations by runs.
    violation_counts: SpeciesCounts,
    /// By axis and value.
    covered: Vec<Vec<ValueCoverage>>,
    /// The number of the next run.
    pub next_run: u64,
    /// Runs by outcome.
    pub outcomes: BTreeMap<Outcome, u64>,
    /// Violations, in the order in which they were first seen.
    pub findings: Vec<FindingGroup>,
    /// The regression files that were played.
    pub regressions: Vec<RegressionResult>,
    /// The time that is spent, in milliseconds.
    pub spent_ms: u64,
}

/// The runs that played a value of an axis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ValueCoverage {
    /// The axis.
    pub axis: String,
    /// The value.
    pub value: String,
    /// Runs that ended.
    pub runs: u64,
    /// States that one of them was the first in.
    pub new_states: u64,
    /// Those that violated something.
    pub violations: u64,
}

/// All runs that violated the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FindingGroup {
    /// What tells it from others.
    pub signature: Signature,
    /// How many runs showed it, repetitions left out.
    pub runs: u64,
    /// The number of the run that showed it first.
    pub first_run: u64,
    /// When that run ended, in milliseconds of the hunt.
    pub found_ms: u64,
    /// The directory of that run.
    pub directory: Option<String>,
    /// What was found out about it, once it was confirmed and minimized.
    pub details: Option<FindingLine>,
}

impl HuntState {
    /// The state before the first run.
    pub fn new(settings: &HuntSettings) -> Self {
        let covered = settings.axes.iter().map(|axis| {
            let row = |value: &String| ValueCoverage {
                axis: axis.name.clone(),
                value: value.clone(),
                ..ValueCoverage::default()
            };
            axis.values.iter().map(row).collect()
        });
        Self {
            bandit: Bandit::new(settings.policy, settings.axes.iter().map(|it| it.values.len())),
            seen: BTreeSet::new(),
            state_counts: SpeciesCounts::default(),
            violation_counts: SpeciesCounts::default(),
            covered: covered.collect(),
            next_run: 0,
            outcomes: BTreeMap::new(),
            findings: Vec::new(),
            regressions: Vec::new(),
            spent_ms: 0,
        }
    }

    /// Learns from a line of the journal.
    pub fn apply(&mut self, line: &HuntLine) {
        match line {
            HuntLine::Begin { .. } | HuntLine::End { .. } => (),
            HuntLine::Regression(result) => {
                self.spent_ms = self.spent_ms.max(result.spent_ms);
                self.regressions.push(result.clone());
            }
            HuntLine::Run(run) => self.apply_run(run),
            HuntLine::Finding(finding) => {
                self.spent_ms = self.spent_ms.max(finding.spent_ms);
                let is_this = |group: &&mut FindingGroup| group.signature == finding.signature;
                if let Some(group) = self.findings.iter_mut().find(is_this) {
                    group.details = Some(FindingLine::clone(finding));
                }
            }
        }
    }

    fn apply_run(&mut self, run: &RunLine) {
        self.next_run = self.next_run.max(run.number + 1);
        self.spent_ms = self.spent_ms.max(run.spent_ms);
        *self.outcomes.entry(run.outcome).or_default() += 1;
        if !run.outcome.is_settled() {
            self.bandit.learn_failure(&run.picks);
            return;
        }
        let new = run.states.iter().filter(|state| self.seen.insert(**state)).count();
        self.bandit.learn(&run.picks, new, run.took_ms);
        self.state_counts.add_run(run.states.iter().copied(), run.uniform);
        let violations = run.signatures.iter().map(|it| hash_text(&it.to_string()));
        self.violation_counts.add_run(violations.collect::<BTreeSet<u64>>(), run.uniform);
        for (values, pick) in self.covered.iter_mut().zip(&run.picks) {
            let Some(value) = values.get_mut(*pick) else { continue };
            value.runs += 1;
            value.new_states += new as u64;
            value.violations += u64::from(!run.signatures.is_empty());
        }
        if let Some(signature) = run.signatures.first() {
            self.count_finding(signature, run);
        }
    }

    fn count_finding(&mut self, signature: &Signature, run: &RunLine) {
        match self.findings.iter_mut().find(|group| group.signature == *signature) {
            Some(group) => group.runs += 1,
            None => self.findings.push(FindingGroup {
                signature: signature.clone(),
                runs: 1,
                first_run: run.number,
                found_ms: run.spent_ms,
                directory: run.run.clone(),
                details: None,
            }),
        }
    }

    /// The first violation that is neither confirmed nor known from a regression file.
    pub fn next_unconfirmed(&self) -> Option<&FindingGroup> {
        let open =
            |group: &&FindingGroup| group.details.is_none() && !self.is_known(&group.signature);
        self.findings.iter().find(open)
    }

    /// The number of violations that no regression file knew.
    pub fn new_findings(&self) -> usize {
        self.findings.iter().filter(|group| !self.is_known(&group.signature)).count()
    }

    /// Whether a state was seen before.
    pub fn has_seen(&self, state: u64) -> bool {
        self.seen.contains(&state)
    }

    /// The number of states that were seen.
    pub fn state_count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// The number of runs that ended.
    pub fn all_runs(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// The number of runs that ended with a verdict.
    pub fn judged_runs(&self) -> u64 {
        let settled = self.outcomes.iter().filter(|(outcome, _)| outcome.is_settled());
        settled.map(|(_, count)| count).sum()
    }

    /// The runs that played each value of each axis.
    pub fn coverage(&self) -> Vec<ValueCoverage> {
        self.covered.iter().flatten().cloned().collect()
    }

    /// What is left to see: states, violations.
    pub fn estimates(&self) -> (Option<NoveltyEstimate>, Option<NoveltyEstimate>) {
        (self.state_counts.estimate(), self.violation_counts.estimate())
    }

    /// Whether a regression file about this violation was played and showed it.
    pub fn is_known(&self, signature: &Signature) -> bool {
        let shown = self.regressions.iter().filter(|result| result.rate.hits > 0);
        shown.map(|result| &result.signature).any(|known| known == signature)
    }

    /// The exit code of the hunt so far: 1 with violations, 0 without any, 2 if no run was judged
    /// valid; where no run got that far, the code of the worst run.
    pub fn exit_code(&self) -> u8 {
        let shown = self.regressions.iter().any(|result| result.rate.hits > 0);
        if shown || !self.findings.is_empty() {
            return Outcome::Finding.exit_code();
        }
        if self.outcomes.contains_key(&Outcome::Passed) {
            return Outcome::Passed.exit_code();
        }
        let worst = self.outcomes.keys().max().copied();
        worst.unwrap_or(Outcome::NotRun).exit_code()
    }
}

#[cfg(test)]
mod tests {
    use super::super::journal::tests::{sample_run, sample_settings};
    use super::*;

    fn sample_signature(check: &str) -> Signature {
        Signature {
            system: "raft".to_owned(),
            check: check.to_owned(),
            anomaly: "lost".to_owned(),
            shape: String::new(),
        }
    }

    fn sample_lines() -> Vec<HuntLine> {
        let line = |number, states: &[u64]| HuntLine::Run(Box::new(sample_run(number, states)));
        let mut lines = vec![line(0, &[1, 2]), line(1, &[2, 3]), line(5, &[1, 2])];
        let violation = RunLine {
            outcome: Outcome::Finding,
            signatures: vec![sample_signature("set")],
            ..sample_run(6, &[9])
        };
        lines.push(HuntLine::Run(Box::new(violation.clone())));
        lines.push(HuntLine::Run(Box::new(RunLine { number: 7, ..violation })));
        let broken = RunLine { outcome: Outcome::Infra, ..sample_run(8, &[]) };
        lines.push(HuntLine::Run(Box::new(broken)));
        lines
    }

    fn fold_lines(lines: &[HuntLine]) -> HuntState {
        let mut state = HuntState::new(&sample_settings());
        lines.iter().for_each(|line| state.apply(line));
        state
    }

    #[test]
    fn counts_states_runs_and_findings() {
        let state = fold_lines(&sample_lines());
        assert_eq!((state.state_count(), state.judged_runs(), state.next_run), (4, 5, 9));
        assert_eq!(state.spent_ms, 90_000);
        assert_eq!((state.findings.len(), state.findings[0].runs), (1, 2));
        let open = state.next_unconfirmed().expect("it is not confirmed");
        assert_eq!((open.first_run, open.found_ms, state.new_findings()), (6, 70_000, 1));
        let pause = &state.coverage()[3];
        assert_eq!((pause.value.as_str(), pause.runs), ("pause", 5));
        assert_eq!((pause.new_states, pause.violations), (4, 2));
        let (states, violations) = state.estimates();
        let states = states.expect("uniform runs");
        assert_eq!((states.runs, states.seen, states.singletons), (2, 4, 0));
        let violations = violations.expect("uniform runs");
        assert_eq!((violations.seen, violations.chance), (1, 0.0));
        assert_eq!(state.exit_code(), 1);
    }

    #[test]
    fn a_journal_in_two_parts_is_one_journal() {
        let lines = sample_lines();
        let whole = fold_lines(&lines);
        for cut in 0..lines.len() {
            let mut parts = fold_lines(&lines[..cut]);
            lines[cut..].iter().for_each(|line| parts.apply(line));
            assert_eq!(format!("{parts:?}"), format!("{whole:?}"));
        }
    }

    #[test]
    fn exit_codes_tell_what_was_seen() {
        let of = |outcomes: &[Outcome]| {
            let run = |outcome: &Outcome| RunLine { outcome: *outcome, ..sample_run(0, &[]) };
            let lines: Vec<_> =
                outcomes.iter().map(|outcome| HuntLine::Run(Box::new(run(outcome)))).collect();
            fold_lines(&lines).exit_code()
        };
        assert_eq!(of(&[Outcome::Passed, Outcome::Unknown]), 0);
        assert_eq!(of(&[Outcome::Unknown, Outcome::Unknown]), 2);
        assert_eq!(of(&[Outcome::Infra]), 3);
        assert_eq!(of(&[]), 2);
        let known = HuntLine::Regression(RegressionResult {
            file: "regressions/x.toml".to_owned(),
            signature: sample_signature("set"),
            rate: super::super::rate::Rate { hits: 1, runs: 2 },
            run: None,
            spent_ms: 1,
        });
        let state = fold_lines(&[known]);
        assert_eq!(state.exit_code(), 1);
        assert!(state.is_known(&sample_signature("set")));
        assert!(!state.is_known(&sample_signature("bank")));
    }
}
