//! Collects what was broken, and makes the record of a check of it.

use records::record::{CheckRecord, Finding, Validity};
use std::collections::BTreeMap;

/// A way in which an invariant was broken, and an example.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Breach {
    /// The invariant's name.
    invariant: &'static str,
    /// What was seen first.
    example: String,
}

/// Collects what was broken: one example of each invariant, and how often.
#[derive(Debug, Default)]
pub(super) struct Breaches {
    found: Vec<(Breach, usize)>,
}

impl Breaches {
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn add_breach(&mut self, invariant: &'static str, example: String) {
        match self.found.iter_mut().find(|(breach, _)| breach.invariant == invariant) {
            Some((_, count)) => *count += 1,
            None => self.found.push((Breach { invariant, example }, 1)),
        }
    }

    /// The result of a check that found these; `holds` says what holds where there are none.
    pub(super) fn into_record(
        self,
        name: &str,
        holds: String,
        excuse: Option<String>,
    ) -> CheckRecord {
        let first = self.found.first().map(|(breach, count)| {
            let Breach { invariant, example } = breach;
            let others = if *count > 1 { format!(" ({} more)", count - 1) } else { String::new() };
            format!("{name}: {invariant}: {example}{others}")
        });
        let (validity, sentence) = match (first, excuse) {
            (None, _) => (Validity::Valid, holds),
            (Some(first), None) => (Validity::Invalid, first),
            (Some(first), Some(excuse)) => (Validity::Unknown, format!("{first}; {excuse}")),
        };
        let findings = self.found.into_iter().map(|(breach, count)| Finding {
            name: breach.invariant.to_owned(),
            count,
            sentence: breach.example,
            steps: Vec::new(),
            arrows: Vec::new(),
            operations: Vec::new(),
        });
        CheckRecord {
            name: name.to_owned(),
            validity,
            sentence,
            witness: None,
            findings: findings.collect(),
            measured: BTreeMap::new(),
        }
    }
}
