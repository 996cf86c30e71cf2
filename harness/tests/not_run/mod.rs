//! Says that a test could not run here, where everybody sees it: what a test that passes prints is swallowed.

use std::fmt::Display;
use std::io::Write as _;

/// Says on standard error which test lacked what. Whoever calls it returns, and the test passes without having tried.
pub(crate) fn not_run(why: impl Display) {
    let thread = std::thread::current();
    let line = format!("NOT RUN: {}: {why}\n", thread.name().unwrap_or("a test"));
    // One write, so that lines of tests that run at once do not mix.
    drop(std::io::stderr().write_all(line.as_bytes()));
}
