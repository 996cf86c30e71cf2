//! Collects what a property check met: each kind of wrong counted and shown once.

use std::collections::BTreeMap;

use crate::finding::{Finding, Step};
use crate::history::Value;
use crate::verdict::{Algorithm, Stats, Validity, Verdict};

/// One case of a kind of wrong.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) message: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) operations: Vec<u64>,
}

/// What was met so far.
#[derive(Debug)]
pub(crate) struct Tally {
    check: &'static str,
    /// Every kind of wrong there is, the worst first.
    kinds: &'static [&'static str],
    findings: Vec<Finding>,
    unknown: Option<String>,
    pub(crate) measured: BTreeMap<String, Value>,
    pub(crate) stats: Stats,
}

impl Tally {
    pub(crate) fn new(check: &'static str, kinds: &'static [&'static str]) -> Self {
        let stats = Stats { algorithm: Algorithm::Monitor, ..Stats::default() };
        let (findings, measured) = (Vec::new(), BTreeMap::new());
        Self { check, kinds, findings, unknown: None, measured, stats }
    }

    /// Counts a case, and shows it if it is the first of its kind.
    pub(crate) fn found(&mut self, kind: &'static str, case: impl FnOnce() -> Case) {
        debug_assert!(self.kinds.contains(&kind), "{kind} is not declared");
        if let Some(known) = self.findings.iter_mut().find(|finding| finding.name == kind) {
            known.count += 1;
            return;
        }
        let Case { message, steps, operations } = case();
        self.findings.push(Finding { name: kind.to_owned(), count: 1, message, steps, operations });
    }

    /// Remembers why there is no Yes; the first reason is told.
    pub(crate) fn doubt(&mut self, why: impl FnOnce() -> String) {
        if self.unknown.is_none() {
            self.unknown = Some(why());
        }
    }

    /// How many kinds of wrong were met.
    pub(crate) fn wrongs(&self) -> usize {
        self.findings.iter().map(|finding| finding.count).sum()
    }

    /// Counts an object as looked at, and as wrong if anything was found since.
    pub(crate) fn count(&mut self, operations: usize, wrongs_before: usize) {
        self.stats.keys += 1;
        self.stats.operations += operations;
        self.stats.invalid_keys += usize::from(self.wrongs() > wrongs_before);
    }

    /// Remembers a number under a name.
    pub(crate) fn measure(&mut self, name: &str, value: impl Into<Value>) {
        self.measured.insert(name.to_owned(), value.into());
    }

    /// Adds to a number under a name.
    pub(crate) fn add(&mut self, name: &str, more: usize) {
        let held = self.measured.entry(name.to_owned()).or_insert(Value::Int(0));
        if let Value::Int(sum) = held {
            *sum += more as i64;
        }
    }

    /// The verdict: invalid if anything was found, unknown if there is a doubt, else valid.
    pub(crate) fn verdict(mut self, held: &str) -> Verdict {
        let kinds = self.kinds;
        self.findings.sort_by_key(|finding| kinds.iter().position(|kind| *kind == finding.name));
        let (validity, message) = match (self.findings.first(), self.unknown) {
            (Some(_), _) => (Validity::Invalid, accusation(&self.findings)),
            (None, Some(why)) => (Validity::Unknown, why),
            (None, None) => (Validity::Valid, held.to_owned()),
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

/// The worst case in full, and how many there are of each kind.
fn accusation(findings: &[Finding]) -> String {
    let counts: Vec<String> =
        findings.iter().map(|finding| format!("{} {}", finding.count, finding.name)).collect();
    format!("{} ({})", findings[0].message, counts.join(", "))
}

/// A verdict on a history that means nothing to the check.
pub(crate) fn meaningless(check: &str, why: String) -> Verdict {
    Verdict { check: check.to_owned(), ..Verdict::unknown(why) }
}
