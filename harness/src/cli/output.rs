//! Prints results.

use super::failure::Failure;
use clap::ValueEnum;

/// The output options of all commands.
#[derive(Clone, Copy)]
pub(crate) struct OutputOptions {
    /// The format of results.
    pub(crate) format: Format,
    /// Whether progress is suppressed.
    pub(crate) quiet: bool,
}

/// The format of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    Human,
    /// One JSON value for programs.
    Json,
}

/// Prints a result.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
        // The reader closed the pipe, as `head` does.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => {
            written.map_err(|error| Failure::Machine(format!("standard output: {error}")).into())
        }
    }
}

/// The style of an output stream, from the environment and the terminal.
pub(super) fn output_style(is_terminal: bool) -> report::Style {
    report::Style::from_env(&|name| std::env::var(name).ok(), is_terminal)
}
