//! Specifies a list that only grows: a read returns everything appended, in order.

use super::call::{Call, Seen, known};
use super::list_state::{items, listed};
use super::register::read;
use super::specification::Model;
use crate::history::Value;

/// A list that is appended to and read whole.
pub(super) struct AppendList;

impl Model for AppendList {
    fn name(&self) -> &'static str {
        "append-list"
    }

    fn doc(&self) -> &'static str {
        "a list, empty at first; `read` returns everything that `append` put at its end, in order"
    }

    fn initial(&self) -> Value {
        Value::List([].into())
    }

    fn begins(&self, given: &Value) -> Result<Value, String> {
        listed(self.name(), given).map(|_| given.clone())
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        known(self.name(), call, &["append", "read"], &[])
    }

    fn observes(&self, call: &Call) -> bool {
        call.f == "read"
    }

    fn settles(&self, call: &Call) -> Option<Value> {
        match (call.f.as_str(), &call.seen) {
            ("read", Seen::Output(output @ Value::List(_))) => Some(output.clone()),
            _ => None,
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        match (call.f.as_str(), &call.seen) {
            ("append", _) => {
                Ok(Value::List(items(state).iter().chain([&call.input]).cloned().collect()))
            }
            // A list that was never there reads as nil.
            (_, Seen::Output(Value::Nil)) if items(state).is_empty() => Ok(state.clone()),
            _ => read(state, call),
        }
    }
}
