//! Puts calls into the store's words and its answers into replies, as the HTTP API does in front of the real node.

use node::kv::{Command, Outcome, Store};
use workloads::{Call, Reply};

/// What a call asks of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// A command for the log.
    Write(Command),
    /// A linearizable read of a key.
    Read(String),
}

/// The request of a call; none, if this store has no words for it.
pub(super) fn request(call: &Call) -> Option<Request> {
    Some(match call {
        Call::Read { key } => Request::Read(key.clone()),
        Call::Write { key, value } => {
            Request::Write(Command::Put { key: key.clone(), value: value.to_string() })
        }
        Call::Cas { key, old, new } => Request::Write(Command::Cas {
            key: key.clone(),
            old: Some(old.to_string()),
            new: new.to_string(),
        }),
        _ => return None,
    })
}

/// What a read of the key finds.
pub(super) fn read(store: &Store, key: &str) -> Reply {
    match store.get(key) {
        None => Reply::read(None),
        Some(text) => {
            text.parse().map_or_else(|_| Reply::returned(text.into()), |it| Reply::read(Some(it)))
        }
    }
}

/// What the client of a command is told when it has been applied.
pub(super) fn written(outcome: &Outcome) -> Reply {
    match outcome {
        Outcome::Done => Reply::ok(),
        Outcome::Mismatch { .. } => Reply::mismatch(),
        // Nothing that the simulator asks for is answered so.
        Outcome::Results(_)
        | Outcome::Again { .. }
        | Outcome::NoSession
        | Outcome::OldSequence { .. } => Reply::info("an answer to another request"),
    }
}
