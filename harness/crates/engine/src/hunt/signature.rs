//! The signature of a violation: what tells one kind of finding from another. Pure.
//!
//! Names, values and fault kinds are no part of it: one bug shows with other keys, on other
//! replicas and under other faults.

use super::mask::mask_text;
use super::redact::Redactor;
use records::record::{CheckRecord, Finding, ReplicaExit, Validity, VerdictRecord, Witness};
use serde::{Deserialize, Serialize};

/// The check of what no check of the workload found: a dead replica, a cluster without progress.
const EVIDENCE: &str = "evidence";
/// What a process prints when it dies of a bug.
const PANIC: &str = "panicked at";

/// What tells one kind of finding from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signature {
    /// The system under test.
    pub system: String,
    /// The check that found it.
    pub check: String,
    /// The kind of anomaly.
    pub anomaly: String,
    /// The witness without names and values.
    pub shape: String,
}

impl Signature {
    /// Whether both are the same anomaly of the same check, with whatever witness.
    pub fn is_alike(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.system.clone(), it.check.clone(), it.anomaly.clone());
        of(self) == of(other)
    }

    /// A name for files: letters, digits and hyphens, different for different signatures.
    pub fn file_stem(&self) -> String {
        let system = self.system.rsplit('/').next().unwrap_or_default().trim_end_matches(".toml");
        let text = format!("{system}-{}-{}", self.check, self.anomaly).to_lowercase();
        let mut stem = String::new();
        for c in text.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }) {
            if c != '-' || !stem.ends_with('-') {
                stem.push(c);
            }
        }
        let stem: String = stem.chars().take(60).collect();
        let whole = serde_json::to_string(self).unwrap_or_default();
        format!("{}-{:04x}", stem.trim_matches('-'), crate::spelling::hash_text(&whole) & 0xffff)
    }
}

impl std::fmt::Display for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.check, self.anomaly, self.shape)
    }
}

/// The signatures of an invalid run, the first one that of its verdict; none of other runs.
pub fn find_signatures(
    system: &str,
    verdict: &VerdictRecord,
    redactor: &Redactor,
) -> Vec<Signature> {
    if verdict.validity != Validity::Invalid {
        return Vec::new();
    }
    let mask = |text: &str| mask_values(&redactor.clean_text(text));
    let convicting = verdict.checks.iter().filter(|check| check.validity == Validity::Invalid);
    let mut signatures: Vec<Signature> = convicting
        .flat_map(|check| describe_check(check, &mask))
        .map(|(check, anomaly, shape)| Signature {
            system: system.to_owned(),
            check,
            anomaly,
            shape,
        })
        .collect();
    if signatures.is_empty() {
        let reasons = verdict.reasons.iter().filter(|it| it.validity == Validity::Invalid);
        let reason = reasons.map(|reason| reason.text.as_str()).next().unwrap_or(&verdict.sentence);
        let last_words = find_last_words(&verdict.deaths);
        signatures.push(Signature {
            system: system.to_owned(),
            check: EVIDENCE.to_owned(),
            anomaly: mask(reason),
            shape: last_words.map(|line| mask(&line)).unwrap_or_default(),
        });
    }
    signatures
}

/// Check, anomaly and shape of everything that a check found.
fn describe_check(
    check: &CheckRecord,
    mask: &dyn Fn(&str) -> String,
) -> Vec<(String, String, String)> {
    let name = || check.name.clone();
    let mut found: Vec<_> = check
        .findings
        .iter()
        .map(|finding| (name(), finding.name.clone(), describe_finding(finding, mask)))
        .collect();
    if let Some(witness) = &check.witness {
        found.insert(0, (name(), "no order".to_owned(), describe_witness(witness, mask)));
    }
    if found.is_empty() {
        found.push((name(), mask(&check.sentence), String::new()));
    }
    found
}

/// The relations of a cycle, from the smallest rotation on; of other findings, the sentence.
fn describe_finding(finding: &Finding, mask: &dyn Fn(&str) -> String) -> String {
    if finding.arrows.is_empty() {
        return mask(&finding.sentence);
    }
    let mut relations: Vec<&str> =
        finding.arrows.iter().map(|arrow| arrow.relation.as_str()).collect();
    relations.dedup();
    if relations.len() > 1 && relations.first() == relations.last() {
        relations.pop();
    }
    let rotations = (0..relations.len()).map(|start| {
        let (end, begin) = relations.split_at(start);
        [begin, end].concat()
    });
    rotations.min().unwrap_or_default().join(" ")
}

/// Why the accused operation is illegal, or why every operation that could come next is.
fn describe_witness(witness: &Witness, mask: &dyn Fn(&str) -> String) -> String {
    let is_accused = |index: Option<u64>| index.is_some() && index == witness.accused;
    let accused = witness.candidates.iter().find(|candidate| is_accused(candidate.index));
    let mut reasons: Vec<String> = match accused {
        Some(candidate) => vec![mask(&candidate.reason)],
        None => witness.candidates.iter().map(|candidate| mask(&candidate.reason)).collect(),
    };
    reasons.sort();
    reasons.dedup();
    reasons.join(", ")
}

/// The line of a dead replica's log that names its panic, else the last one.
fn find_last_words(deaths: &[ReplicaExit]) -> Option<String> {
    let death = deaths.first()?;
    let panic = death.log.iter().find(|line| line.contains(PANIC));
    panic.or_else(|| death.log.last()).cloned()
}

