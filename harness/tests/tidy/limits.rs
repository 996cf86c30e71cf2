//! Holds each package to the rules of the design.

use crate::banned_words::banned_lines;
use crate::cycles::DependencyGraph;
use crate::sources::{Crate, read_crates};
use crate::words::{repeated_types, wide_lines};

/// The file that lists the banned words.
const LIST: &str = "tests/banned_words/mod.rs";

/// How often a package breaks each rule.
#[derive(Debug, Default, PartialEq, Eq)]
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
    /// Those of a package, and where they are.
    fn count_in(package: &Crate) -> (Self, Vec<String>) {
        let mut places = Vec::new();
        let mut faults = Self::default();
        for source in package.all_sources() {
            let wide: Vec<usize> = wide_lines(source).collect();
            let lists_them = source.path.ends_with(LIST);
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
fn packages_keep_to_the_rules() {
    let mut wrong = Vec::new();
    for package in read_crates() {
        let (faults, places) = Violations::count_in(&package);
        if faults != Violations::default() {
            wrong.push(format!("{}: {faults:?}:\n  {}", package.folder, places.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
