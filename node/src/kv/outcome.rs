//! Defines the results of commands.

use super::txn::Results;
use crate::raft::Index;
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// The result of a transaction in a session; or the value that made a condition fail.
pub type TxnResult = Result<Results, Option<String>>;

/// The result of a command. The encoding is positional: new variants go at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The command took effect.
    Done,
    /// A condition failed, and nothing changed.
    Mismatch {
        /// The current value of the key.
        current: Option<String>,
    },
    /// The transaction took effect; the results of its micro-operations.
    Results(Results),
    /// The session ran this request before: a retry.
    Again {
        /// The log index at which it ran.
        index: Index,
        /// Its result then.
        found: TxnResult,
    },
    /// The session does not exist or has expired, and nothing changed.
    NoSession,
    /// The session has run a later request, and nothing changed.
    OldSequence {
        /// The number of the last request.
        last: u64,
    },
}
