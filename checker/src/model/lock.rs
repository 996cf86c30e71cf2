//! Specifies a lock, in which a refusal is a read.
//!
//! The state is `[]` when free and `[holder]` when held. The holder is the argument of the calls.
//! Where that is nil, as in Jepsen's and Knossos' mutex, any client may release.

use super::call::{Call, Response, check_function};
use super::list_state::{expect_list, list_items};
use super::specification::Model;
use crate::history::Value;

/// A lock that is acquired and released.
pub(super) struct Lock;

impl Model for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn doc(&self) -> &'static str {
        "a lock, free at first; `acquire` takes it if it is free, and `release` frees it if the \
         same argument acquired it; a mismatch is a refusal"
    }

    fn initial(&self) -> Value {
        Value::List([].into())
    }

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        match expect_list(self.name(), given)? {
            [] | [_] => Ok(given.clone()),
            _ => Err(format!("it began with {given}, but a lock has one holder: [] or [holder]")),
        }
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        check_function(self.name(), call, &["acquire", "release"], &["acquire", "release"])
    }

    fn is_read(&self, call: &Call) -> bool {
        call.response == Response::Mismatch
    }

    fn determines_state(&self, call: &Call) -> Option<Value> {
        match (call.f.as_str(), &call.response) {
            (_, Response::Mismatch) => None,
            ("acquire", _) => Some(Value::from(vec![call.input.clone()])),
            _ => Some(self.initial()),
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let holder = list_items(state).first();
        let (may, after) = match call.f.as_str() {
            "acquire" => (holder.is_none(), Value::from(vec![call.input.clone()])),
            _ => (holder == Some(&call.input), self.initial()),
        };
        let held = holder.map_or_else(|| "free".to_owned(), |holder| format!("held by {holder}"));
        match (&call.response, may) {
            (Response::Mismatch, false) => Ok(state.clone()),
            (Response::Mismatch, true) => Err(format!("it was refused, but the lock was {held}")),
            (_, true) => Ok(after),
            (_, false) => Err(format!("it was granted, but the lock was {held}")),
        }
    }
}
