//! Specifies a list that only grows: a read returns everything appended, in order.

use super::call::{Call, Response, check_function};
use super::list_state::{expect_list, list_items};
use super::register::check_read;
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

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        expect_list(self.name(), given).map(|_| given.clone())
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        check_function(self.name(), call, &["append", "read"], &[])
    }

    fn is_read(&self, call: &Call) -> bool {
        call.f == "read"
    }

    fn determines_state(&self, call: &Call) -> Option<Value> {
        match (call.f.as_str(), &call.response) {
            ("read", Response::Output(output @ Value::List(_))) => Some(output.clone()),
            _ => None,
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        match (call.f.as_str(), &call.response) {
            ("append", _) => {
                Ok(Value::List(list_items(state).iter().chain([&call.input]).cloned().collect()))
            }
            // A list that was never created reads as nil.
            (_, Response::Output(Value::Nil)) if list_items(state).is_empty() => Ok(state.clone()),
            _ => check_read(state, call),
        }
    }
}
