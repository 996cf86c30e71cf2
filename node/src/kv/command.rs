//! Names what a client may ask of the store, and turns it into the bytes of a log entry and back.
//!
//! Decoding is strict: bytes that are not exactly one command are [`Undecodable`], and every
//! replica finds so.

use super::Txn;
use alloc::{string::String, vec::Vec};
use core::fmt;
use serde::{Deserialize, Serialize};

/// One change of the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Gives the key this value, whatever it had.
    Put {
        /// The key.
        key: String,
        /// Its new value.
        value: String,
    },
    /// Takes the key away, if it is there.
    Delete {
        /// The key.
        key: String,
    },
    /// Gives the key the new value if it has the old one now.
    Cas {
        /// The key.
        key: String,
        /// What it must have; `None`: it must be absent.
        old: Option<String>,
        /// Its new value.
        new: String,
    },
    /// Does several things at once.
    Txn(Txn),
}

/// The bytes of a log entry are not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;

impl fmt::Display for Undecodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("log entry is not a command of this version")
    }
}

impl core::error::Error for Undecodable {}

impl Command {
    /// The command as the bytes of a log entry.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("strings always encode")
    }

    /// The command that these bytes are, all of them.
    pub fn decode(bytes: &[u8]) -> Result<Self, Undecodable> {
        match postcard::take_from_bytes(bytes) {
            Ok((command, [])) => Ok(command),
            _ => Err(Undecodable),
        }
    }

    /// How many bytes of keys and values it holds.
    pub fn size(&self) -> usize {
        match self {
            Self::Put { key, value } => key.len() + value.len(),
            Self::Delete { key } => key.len(),
            Self::Cas { key, old, new } => {
                key.len() + old.as_ref().map_or(0, String::len) + new.len()
            }
            Self::Txn(txn) => txn.size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Condition, Micro};
    use super::*;

    fn cas(old: Option<&str>) -> Command {
        Command::Cas { key: "k".into(), old: old.map(Into::into), new: "n".into() }
    }

    fn txn() -> Command {
        let key = || String::from("k");
        Command::Txn(Txn {
            conditions: alloc::vec![Condition::Is(key(), None), Condition::AtLeast(key(), -1)],
            ops: alloc::vec![
                Micro::Read(key()),
                Micro::Write(key(), "1".into()),
                Micro::Append(key(), "2".into()),
                Micro::Take(key()),
                Micro::Add(key(), i64::MIN),
                Micro::Delete(key()),
            ],
        })
    }

    #[test]
    fn every_command_survives_the_log() {
        let put = Command::Put { key: "k".into(), value: "ü".into() };
        let delete = Command::Delete { key: String::new() };
        for command in [put, delete, cas(None), cas(Some("")), txn(), Command::Txn(Txn::default())]
        {
            assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
    }

    #[test]
    fn anything_else_is_undecodable() {
        for bytes in [cas(Some("o")).encode(), txn().encode()] {
            let longer = [bytes.as_slice(), &[0]].concat();
            for wrong in [&[][..], &[9], &bytes[..bytes.len() - 1], &longer] {
                assert_eq!(Command::decode(wrong), Err(Undecodable));
            }
        }
    }
}
