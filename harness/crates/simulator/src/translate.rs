//! Translates calls into the store's requests and its answers into replies, as the HTTP API and its
//! client do for a real replica.

use node::kv::Command;
use node::runtime::{Answer, Query, Request};
use workloads::{Call, Reply};

/// The request of a call; `None` where the store has none for it.
pub(super) fn to_request(call: &Call, lease: bool) -> Option<Request> {
    Some(match call {
        Call::Read { key } => Request::Read { query: Query::Key(key.clone()), after: 0, lease },
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

/// The reply of an answer.
pub(super) fn to_reply(answer: Answer) -> Reply {
    match answer {
        Answer::Value(None) => Reply::read(None),
        Answer::Value(Some(text)) => match text.parse() {
            Ok(value) => Reply::read(Some(value)),
            Err(_) => Reply::returned(text.into()),
        },
        Answer::Written { .. } => Reply::ok(),
        Answer::Mismatch { .. } => Reply::mismatch(),
        Answer::Declined(why) => Reply::fail(&why),
        Answer::Failed(reason) => match reason.describe() {
            (name, true, _) => Reply::fail(name),
            (name, false, _) => Reply::info(name),
        },
        // The simulator makes no request that is answered so.
        Answer::Range(_)
        | Answer::Results { .. }
        | Answer::Opened { .. }
        | Answer::Session(_)
        | Answer::Members(_) => Reply::info("an answer to another request"),
    }
}
