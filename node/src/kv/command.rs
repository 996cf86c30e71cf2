//! Names what a client may ask of the store, and turns it into the bytes of a log entry and back.
//!
//! Decoding is strict: bytes that are not exactly one command are [`Undecodable`], and every
//! replica finds so.

use super::{Condition, Micro, Txn};
use alloc::{string::String, vec, vec::Vec};
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
    /// Opens a client session, named by the index of this entry.
    OpenSession {
        /// The time, as whoever took the request knew it.
        at_ms: u64,
    },
    /// Does several things at once, unless the session has had that number carried out already.
    Once {
        /// The session.
        session: u64,
        /// Its number for this request.
        sequence: u64,
        /// The time, as whoever took the request knew it.
        at_ms: u64,
        /// What to do.
        txn: Txn,
    },
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

    /// The same as a transaction; what opens a session, or belongs to one, is none.
    pub fn into_txn(self) -> Option<Txn> {
        let txn = |conditions, micro| Some(Txn { conditions, ops: vec![micro] });
        match self {
            Self::Put { key, value } => txn(Vec::new(), Micro::Write(key, value)),
            Self::Delete { key } => txn(Vec::new(), Micro::Delete(key)),
            Self::Cas { key, old, new } => {
                txn(vec![Condition::Is(key.clone(), old)], Micro::Write(key, new))
            }
            Self::Txn(txn) => Some(txn),
            Self::OpenSession { .. } | Self::Once { .. } => None,
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
            Self::Txn(txn) | Self::Once { txn, .. } => txn.size(),
            Self::OpenSession { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
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
        let plain = [put, delete, cas(None), cas(Some("")), txn(), Command::Txn(Txn::default())];
        let once = Command::Once { session: 7, sequence: 1, at_ms: u64::MAX, txn: Txn::default() };
        for command in plain.into_iter().chain([once, Command::OpenSession { at_ms: 0 }]) {
            assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
    }

    #[test]
    fn a_command_and_its_transaction_do_the_same() {
        let put = Command::Put { key: "k".into(), value: "o".into() };
        let delete = Command::Delete { key: "k".into() };
        let mut store = Store::default();
        for command in [cas(Some("o")), put, cas(None), cas(Some("o")), delete, cas(None)] {
            let as_txn = Command::Txn(command.clone().into_txn().expect("it is plain"));
            let (plain, same) = (store.run(&command), store.run(&as_txn));
            assert_eq!(plain.1, same.1, "{command:?}");
            store.change(plain.1);
        }
        assert_eq!(Command::OpenSession { at_ms: 0 }.into_txn(), None);
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
