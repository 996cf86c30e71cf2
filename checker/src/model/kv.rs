//! Specifies a map from keys to values, with registers and with text that is appended to.
//!
//! Every argument and result is `[key, value]`. The state is the list of `[key, value]` in order of
//! key. Keys that hold nil are left out, so that equal maps are equal states.

use super::call::{Call, Response};
use super::cas_register::apply_cas;
use super::list_state::{expect_list, list_items};
use super::specification::{EnabledIn, Model, StaticFacts};
use crate::history::Value;

/// A map of keys to values.
pub(super) struct Kv;

impl Model for Kv {
    fn name(&self) -> &'static str {
        "kv"
    }

    fn doc(&self) -> &'static str {
        "a map, empty at first, with `read` (`get`), `write` (`put`), `append`, \
         `delete` and `cas` of `[key, value]`"
    }

    fn initial(&self) -> Value {
        Value::List([].into())
    }

    fn has_keys(&self) -> bool {
        true
    }

    fn parse_initial(&self, given: &Value) -> Result<Value, String> {
        parse_map(self.name(), given)
    }

    fn validate(&self, call: &Call) -> Result<(), String> {
        let (key, argument) = expect_pair("the argument", &call.input)?;
        if let Response::Output(output) = &call.response {
            let (answered, _) = expect_pair("the result", output)?;
            if answered != key {
                return Err(format!("it asked for key {key} and was answered about {answered}"));
            }
        }
        match (call.f.as_str(), &call.response) {
            ("cas", _) if argument.as_pair().is_some() => Ok(()),
            ("cas", _) => Err(format!("cas wants [key [old new]], not {}", call.input)),
            ("delete", _) => Ok(()),
            (f, Response::Mismatch) => {
                Err(format!("a {f} expects no state, so it cannot mismatch"))
            }
            ("append", _) if !matches!(argument, Value::Str(_)) => {
                Err(format!("append wants text, not {argument}"))
            }
            ("append" | "get" | "put" | "read" | "write", _) => Ok(()),
            (f, _) => Err(format!(
                "a kv has no function {f:?}, only append, cas, delete, get, put, read, write"
            )),
        }
    }

    fn is_read(&self, call: &Call) -> bool {
        matches!(call.f.as_str(), "get" | "read") || call.response == Response::Mismatch
    }

    /// True of a map with this key only. A read of empty text is possible for a key that holds it
    /// and for an absent key.
    fn static_facts(&self, call: &Call) -> StaticFacts {
        let Some((key, argument)) = call.input.as_pair() else { return StaticFacts::default() };
        let alone = |value: &Value| set_value(&self.initial(), key, value.clone());
        match (call.f.as_str(), argument.as_pair(), &call.response) {
            ("put" | "write", _, _) => {
                StaticFacts { enabled_in: EnabledIn::EveryState, result: Some(alone(argument)) }
            }
            ("delete", _, Response::Output(_) | Response::Unknown) => {
                StaticFacts { enabled_in: EnabledIn::EveryState, result: Some(self.initial()) }
            }
            ("cas", Some((old, new)), Response::Output(_) | Response::Unknown) => StaticFacts {
                enabled_in: EnabledIn::OneState(alone(old)),
                result: Some(alone(new)),
            },
            ("get" | "read", _, Response::Output(output)) => match output.as_pair() {
                Some((_, shown)) if *shown != Value::from("") => {
                    StaticFacts { enabled_in: EnabledIn::OneState(alone(shown)), result: None }
                }
                _ => StaticFacts::default(),
            },
            _ => StaticFacts::default(),
        }
    }

    fn only_appends(&self, call: &Call) -> bool {
        call.f == "append"
    }

    /// While a text is only appended to, each of its values is a prefix of every later one.
    fn can_never_hold(&self, state: &Value, call: &Call) -> bool {
        let Some((key, _)) = call.input.as_pair() else { return false };
        let Response::Output(output) = &call.response else { return false };
        let shown = output.as_pair().map_or(&Value::Nil, |(_, value)| value);
        match (value_at(state, key), shown) {
            (Value::Str(held), Value::Str(shown)) => !shown.starts_with(held.as_str()),
            (held, _) => matches!(held, Value::Str(_)),
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let (key, argument) = expect_pair("the argument", &call.input)?;
        let held = value_at(state, key);
        match (call.f.as_str(), argument.as_pair()) {
            ("cas", Some((old, new))) => apply_cas(held, old, new, &call.response),
            ("put" | "write", _) => Ok(argument.clone()),
            ("delete", _) => delete_key(held, &call.response),
            ("append", _) => append_text(held, argument),
            _ => get_value(held, &call.response),
        }
        .map(|next| set_value(state, key, next))
        .map_err(|why| format!("key {key}: {why}"))
    }
}

fn expect_pair<'a>(what: &str, value: &'a Value) -> Result<(&'a Value, &'a Value), String> {
    value.as_pair().ok_or_else(|| format!("{what} is {value}, not [key value]"))
}

/// An initial map: pairs in any order, each key once.
pub(super) fn parse_map(name: &str, given: &Value) -> Result<Value, String> {
    let mut state = Value::List([].into());
    for entry in expect_list(name, given)? {
        let Some((key, value)) = entry.as_pair() else {
            return Err(format!("it began with {given}, but a {name} holds [key value]s"));
        };
        if *value_at(&state, key) != Value::Nil {
            return Err(format!("it began with two values of key {key}"));
        }
        state = set_value(&state, key, value.clone());
    }
    Ok(state)
}

pub(super) fn value_at<'a>(state: &'a Value, key: &Value) -> &'a Value {
    let mut pairs = list_items(state).iter().filter_map(Value::as_pair);
    pairs.find(|(held, _)| *held == key).map_or(&Value::Nil, |(_, value)| value)
}

pub(super) fn set_value(state: &Value, key: &Value, value: Value) -> Value {
    let others = |entry: &&Value| entry.as_pair().is_none_or(|(held, _)| held != key);
    let mut next: Vec<Value> = list_items(state).iter().filter(others).cloned().collect();
    if value != Value::Nil {
        next.push(Value::pair(key.clone(), value));
        next.sort();
    }
    Value::from(next)
}

/// An append to an absent key creates the text; a value that is not text cannot be appended to.
fn append_text(held: &Value, suffix: &Value) -> Result<Value, String> {
    match (held, suffix) {
        (Value::Nil, _) => Ok(suffix.clone()),
        (Value::Str(held), Value::Str(suffix)) => Ok(Value::from(format!("{held}{suffix}"))),
        _ => Err(format!("it appended to {held}, which is not text")),
    }
}

/// Deletes a key, or confirms that the key was absent. Deleting an absent key is not a failure.
fn delete_key(held: &Value, response: &Response) -> Result<Value, String> {
    match response {
        Response::Mismatch if *held != Value::Nil => {
            Err(format!("it was told that there was nothing to delete, but the key held {held}"))
        }
        _ => Ok(Value::Nil),
    }
}

/// An absent key reads as nil or as empty text.
fn get_value(held: &Value, response: &Response) -> Result<Value, String> {
    match (response, held) {
        (Response::Output(output), _) => {
            let shown = output.as_pair().map_or(&Value::Nil, |(_, value)| value);
            let absent = *held == Value::Nil && *shown == Value::from("");
            if shown == held || absent {
                Ok(held.clone())
            } else {
                Err(format!("it read {shown}, but the key held {held}"))
            }
        }
        (Response::Mismatch | Response::Unknown, _) => Ok(held.clone()),
    }
}
