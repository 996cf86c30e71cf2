//! Keeps names and prose in the terms of the field: banned words, wide lines, repeated type names.

use crate::functions::Definitions;
use crate::sources::{Crate, Source};
use std::collections::BTreeMap;

/// Words that no page or source uses: the field says *client*, *replica*, *host*,
/// *process*.
pub(crate) const BANNED: &[&str] = &["everybody", "nobody", "somebody", "whoever", "whom"];

/// The widest line of a Rust file, in characters.
pub(crate) const WIDEST: usize = 100;

/// The lines of a source that are wider than [`WIDEST`].
pub(crate) fn wide_lines(source: &Source) -> impl Iterator<Item = usize> {
    let lines = source.text.lines().enumerate();
    lines.filter(|(_, line)| line.chars().count() > WIDEST).map(|(number, _)| number + 1)
}

/// The lines of a text in which a banned word stands.
pub(crate) fn banned_lines(text: &str) -> impl Iterator<Item = (usize, &'static str)> {
    text.lines().enumerate().flat_map(|(number, line)| {
        let line = line.to_lowercase();
        let has = move |word: &&str| {
            line.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == *word)
        };
        BANNED.iter().copied().filter(has).map(move |word| (number + 1, word))
    })
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
fn finds_words_and_wide_lines() {
    let found: Vec<_> = banned_lines("no one\nNobody, whomever\n").collect();
    assert_eq!(found, [(2, "nobody")]);
    let source = |text: String| Source { path: "a.rs".into(), text };
    assert_eq!(wide_lines(&source(format!("a\n{}\n", "x".repeat(101)))).collect::<Vec<_>>(), [2]);
}
