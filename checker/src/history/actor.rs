//! Names the author of an operation in messages.
//!
//! A client takes a new process number after each operation of unknown outcome, as in Jepsen: its
//! number plus a multiple of the run's concurrency. So if the concurrency is known, messages name
//! the client, which is what reports and drawings of the run show; else they name the process.

use std::fmt;

use super::event::{Operation, Process};

/// The author of an operation, as messages name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A client of a run with a known concurrency.
    Client(u64),
    /// A process of a history whose concurrency is not known.
    Process(Process),
}

impl Actor {
    /// A short name for drawings: `c5` or `p25`.
    pub(crate) fn short_name(self) -> String {
        match self {
            Self::Client(number) => format!("c{number}"),
            Self::Process(Process::Client(number)) => format!("p{number}"),
            Self::Process(Process::Nemesis) => "nemesis".to_owned(),
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(number) => write!(f, "client {number}"),
            Self::Process(process) => process.fmt(f),
        }
    }
}

impl Operation {
    /// The author, as messages name it.
    pub fn actor(&self) -> Actor {
        self.client.map_or(Actor::Process(self.process), Actor::Client)
    }
}

impl Process {
    /// The client whose process this is, in a run with this many clients.
    pub fn client(self, concurrency: u64) -> Option<u64> {
        match self {
            Self::Client(number) => number.checked_rem(concurrency),
            Self::Nemesis => None,
        }
    }
}
