//! Says what is wrong with a suite file, and where.

use std::ops::Range;

/// An error in a suite file, with the range of bytes that it concerns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SuiteFileError {
    place: Range<usize>,
    text: String,
}

impl SuiteFileError {
    pub(super) fn new(place: Range<usize>, text: String) -> Self {
        Self { place, text }
    }

    /// `file:line:column: what`, and the line with a mark under the place.
    pub(super) fn message(&self, file: &str, source: &str) -> String {
        let start = self.place.start.min(source.len());
        let before = source.get(..start).unwrap_or_default();
        let from = before.rfind('\n').map_or(0, |at| at + 1);
        let line = source.get(from..).unwrap_or_default().lines().next().unwrap_or_default();
        let column = before[from..].chars().count();
        let number = before.matches('\n').count() + 1;
        let most = line.chars().count().saturating_sub(column).max(1);
        let width = self.place.len().clamp(1, most);
        format!(
            "{file}:{number}:{}: {}\n  | {line}\n  | {}{}",
            column + 1,
            self.text,
            " ".repeat(column),
            "^".repeat(width)
        )
    }
}
