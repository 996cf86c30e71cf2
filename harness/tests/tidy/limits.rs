//! Holds each package to what it may still have of what the design forbids. Numbers only go down.

use crate::cycles::DependencyGraph;
use crate::sources::{Crate, read_crates};
use crate::words::{banned_lines, repeated_types, wide_lines};

/// What is left to mend in one package; packages that are not listed have nothing.
const REMAINING: &[(&str, Violations)] = &[
    ("harness", Violations { wide_lines: 5, repeated_types: 29, ..Violations::NONE }),
    ("harness/crates/engine", Violations { wide_lines: 27, ..Violations::NONE }),
    (
        "harness/crates/testbed",
        Violations { wide_lines: 16, repeated_types: 20, ..Violations::NONE },
    ),
    ("node", Violations { wide_lines: 2, ..Violations::NONE }),
];

/// Files that list the banned words.
const LISTS: [&str; 2] = ["tests/pages/prose.rs", "tests/tidy/words.rs"];

/// How often a package breaks each rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Violations {
    /// Lines wider than 100 columns.
    wide_lines: usize,
    /// Banned words.
    banned_words: usize,
    /// Definitions of types that share their name with another one of the package.
    repeated_types: usize,
    /// Files that are part of a cycle.
    files_in_cycles: usize,
    /// Pairs of top-level modules that need each other.
    two_way_ties: usize,
}

impl Violations {
    const NONE: Self = Self {
        wide_lines: 0,
        banned_words: 0,
        repeated_types: 0,
        files_in_cycles: 0,
        two_way_ties: 0,
    };

    /// Those of a package, and where they are.
    fn count_in(package: &Crate) -> (Self, Vec<String>) {
        let mut places = Vec::new();
        let mut faults = Self::NONE;
        for source in package.all_sources() {
            let wide: Vec<usize> = wide_lines(source).collect();
            let lists_them = LISTS.iter().any(|list| source.path.ends_with(list));
            let banned: Vec<_> = banned_lines(&source.text).filter(|_| !lists_them).collect();
            faults.wide_lines += wide.len();
            faults.banned_words += banned.len();
            let name = source.name();
            places.extend(wide.iter().map(|line| format!("{name}:{line}: wider than 100")));
            places.extend(banned.iter().map(|(line, word)| format!("{name}:{line}: {word:?}")));
        }
        for (name, files) in repeated_types(package) {
            faults.repeated_types += files.len();
            places.push(format!("type {name} is defined in {}", files.join(", ")));
        }
        let arrows = DependencyGraph::from_crate(package);
        for cycle in arrows.find_cycles() {
            faults.files_in_cycles += cycle.len();
            places.push(format!("cycle:\n    {}", arrows.edges_within(&cycle).join("\n    ")));
        }
        let ties = arrows.two_way_ties();
        faults.two_way_ties = ties.len();
        places.extend(ties.iter().map(|(one, other)| format!("{one} and {other} need each other")));
        (faults, places)
    }
}

#[test]
fn packages_keep_to_the_rules_or_to_what_remains() {
    let mut wrong = Vec::new();
    for package in read_crates() {
        let (faults, places) = Violations::count_in(&package);
        let remaining = REMAINING.iter().find(|(folder, _)| *folder == package.folder);
        let remaining = remaining.map_or(Violations::NONE, |(_, faults)| *faults);
        if faults != remaining {
            let folder = &package.folder;
            let places = places.join("\n  ");
            wrong.push(format!("{folder}: {faults:?}, not {remaining:?}:\n  {places}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nmend these, or lower the numbers in limits.rs",
        wrong.join("\n")
    );
}
