//! Renders the end of a run for a terminal: the verdict first, then why, then what to type next.

use super::Run;
use super::style::Style;

/// The end of a run.
pub(crate) fn text(run: &Run<'_>, style: Style) -> String {
    let verdict = run.verdict.validity;
    format!("{}: {}\n", style.verdict(verdict, style.mark(verdict)), run.verdict.sentence)
}
