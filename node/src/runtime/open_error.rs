//! Describes why a data directory cannot be used, and what to do about it.

use super::disk::DiskError;
use crate::raft::Index;
use crate::wal::WalError;
use alloc::string::String;
use core::fmt;

/// What to do about a log that is not what it was.
const RECOVERY_HINT: &str = "restore the data directory, or put a new replica \
                       in the place of this one, with an empty directory and a new name";

/// Why a data directory cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// An operation failed.
    Disk {
        /// The operation.
        action: &'static str,
        /// The file, where it is about one.
        file: Option<String>,
        /// The error.
        error: DiskError,
    },
    /// Another replica wrote the directory.
    ForeignOwner {
        /// The replica that wrote it.
        found: String,
        /// The replica that opens it.
        owner: String,
    },
    /// The directory has an owner and no log.
    LogMissing,
    /// The log is damaged.
    Damaged {
        /// The segment's file.
        segment: String,
        /// Where and why.
        refusal: WalError,
    },
    /// The checksum of a snapshot does not match.
    SnapshotDamaged {
        /// The snapshot's file.
        file: String,
    },
    /// The log begins after the end of the snapshot.
    SnapshotMissing {
        /// The last entry that was cut off the log.
        start: Index,
        /// The last entry of the snapshot; 0: there is none.
        last: Index,
    },
}

/// Turns an error of the disk into one of opening.
pub(super) fn to_open_error(
    action: &'static str,
    file: Option<String>,
) -> impl FnOnce(DiskError) -> OpenError {
    move |error| OpenError::Disk { action, file, error }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk { action, file: None, error } => write!(f, "cannot {action}: {error}"),
            Self::Disk { action, file: Some(file), error } => {
                write!(f, "cannot {action} {file}: {error}")
            }
            Self::ForeignOwner { found, owner } => write!(
                f,
                "it belongs to {found}, not to {owner}; give --id, --peers or --data as they were"
            ),
            Self::LogMissing => write!(
                f,
                "its write-ahead log is gone, and with it what this replica promised; \
                 {RECOVERY_HINT}"
            ),
            Self::Damaged { segment, refusal } => {
                write!(f, "write-ahead log {segment} is {refusal}; {RECOVERY_HINT}")
            }
            Self::SnapshotDamaged { file } => {
                write!(f, "snapshot {file} is damaged; {RECOVERY_HINT}")
            }
            Self::SnapshotMissing { start, last } => write!(
                f,
                "the log begins after entry {start}, but its snapshot ends at {last}; \
                 {RECOVERY_HINT}"
            ),
        }
    }
}

impl core::error::Error for OpenError {}
