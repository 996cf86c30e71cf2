//! Removes the names of seeded bugs from whatever a hunt reads, so that it cannot learn which bug
//! to look for. Pure.

use std::collections::BTreeSet;

/// The option that enables seeded bugs.
const OPTION: &str = "--unsafe";

/// Removes names of seeded bugs.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    names: BTreeSet<String>,
}

impl Redactor {
    /// Removes these names.
    pub fn new(names: impl IntoIterator<Item = String>) -> Self {
        Self { names: names.into_iter().filter(|name| !name.is_empty()).collect() }
    }

    /// The lines that neither enable nor name a seeded bug: a start-up line describes it, too.
    pub fn clean_lines<'t>(&'t self, text: &'t str) -> impl Iterator<Item = &'t str> {
        text.lines().filter(|line| !line.contains(OPTION) && !self.names_bug(line))
    }

    /// The text without names of seeded bugs, and without what enables them.
    pub fn clean_text(&self, text: &str) -> String {
        let mut words = Vec::new();
        let mut is_value = false;
        for word in text.split(' ') {
            if is_value || word.starts_with("--unsafe=") {
                is_value = false;
            } else if word == OPTION {
                is_value = true;
            } else if !self.names_bug(word) {
                words.push(word);
            }
        }
        words.join(" ")
    }

    fn names_bug(&self, text: &str) -> bool {
        let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let mut words = text.split(|c: char| !is_part(c));
        words.any(|word| self.names.contains(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample_redactor() -> Redactor {
        Redactor::new(["stale-reads".to_owned(), "early-ack".to_owned()])
    }

    #[test]
    fn removes_names_where_they_stand() {
        let redactor = sample_redactor();
        let log =
            "n1 starts\nunsafe: early-ack, stale-reads\nrun with --unsafe other\nn1 stale reads\n";
        let lines: Vec<&str> = redactor.clean_lines(log).collect();
        assert_eq!(lines, ["n1 starts", "n1 stale reads"]);
        let line = "harness test --unsafe stale-reads,early-ack --seed 1 (early-ack) --unsafe=x";
        assert_eq!(redactor.clean_text(line), "harness test --seed 1");
        assert_eq!(redactor.clean_text("not-stale-reads"), "not-stale-reads");
    }
}
