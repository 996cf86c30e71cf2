//! How results are printed, and on what.

use super::failure::Failure;
use clap::ValueEnum;

/// How much is told, and how.
#[derive(Clone, Copy)]
pub(crate) struct Telling {
    /// How results are printed.
    pub(crate) format: Format,
    /// Whether nothing is said while it lasts.
    pub(crate) quiet: bool,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// For programs: one JSON value.
    Json,
}

/// Prints a result.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
        // Whoever read it has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => {
            written.map_err(|error| Failure::Machine(format!("standard output: {error}")).into())
        }
    }
}

/// How this stream is written to, as environment and terminal have it.
pub(super) fn style(is_terminal: bool) -> report::Style {
    report::Style::decide(&|name| std::env::var(name).ok(), is_terminal)
}
