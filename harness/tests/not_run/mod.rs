//! Reports that a test could not run on this machine. It writes to standard error directly, because
//! the test runner hides what a passing test prints.

use std::fmt::Display;
use std::io::Write as _;

/// Prints which test lacks what. The caller then returns, and the test passes without having run.
pub(crate) fn not_run(why: impl Display) {
    let thread = std::thread::current();
    let line = format!("NOT RUN: {}: {why}\n", thread.name().unwrap_or("a test"));
    // One write, so that lines of tests that run at once do not mix.
    drop(std::io::stderr().write_all(line.as_bytes()));
}
