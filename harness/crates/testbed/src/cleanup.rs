//! Reports a clean-up that fails inside `Drop`, which can return nothing.

use std::io::Write as _;

/// Writes the error on standard error. A closed standard error is no reason to abort the clean-up.
pub(crate) fn report_failure(error: &anyhow::Error) {
    drop(writeln!(std::io::stderr(), "harness: {error:#}"));
}
