//! Defines the commands of the store and their encoding in log entries.
//!
//! Decoding is strict: bytes that are not exactly one command are an error, on every replica alike.

use super::txn::{Condition, MicroOp, Txn};
use alloc::{string::String, vec, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// One command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Sets the value of a key.
    Put {
        /// The key.
        key: String,
        /// The new value.
        value: String,
    },
    /// Removes a key, if it is present.
    Delete {
        /// The key.
        key: String,
    },
    /// Sets the value of a key if it has the old value (compare-and-set).
    Cas {
        /// The key.
        key: String,
        /// The expected value; `None`: the key must be absent.
        old: Option<String>,
        /// The new value.
        new: String,
    },
    /// Runs a transaction.
    Txn(Txn),
    /// Opens a client session; its id is the index of this entry.
    OpenSession {
        /// The time at the replica that proposed it.
        at_ms: u64,
    },
    /// Runs a transaction unless the session has run this request already.
    Once {
        /// The session.
        session: u64,
        /// The number of the request in the session.
        sequence: u64,
        /// The time at the replica that proposed it.
        at_ms: u64,
        /// The transaction.
        txn: Txn,
    },
}

/// Reports that the bytes of a log entry are not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeError;

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("log entry is not a command of this version")
    }
}

impl core::error::Error for DecodeError {}

impl Command {
    /// Encodes the command as the bytes of a log entry.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("strings always encode")
    }

    /// Decodes a command from exactly these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match postcard::take_from_bytes(bytes) {
            Ok((command, [])) => Ok(command),
            _ => Err(DecodeError),
        }
    }

    /// Returns the same command as a transaction; `None` for the commands of sessions.
    pub fn into_txn(self) -> Option<Txn> {
        let txn = |conditions, op| Some(Txn { conditions, ops: vec![op] });
        match self {
            Self::Put { key, value } => txn(Vec::new(), MicroOp::Write(key, value)),
            Self::Delete { key } => txn(Vec::new(), MicroOp::Delete(key)),
            Self::Cas { key, old, new } => {
                txn(vec![Condition::Is(key.clone(), old)], MicroOp::Write(key, new))
            }
            Self::Txn(txn) => Some(txn),
            Self::OpenSession { .. } | Self::Once { .. } => None,
        }
    }

    /// Replaces the time of a session's command, as only a seeded bug does.
    pub fn set_time(&mut self, time_ms: u64) {
        if let Self::OpenSession { at_ms } | Self::Once { at_ms, .. } = self {
            *at_ms = time_ms;
        }
    }

    /// Returns the number of bytes in keys and values.
    pub fn byte_size(&self) -> usize {
        match self {
            Self::Put { key, value } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
            Self::Cas { key, old, new } => {
                key.len() + old.as_ref().map_or(0, String::len) + new.len()
            }
            Self::Txn(txn) | Self::Once { txn, .. } => txn.byte_size(),
            Self::OpenSession { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::Store;

    fn cas_command(old: Option<&str>) -> Command {
        Command::Cas { key: "k".into(), old: old.map(Into::into), new: "n".into() }
    }

    fn sample_txn() -> Command {
        let key = || String::from("k");
        Command::Txn(Txn {
            conditions: alloc::vec![Condition::Is(key(), None), Condition::AtLeast(key(), -1)],
            ops: alloc::vec![
                MicroOp::Read(key()),
                MicroOp::Write(key(), "1".into()),
                MicroOp::Append(key(), "2".into()),
                MicroOp::Take(key()),
                MicroOp::Add(key(), i64::MIN),
                MicroOp::Delete(key()),
            ],
        })
    }

    #[test]
    fn every_command_survives_encoding() {
        let put = Command::Put { key: "k".into(), value: "ü".into() };
        let delete = Command::Delete { key: String::new() };
        let plain = [
            put,
            delete,
            cas_command(None),
            cas_command(Some("")),
            sample_txn(),
            Command::Txn(Txn::default()),
        ];
        let once = Command::Once { session: 7, sequence: 1, at_ms: u64::MAX, txn: Txn::default() };
        for command in plain.into_iter().chain([once, Command::OpenSession { at_ms: 0 }]) {
            assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
    }

    #[test]
    fn a_command_and_its_transaction_are_equivalent() {
        let put = Command::Put { key: "k".into(), value: "o".into() };
        let delete = Command::Delete { key: "k".into() };
        let mut store = Store::default();
        for command in [
            cas_command(Some("o")),
            put,
            cas_command(None),
            cas_command(Some("o")),
            delete,
            cas_command(None),
        ] {
            let as_txn = Command::Txn(command.clone().into_txn().expect("not a session command"));
            let (plain, same) = (store.evaluate_command(&command), store.evaluate_command(&as_txn));
            assert_eq!(plain.1, same.1, "{command:?}");
            store.apply_changes(plain.1);
        }
        assert_eq!(Command::OpenSession { at_ms: 0 }.into_txn(), None);
    }

    #[test]
    fn anything_else_is_a_decode_error() {
        for bytes in [cas_command(Some("o")).encode(), sample_txn().encode()] {
            let longer = [bytes.as_slice(), &[0]].concat();
            for wrong in [&[][..], &[9], &bytes[..bytes.len() - 1], &longer] {
                assert_eq!(Command::decode(wrong), Err(DecodeError));
            }
        }
    }
}
