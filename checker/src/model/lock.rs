//! Specifies a lock, in which a refusal is an observation.
//!
//! The state is `[]` when free and `[holder]` when held. The holder is the argument of the calls;
//! where that is nil, as in Jepsen's and Knossos' mutex, anyone may release.

use super::call::{Call, Seen, known};
use super::list_state::{items, listed};
use super::specification::Model;
use crate::history::Value;

/// A lock that is acquired and released.
pub(super) struct Lock;

impl Model for Lock {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn doc(&self) -> &'static str {
        "a lock, free at first; `acquire` takes it if it is free, and `release` frees it if the same \
         argument acquired it; a mismatch is a refusal"
    }

    fn initial(&self) -> Value {
        Value::List([].into())
    }

    fn begins(&self, given: &Value) -> Result<Value, String> {
        match listed(self.name(), given)? {
            [] | [_] => Ok(given.clone()),
            _ => Err(format!("it began with {given}, but a lock has one holder: [] or [holder]")),
        }
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        known(self.name(), call, &["acquire", "release"], &["acquire", "release"])
    }

    fn observes(&self, call: &Call) -> bool {
        call.seen == Seen::Mismatch
    }

    fn settles(&self, call: &Call) -> Option<Value> {
        match (call.f.as_str(), &call.seen) {
            (_, Seen::Mismatch) => None,
            ("acquire", _) => Some(Value::from(vec![call.input.clone()])),
            _ => Some(self.initial()),
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let holder = items(state).first();
        let (may, after) = match call.f.as_str() {
            "acquire" => (holder.is_none(), Value::from(vec![call.input.clone()])),
            _ => (holder == Some(&call.input), self.initial()),
        };
        let held = holder.map_or_else(|| "free".to_owned(), |holder| format!("held by {holder}"));
        match (&call.seen, may) {
            (Seen::Mismatch, false) => Ok(state.clone()),
            (Seen::Mismatch, true) => Err(format!("it was refused, but the lock was {held}")),
            (_, true) => Ok(after),
            (_, false) => Err(format!("it was granted, but the lock was {held}")),
        }
    }
}
