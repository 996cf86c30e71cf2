//! Renders a run as one page that needs nothing but itself.

use super::Run;

/// The page.
pub(crate) fn html(run: &Run<'_>) -> String {
    run.verdict.sentence.clone()
}
