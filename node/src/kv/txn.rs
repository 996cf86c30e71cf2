//! Defines transactions: several micro-operations on several keys, all of them or none.
//!
//! A [`Txn`] is one log entry, so its micro-operations are isolated, and each sees the effects of
//! the earlier ones. Its conditions apply to the state before the first. If a condition fails, or
//! an addition finds no number, nothing changes.
//!
//! Values are text. A list is text too: its words, separated by one space, oldest first.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// The most conditions, and the most micro-operations, of one transaction.
pub const MAX_TXN_OPS: usize = 1024;

/// A transaction: micro-operations under conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Txn {
    /// The conditions on the state before the transaction.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// The micro-operations, in order.
    pub ops: Vec<MicroOp>,
}

/// A condition on one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// The key has this value; `None`: it is absent.
    Is(String, Option<String>),
    /// The key has a number that is at least this; an absent key counts as 0.
    AtLeast(String, i64),
}

/// One operation of a transaction. Its result is `None` unless stated otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MicroOp {
    /// Reads the key; the result is its value.
    Read(String),
    /// Sets the key's value.
    Write(String, String),
    /// Appends a word to a list.
    Append(String, String),
    /// Removes the first word of a list; the result is that word.
    Take(String),
    /// Adds to a number; the result is the sum. An absent key counts as 0.
    Add(String, i64),
    /// Removes the key.
    Delete(String),
}

/// The changes of a command: the new value of each key, or `None` if it is removed.
pub type Changes = BTreeMap<String, Option<String>>;

/// The results of the micro-operations, in order.
pub type Results = Vec<Option<String>>;

impl Txn {
    /// Whether the transaction only reads.
    pub fn is_read_only(&self) -> bool {
        self.ops.iter().all(|op| matches!(op, MicroOp::Read(_)))
    }

    /// Rejects a transaction with too many parts, or an appended word with white space.
    pub fn validate(&self) -> Result<(), String> {
        if self.conditions.len().max(self.ops.len()) > MAX_TXN_OPS {
            return Err(format!(
                "a transaction has at most {MAX_TXN_OPS} conditions or operations"
            ));
        }
        let word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        let invalid = self.ops.iter().find_map(|op| match op {
            MicroOp::Append(_, text) if !word(text) => Some(text),
            _ => None,
        });
        invalid.map_or(Ok(()), |text| {
            Err(format!("append takes one word without white space, not {text:?}"))
        })
    }

    /// Returns the keys of the conditions, then those of the operations, with repetitions.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let conditions = self.conditions.iter().map(|condition| match condition {
            Condition::Is(key, _) | Condition::AtLeast(key, _) => key,
        });
        let ops = self.ops.iter().map(|op| match op {
            MicroOp::Write(key, _) | MicroOp::Append(key, _) => key,
            MicroOp::Read(key)
            | MicroOp::Take(key)
            | MicroOp::Add(key, _)
            | MicroOp::Delete(key) => key,
        });
        conditions.chain(ops).map(String::as_str)
    }

    /// Returns the number of bytes in keys and values.
    pub fn byte_size(&self) -> usize {
        let condition = |condition: &Condition| match condition {
            Condition::Is(key, value) => key.len() + value.as_ref().map_or(0, String::len),
            Condition::AtLeast(key, _) => key.len(),
        };
        let op = |op: &MicroOp| match op {
            MicroOp::Write(key, text) | MicroOp::Append(key, text) => key.len() + text.len(),
            MicroOp::Read(key)
            | MicroOp::Take(key)
            | MicroOp::Add(key, _)
            | MicroOp::Delete(key) => key.len(),
        };
        self.conditions.iter().map(condition).sum::<usize>()
            + self.ops.iter().map(op).sum::<usize>()
    }
}
