//! Defines the values that operations carry: JSON, but ordered, hashable and exact.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Text;

/// An argument, a result or a state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// Nothing: `null`.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number with a fraction or an exponent.
    Real(Real),
    /// Text.
    Str(Text),
    /// A sequence. A keyed value is a list of the key and the value.
    List(Arc<[Value]>),
    /// An object, sorted by key. Build it with [`Value::map`].
    Map(Vec<(String, Value)>),
}

/// A float ordered and hashed by [`f64::total_cmp`], with a single zero.
#[derive(Clone, Copy, Debug)]
pub struct Real(pub f64);

impl Real {
    /// The same number, with zero for negative zero.
    fn without_negative_zero(self) -> f64 {
        self.0 + 0.0
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> Ordering {
        self.without_negative_zero().total_cmp(&other.without_negative_zero())
    }
}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Real {}

impl Hash for Real {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.without_negative_zero().to_bits().hash(state);
    }
}

impl Value {
    /// Whether one is an integer and the other the same number as a float. Such values are never
    /// equal.
    pub(crate) fn differs_only_in_type(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Int(int), Self::Real(real)) | (Self::Real(real), Self::Int(int)) => {
                *int as f64 == real.0
            }
            _ => false,
        }
    }

    /// Its approximate size in memory.
    pub(crate) fn approximate_bytes(&self) -> usize {
        let within = match self {
            Self::Str(text) => text.len(),
            Self::List(values) => values.iter().map(Self::approximate_bytes).sum(),
            Self::Map(entries) => {
                entries.iter().map(|(key, it)| key.len() + 24 + it.approximate_bytes()).sum()
            }
            Self::Nil | Self::Bool(_) | Self::Int(_) | Self::Real(_) => 0,
        };
        size_of::<Self>() + within
    }

    /// The keyed value `[key, value]`.
    pub fn pair(key: impl Into<Self>, value: impl Into<Self>) -> Self {
        Self::List(Arc::new([key.into(), value.into()]))
    }

    /// An object from entries in any order; of two entries with one key the last wins.
    pub fn map(entries: impl IntoIterator<Item = (String, Self)>) -> Self {
        let sorted: std::collections::BTreeMap<_, _> = entries.into_iter().collect();
        Self::Map(sorted.into_iter().collect())
    }

    /// The two items of a list of two.
    pub fn as_pair(&self) -> Option<(&Self, &Self)> {
        match self {
            Self::List(items) => match &**items {
                [first, second] => Some((first, second)),
                _ => None,
            },
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Str(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self::List(items.into())
    }
}

/// A readable form: `nil`, `3`, `"x"`, `[1 2]`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Real(number) => write!(f, "{}", number.0),
            Self::Str(text) => write!(f, "{text:?}"),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key:?} {value}", if i == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Real(number) => serializer.serialize_f64(number.0),
            Self::Str(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items.iter()),
            Self::Map(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

/// The first number beyond 64 bits: a float of this size may be a rounded integer.
const BEYOND_INTEGERS: f64 = 9_223_372_036_854_775_808.0;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    /// Rejects what does not fit 64 bits. Rounding could make two values equal, and a verdict
    /// wrong.
    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        let fits = i64::try_from(number);
        fits.map(Value::Int)
            .map_err(|_| E::custom(format!("integer {number} does not fit 64 bits")))
    }

    /// An integer of more than 64 bits arrives as the nearest float, and is rejected for the same
    /// reason.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        if number.abs() < BEYOND_INTEGERS {
            Ok(Value::Real(Real(number)))
        } else {
            Err(E::custom(format!(
                "number {number:e} is too large to be told from those next to it"
            )))
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::from(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Value::map(entries))
    }
}
