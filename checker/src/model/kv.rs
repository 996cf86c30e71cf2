//! Specifies a map of keys to values: the other registers, one per key, and text that grows.
//!
//! Every argument and result is `[key, value]`. The state is the list of `[key, value]` in order of
//! key, without the keys that hold nil, so that equal maps are equal states.

use super::call::{Call, Seen};
use super::cas_register::cas;
use super::list_state::{items, listed};
use super::specification::{Meets, Model, Shape};
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

    fn begins(&self, given: &Value) -> Result<Value, String> {
        map(self.name(), given)
    }

    fn understands(&self, call: &Call) -> Result<(), String> {
        let (key, argument) = pair("the argument", &call.input)?;
        if let Seen::Output(output) = &call.seen {
            let (answered, _) = pair("the result", output)?;
            if answered != key {
                return Err(format!("it asked for key {key} and was answered about {answered}"));
            }
        }
        match (call.f.as_str(), &call.seen) {
            ("cas", _) if argument.as_pair().is_some() => Ok(()),
            ("cas", _) => Err(format!("cas wants [key [old new]], not {}", call.input)),
            ("delete", _) => Ok(()),
            (f, Seen::Mismatch) => Err(format!("a {f} expects no state, so it cannot mismatch")),
            ("append", _) if !matches!(argument, Value::Str(_)) => {
                Err(format!("append wants text, not {argument}"))
            }
            ("append" | "get" | "put" | "read" | "write", _) => Ok(()),
            (f, _) => Err(format!(
                "a kv has no function {f:?}, only append, cas, delete, get, put, read, write"
            )),
        }
    }

    fn observes(&self, call: &Call) -> bool {
        matches!(call.f.as_str(), "get" | "read") || call.seen == Seen::Mismatch
    }

    /// Holds for a map of this one key. Empty text is read of a key that holds it and of one that
    /// is not there.
    fn shape(&self, call: &Call) -> Shape {
        let Some((key, argument)) = call.input.as_pair() else { return Shape::default() };
        let alone = |value: &Value| with(&self.initial(), key, value.clone());
        match (call.f.as_str(), argument.as_pair(), &call.seen) {
            ("put" | "write", _, _) => Shape { meets: Meets::Any, leaves: Some(alone(argument)) },
            ("delete", _, Seen::Output(_) | Seen::Nothing) => {
                Shape { meets: Meets::Any, leaves: Some(self.initial()) }
            }
            ("cas", Some((old, new)), Seen::Output(_) | Seen::Nothing) => {
                Shape { meets: Meets::One(alone(old)), leaves: Some(alone(new)) }
            }
            ("get" | "read", _, Seen::Output(output)) => match output.as_pair() {
                Some((_, shown)) if *shown != Value::from("") => {
                    Shape { meets: Meets::One(alone(shown)), leaves: None }
                }
                _ => Shape::default(),
            },
            _ => Shape::default(),
        }
    }

    fn grows(&self, call: &Call) -> bool {
        call.f == "append"
    }

    /// What a key shows begins with all that it ever showed while it only grew.
    fn is_past(&self, state: &Value, call: &Call) -> bool {
        let Some((key, _)) = call.input.as_pair() else { return false };
        let Seen::Output(output) = &call.seen else { return false };
        let shown = output.as_pair().map_or(&Value::Nil, |(_, value)| value);
        match (held(state, key), shown) {
            (Value::Str(held), Value::Str(shown)) => !shown.starts_with(held.as_str()),
            (held, _) => matches!(held, Value::Str(_)),
        }
    }

    fn step(&self, state: &Value, call: &Call) -> Result<Value, String> {
        let (key, argument) = pair("the argument", &call.input)?;
        let held = held(state, key);
        match (call.f.as_str(), argument.as_pair()) {
            ("cas", Some((old, new))) => cas(held, old, new, &call.seen),
            ("put" | "write", _) => Ok(argument.clone()),
            ("delete", _) => delete(held, &call.seen),
            ("append", _) => append(held, argument),
            _ => get(held, &call.seen),
        }
        .map(|next| with(state, key, next))
        .map_err(|why| format!("key {key}: {why}"))
    }
}

fn pair<'a>(what: &str, value: &'a Value) -> Result<(&'a Value, &'a Value), String> {
    value.as_pair().ok_or_else(|| format!("{what} is {value}, not [key value]"))
}

/// A map that a history began with: pairs in any order, each key once.
pub(super) fn map(name: &str, given: &Value) -> Result<Value, String> {
    let mut state = Value::List([].into());
    for entry in listed(name, given)? {
        let Some((key, value)) = entry.as_pair() else {
            return Err(format!("it began with {given}, but a {name} holds [key value]s"));
        };
        if *held(&state, key) != Value::Nil {
            return Err(format!("it began with two values of key {key}"));
        }
        state = with(&state, key, value.clone());
    }
    Ok(state)
}

pub(super) fn held<'a>(state: &'a Value, key: &Value) -> &'a Value {
    let mut pairs = items(state).iter().filter_map(Value::as_pair);
    pairs.find(|(held, _)| *held == key).map_or(&Value::Nil, |(_, value)| value)
}

pub(super) fn with(state: &Value, key: &Value, value: Value) -> Value {
    let others = |entry: &&Value| entry.as_pair().is_none_or(|(held, _)| held != key);
    let mut next: Vec<Value> = items(state).iter().filter(others).cloned().collect();
    if value != Value::Nil {
        next.push(Value::pair(key.clone(), value));
        next.sort();
    }
    Value::from(next)
}

/// Text after nothing is that text; a value that is not text cannot grow.
fn append(held: &Value, suffix: &Value) -> Result<Value, String> {
    match (held, suffix) {
        (Value::Nil, _) => Ok(suffix.clone()),
        (Value::Str(held), Value::Str(suffix)) => Ok(Value::from(format!("{held}{suffix}"))),
        _ => Err(format!("it appended to {held}, which is not text")),
    }
}

/// Deletes a key, or confirms that it was not there. To delete what is not there is no failure.
fn delete(held: &Value, seen: &Seen) -> Result<Value, String> {
    match seen {
        Seen::Mismatch if *held != Value::Nil => {
            Err(format!("it was told that there was nothing to delete, but the key held {held}"))
        }
        _ => Ok(Value::Nil),
    }
}

/// A key that is not there may be shown as nil or as empty text.
fn get(held: &Value, seen: &Seen) -> Result<Value, String> {
    match (seen, held) {
        (Seen::Output(output), _) => {
            let shown = output.as_pair().map_or(&Value::Nil, |(_, value)| value);
            let absent = *held == Value::Nil && *shown == Value::from("");
            if shown == held || absent {
                Ok(held.clone())
            } else {
                Err(format!("it read {shown}, but the key held {held}"))
            }
        }
        (Seen::Mismatch | Seen::Nothing, _) => Ok(held.clone()),
    }
}
