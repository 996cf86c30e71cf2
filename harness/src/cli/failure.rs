//! Tells apart whose fault a failure is: the caller's, the machine's, or ours.

use crate::run::Unable;
use std::process::ExitCode;

/// The exit code for bad arguments.
pub(crate) const USAGE: u8 = 254;
/// The exit code for an error in this tool.
pub(crate) const INTERNAL: u8 = 255;
/// The exit code where this machine cannot do it.
pub(crate) const MACHINE: u8 = 3;

/// A failure that is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was asked for cannot be; the text says what can.
    #[error("{0}")]
    Usage(String),
    /// This machine cannot do it; the text says what to install or which flag to use.
    #[error("{0}")]
    Machine(String),
}

/// The exit code of an error.
pub(crate) fn code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(match error.downcast_ref::<Failure>() {
        Some(Failure::Usage(_)) => USAGE,
        Some(Failure::Machine(_)) => MACHINE,
        None if error.is::<Unable>() => MACHINE,
        None => INTERNAL,
    })
}

/// The error with its causes, in one line.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

/// Says that an error is the caller's.
pub(crate) fn usage(error: anyhow::Error) -> anyhow::Error {
    Failure::Usage(sentence(&error)).into()
}