/// The template of a sentence in which a missing value is a value.
fn mask_values(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.trim_end_matches([',', ';', ':']) {
        bare @ ("null" | "nil" | "nothing") => word.replacen(bare, "0", 1),
        _ => word.to_owned(),
    });
    mask_text(&words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::super::samples::sample_verdict;
    use super::*;
    use proptest::prelude::*;
    use records::record::{Candidate, DependencyEdge, Reason};

    fn sample_witness(key: &str, read: u64, held: u64, process: u64) -> Witness {
        let candidate = |index, reason: String| Candidate {
            index: Some(index),
            operation: format!("r {read} ok @n{process} by process {process}"),
            reason,
        };
        Witness {
            key: Some(key.to_owned()),
            entry_states: vec![read.to_string()],
            lanes: String::new(),
            operations: vec![process, process + 1],
            accused: Some(process),
            order: Vec::new(),
            states_after: vec![held.to_string()],
            candidates: vec![
                candidate(process, format!("it read {read}, but the register held {held}")),
                candidate(process + 1, format!("key {key:?} is not there")),
            ],
            file: "window.jsonl".to_owned(),
            case: String::new(),
        }
    }

    fn sample_cycle(relations: &[&str], first: u64) -> Finding {
        let edge = |(from, relation): (u64, &&str)| DependencyEdge {
            from,
            to: from + 1,
            relation: (*relation).to_owned(),
        };
        Finding {
            name: "G-single".to_owned(),
            count: relations.len(),
            sentence: format!("process {first} saw it"),
            steps: Vec::new(),
            arrows: (first..).zip(relations).map(edge).collect(),
            operations: vec![first],
        }
    }

    fn verdict_of(witness: Option<Witness>, findings: Vec<Finding>) -> VerdictRecord {
        let mut verdict = sample_verdict(Validity::Invalid);
        verdict.checks = vec![CheckRecord {
            name: "linearizable".to_owned(),
            validity: Validity::Invalid,
            sentence: String::new(),
            witness,
            findings,
            measured: std::collections::BTreeMap::new(),
        }];
        verdict
    }

    fn signatures_of(verdict: &VerdictRecord) -> Vec<Signature> {
        find_signatures("raft", verdict, &Redactor::default())
    }

    proptest! {
        #[test]
        fn keys_values_and_processes_do_not_matter(
            key in "[a-z]{1,5}[0-9]{0,3}", read in 0_u64..10_000, held in 0_u64..10_000,
            process in 0_u64..9_999,
        ) {
            let of = |witness| signatures_of(&verdict_of(Some(witness), vec![]));
            let one = of(sample_witness(&key, read, held, process));
            prop_assert_eq!(one, of(sample_witness("k", 1, 2, 3)));
        }

        #[test]
        fn a_cycle_may_start_anywhere(turn in 0_usize..4, first in 0_u64..1_000) {
            let mut relations = ["rw", "wr", "ww", "realtime"];
            let one = signatures_of(&verdict_of(None, vec![sample_cycle(&relations, 0)]));
            relations.rotate_left(turn);
            let other = signatures_of(&verdict_of(None, vec![sample_cycle(&relations, first)]));
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn different_anomalies_differ() {
        let cycle = |relations: &[&str]| {
            signatures_of(&verdict_of(None, vec![sample_cycle(relations, 0)])).remove(0)
        };
        assert_ne!(cycle(&["rw", "wr"]), cycle(&["ww", "wr"]));
        assert_eq!(cycle(&["rw", "wr", "wr"]), cycle(&["wr", "rw"]));
        assert!(cycle(&["rw"]).is_alike(&cycle(&["ww"])));
        let window =
            signatures_of(&verdict_of(Some(sample_witness("k", 1, 2, 3)), vec![])).remove(0);
        assert_eq!(window.shape, "it read # but the register held #");
        assert!(!window.is_alike(&cycle(&["rw"])));
        assert_ne!(window.file_stem(), cycle(&["rw"]).file_stem());
        assert!(window.file_stem().starts_with("raft-linearizable-no-order-"));
    }

    #[test]
    fn a_death_is_named_by_its_panic() {
        let mut verdict = sample_verdict(Validity::Invalid);
        verdict.checks.clear();
        verdict.reasons = vec![Reason {
            validity: Validity::Invalid,
            text: "n3 exited unasked: exit status: 101".to_owned(),
        }];
        let line = |text: &str| text.to_owned();
        verdict.deaths = vec![ReplicaExit {
            replica: "n3".to_owned(),
            how: "exit status: 101".to_owned(),
            log: vec![
                line("thread 'main' panicked at src/log.rs:7:5"),
                line("note: run with"),
                line(""),
            ],
        }];
        let signature = signatures_of(&verdict).remove(0);
        assert_eq!(signature.check, "evidence");
        assert_eq!(signature.anomaly, "n# exited unasked: exit status: #");
        assert_eq!(signature.shape, "thread 'main' panicked at src/log.rs:#");
    }

    #[test]
    fn names_of_seeded_bugs_do_not_matter() {
        let signatures = |sentence: &str| {
            let mut verdict = verdict_of(None, vec![sample_cycle(&[], 0)]);
            verdict.checks[0].findings[0].sentence = sentence.to_owned();
            verdict.bugs = vec!["stale-reads".to_owned()];
            find_signatures("raft", &verdict, &Redactor::new(["stale-reads".to_owned()]))
        };
        let plain = signatures("process 1 read too little of n1");
        assert_eq!(signatures("process 1 read too little of n1 --unsafe stale-reads"), plain);
        assert_eq!(signatures("process 1 read too little (stale-reads) of n1"), plain);
        assert_ne!(signatures("process 1 read too much of n1"), plain);
    }

    #[test]
    fn only_invalid_runs_have_signatures() {
        assert!(signatures_of(&sample_verdict(Validity::Valid)).is_empty());
        assert!(signatures_of(&sample_verdict(Validity::Unknown)).is_empty());
    }
}
