//! Checks the registry, and that each bug can be met: a small case behaves otherwise with it.

use super::*;
use std::collections::BTreeSet;
use std::path::Path;

/// A bug and a small case that shows it.
pub(crate) struct BugCase {
    pub(crate) bug: Bug,
    /// Whether the damage shows, with these bugs switched on.
    pub(crate) shows: fn(BugSet) -> bool,
}

/// Every case, from the part of the program that the bug is in.
fn all_cases() -> impl Iterator<Item = &'static BugCase> {
    let core = crate::raft::bug_tests::ALL_CASES.iter().copied().flatten();
    let runtime = crate::runtime::bug_tests::CASES.iter();
    core.chain(runtime).chain(crate::server::bug_tests::CASES)
}

/// Whether a transcript plays the bug until an invariant is violated.
fn has_transcript(name: &str) -> bool {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    folder.join(format!("bug-{name}.txt")).exists()
}

#[test]
fn names_are_kebab_case_and_unique() {
    let bugs = all_bugs().map(|(_, row)| (row.name, row.doc));
    let all: Vec<_> = bugs.chain(VARIATIONS.iter().map(|row| (row.name, row.doc))).collect();
    let names: BTreeSet<_> = all.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), all.len(), "a name stands for two switches");
    for (name, doc) in all {
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{name}");
        assert!(doc.len() > 20 && !doc.ends_with('.') && !doc.contains('\t'), "{name}: {doc}");
    }
    for (_, row) in all_bugs() {
        assert_eq!((row.bug.name(), Bug::from_name(row.name)), (row.name, Some(row.bug)));
    }
    for row in VARIATIONS {
        assert_eq!(Variation::from_name(row.variation.name()), Some(row.variation));
    }
    assert_eq!((Bug::from_name("none"), Variation::from_name("none")), (None, None));
}

#[test]
fn every_bug_has_one_row() {
    let bits: BTreeSet<u32> = all_bugs().map(|(_, row)| row.bug.bit()).collect();
    assert_eq!(bits.len(), all_bugs().count(), "a bug has two rows");
    let last = bits.last().copied().unwrap_or_default();
    assert!(bits.iter().copied().eq(0..=last) && last < u128::BITS, "a bug has no row");
}

#[test]
fn a_bug_of_the_server_is_not_simulated() {
    for (_, row) in all_bugs() {
        let server = row.place == Place::Server;
        assert_eq!(server, row.sim_gaps.contains(&SimGap::Server), "{}", row.name);
    }
}

#[test]
fn switches_are_independent() {
    let some: BugSet = [Bug::NoFsync, Bug::EarlyAck].into();
    let on = all_bugs().filter(|(_, row)| some.contains(row.bug)).count();
    assert!(on == 2 && !some.is_empty() && BugSet::default().is_empty());
}

#[test]
fn every_bug_shows_in_its_case_and_nothing_shows_without_it() {
    let mut cases = BTreeSet::new();
    let mut wrong = Vec::new();
    for BugCase { bug, shows } in all_cases() {
        cases.insert(*bug);
        if !shows([*bug].into()) {
            wrong.push(format!("{} does not show in its case", bug.name()));
        }
        if shows(BugSet::default()) {
            wrong.push(format!("the case of {} shows damage without it", bug.name()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let untested =
        all_bugs().filter(|(_, row)| !cases.contains(&row.bug) && !has_transcript(row.name));
    let names: Vec<_> = untested.map(|(_, row)| row.name).collect();
    assert!(names.is_empty(), "without a case or a transcript: {names:?}");
}
