//! Classifies failures: bad usage, this machine, or an internal error.

use engine::run::SetupError;
use std::io::ErrorKind;
use std::process::ExitCode;

/// The exit code for bad arguments.
pub(crate) const USAGE: u8 = 254;
/// The exit code for an error in this tool.
pub(crate) const INTERNAL: u8 = 255;
/// The exit code for what this machine cannot do.
pub(crate) const MACHINE: u8 = 3;

/// A failure that is not an internal error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Bad usage; the text says what is possible.
    #[error("{0}")]
    Usage(String),
    /// Impossible on this machine; the text says what to install or which option to use.
    #[error("{0}")]
    Machine(String),
}

/// The exit code of an error.
pub(crate) fn exit_code(error: &anyhow::Error) -> ExitCode {
    ExitCode::from(match error.downcast_ref::<Failure>() {
        Some(Failure::Usage(_)) => USAGE,
        Some(Failure::Machine(_)) => MACHINE,
        None if error.is::<SetupError>() || is_disk_or_permission(error) => MACHINE,
        None => INTERNAL,
    })
}

/// Whether the cause is a full disk or a missing permission.
fn is_disk_or_permission(error: &anyhow::Error) -> bool {
    let known = [
        ErrorKind::PermissionDenied,
        ErrorKind::QuotaExceeded,
        ErrorKind::ReadOnlyFilesystem,
        ErrorKind::StorageFull,
    ];
    let mut causes = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    causes.any(|cause| known.contains(&cause.kind()))
}

/// The error with its causes, in one line.
pub(crate) fn error_message(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

/// Classifies an error as a failure of the machine: a full disk, a missing permission.
pub(crate) fn machine_error(error: anyhow::Error) -> anyhow::Error {
    Failure::Machine(error_message(&error)).into()
}

/// Classifies an error as bad usage.
pub(crate) fn usage_error(error: anyhow::Error) -> anyhow::Error {
    Failure::Usage(error_message(&error)).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn a_full_disk_is_the_machines_and_unexpected_errors_are_internal() {
        let met = |kind: ErrorKind| {
            let deep =
                Err::<(), _>(std::io::Error::from(kind)).context("history.jsonl cannot be written");
            format!("{:?}", exit_code(&deep.context("the run broke off").expect_err("it failed")))
        };
        let exit = |code| format!("{:?}", ExitCode::from(code));
        assert_eq!(met(ErrorKind::StorageFull), exit(MACHINE));
        assert_eq!(met(ErrorKind::PermissionDenied), exit(MACHINE));
        assert_eq!(met(ErrorKind::InvalidData), exit(INTERNAL));
    }
}
