//! Names what a client may ask of the store, and turns it into the bytes of a log entry and back.
//!
//! Decoding is strict: bytes that are not exactly one command are [`Undecodable`], and every
//! replica finds so.

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

    /// The key it is about.
    pub fn key(&self) -> &str {
        match self {
            Self::Put { key, .. } | Self::Delete { key } | Self::Cas { key, .. } => key,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cas(old: Option<&str>) -> Command {
        Command::Cas { key: "k".into(), old: old.map(Into::into), new: "n".into() }
    }

    #[test]
    fn every_command_survives_the_log() {
        let put = Command::Put { key: "k".into(), value: "ü".into() };
        for command in [put, Command::Delete { key: String::new() }, cas(None), cas(Some(""))] {
            assert_eq!(Command::decode(&command.encode()), Ok(command));
        }
    }

    #[test]
    fn anything_else_is_undecodable() {
        let bytes = cas(Some("o")).encode();
        let longer = [bytes.as_slice(), &[0]].concat();
        for wrong in [&[][..], &[9], &bytes[..bytes.len() - 1], &longer] {
            assert_eq!(Command::decode(wrong), Err(Undecodable));
        }
    }
}
