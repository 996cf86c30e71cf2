//! Finds wide lines and repeated type names.

use crate::functions::Definitions;
use crate::sources::{Crate, Source};
use std::collections::BTreeMap;

/// The widest line of a Rust file, in characters.
pub(crate) const WIDEST: usize = 100;

/// The lines of a source that are wider than [`WIDEST`].
pub(crate) fn wide_lines(source: &Source) -> impl Iterator<Item = usize> {
    let lines = source.text.lines().enumerate();
    lines.filter(|(_, line)| line.chars().count() > WIDEST).map(|(number, _)| number + 1)
}

/// Names of types that a crate gives more than once, with the files.
pub(crate) fn repeated_types(package: &Crate) -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, file) in Definitions::from_crate(package).types {
        places.entry(name).or_default().push(file);
    }
    places.retain(|_, files| files.len() > 1);
    places
}

#[test]
fn finds_wide_lines() {
    let source = |text: String| Source { path: "a.rs".into(), text };
    assert_eq!(wide_lines(&source(format!("a\n{}\n", "x".repeat(101)))).collect::<Vec<_>>(), [2]);
}
