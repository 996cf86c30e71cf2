//! Collects the cases that a check finds and builds its verdict: each anomaly is counted, and its
//! first case is shown.

use std::collections::BTreeMap;

use crate::finding::{Finding, Step};
use crate::history::Value;
use crate::verdict::{Algorithm, Stats, Validity, Verdict};

/// One case of an anomaly.
#[derive(Debug, Default)]
pub(crate) struct AnomalyCase {
    pub(crate) message: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) operations: Vec<u64>,
}

/// The findings, measurements and statistics of a check so far.
#[derive(Debug)]
pub(crate) struct VerdictBuilder {
    check: &'static str,
    /// Every anomaly that the check reports, the worst first.
    anomalies: &'static [&'static str],
    findings: Vec<Finding>,
    unknown: Option<String>,
    pub(crate) measured: BTreeMap<String, Value>,
    pub(crate) stats: Stats,
}

impl VerdictBuilder {
    pub(crate) fn new(check: &'static str, anomalies: &'static [&'static str]) -> Self {
        let stats = Stats { algorithm: Algorithm::Monitor, ..Stats::default() };
        let (findings, measured) = (Vec::new(), BTreeMap::new());
        Self { check, anomalies, findings, unknown: None, measured, stats }
    }

    /// Counts a case, and shows it if it is the first of its anomaly.
    pub(crate) fn add_case(&mut self, anomaly: &'static str, case: impl FnOnce() -> AnomalyCase) {
        debug_assert!(self.anomalies.contains(&anomaly), "{anomaly} is not declared");
        if let Some(known) = self.findings.iter_mut().find(|finding| finding.name == anomaly) {
            known.count += 1;
            return;
        }
        let AnomalyCase { message, steps, operations } = case();
        let name = anomaly.to_owned();
        self.findings.push(Finding { name, count: 1, message, steps, operations });
    }

    /// Records why the verdict cannot be *valid*; the first reason is reported.
    pub(crate) fn add_unknown(&mut self, why: impl FnOnce() -> String) {
        if self.unknown.is_none() {
            self.unknown = Some(why());
        }
    }

    /// The number of cases so far.
    pub(crate) fn case_count(&self) -> usize {
        self.findings.iter().map(|finding| finding.count).sum()
    }

    /// Counts an object as checked, and as invalid if the number of cases has grown.
    pub(crate) fn finish_object(&mut self, operations: usize, cases_before: usize) {
        self.stats.keys += 1;
        self.stats.operations += operations;
        self.stats.invalid_keys += usize::from(self.case_count() > cases_before);
    }

    /// Sets a measurement.
    pub(crate) fn set_measure(&mut self, name: &str, value: impl Into<Value>) {
        self.measured.insert(name.to_owned(), value.into());
    }

    /// Adds to a measurement.
    pub(crate) fn add_to_measure(&mut self, name: &str, more: usize) {
        let held = self.measured.entry(name.to_owned()).or_insert(Value::Int(0));
        if let Value::Int(sum) = held {
            *sum += more as i64;
        }
    }

    /// Builds the verdict: invalid if there is a case, unknown if a reason was recorded, else valid
    /// with this message.
    pub(crate) fn build(mut self, valid_message: &str) -> Verdict {
        let anomalies = self.anomalies;
        self.findings.sort_by_key(|finding| anomalies.iter().position(|it| *it == finding.name));
        let (validity, message) = match (self.findings.first(), self.unknown) {
            (Some(_), _) => (Validity::Invalid, summarize_findings(&self.findings)),
            (None, Some(why)) => (Validity::Unknown, why),
            (None, None) => (Validity::Valid, valid_message.to_owned()),
        };
        Verdict {
            check: self.check.to_owned(),
            validity,
            message,
            witness: None,
            findings: self.findings,
            measured: self.measured,
            stats: self.stats,
        }
    }
}

/// The worst case, and the number of cases of each anomaly.
fn summarize_findings(findings: &[Finding]) -> String {
    let counts: Vec<String> =
        findings.iter().map(|finding| format!("{} {}", finding.count, finding.name)).collect();
    format!("{} ({})", findings[0].message, counts.join(", "))
}

/// The verdict on a history that the check cannot interpret.
pub(crate) fn unsupported_history(check: &str, why: String) -> Verdict {
    Verdict { check: check.to_owned(), ..Verdict::unknown(why) }
}
