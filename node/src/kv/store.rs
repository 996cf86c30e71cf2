//! Holds the replicated map and how far into the log it has come.
//!
//! [`Store::apply`] is the only way to change a value, and what it returns depends on the map
//! alone, so a replica that has applied the log up to an index has the one state that belongs to
//! that index.

use super::Command;
use crate::raft::Index;
use alloc::{borrow::ToOwned, collections::BTreeMap, string::String};
use serde::{Deserialize, Serialize};

/// What a command found when its turn came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It took effect.
    Done,
    /// A compare-and-set found something else and changed nothing.
    Mismatch {
        /// What it found.
        current: Option<String>,
    },
}

/// The replicated map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Store {
    values: BTreeMap<String, String>,
    applied: Index,
}

impl Store {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The last log entry that this state contains.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// Every key and its value, in order of key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Does what log entry `index` says.
    pub fn apply(&mut self, index: Index, command: &Command) -> Outcome {
        self.skip(index);
        let outcome = self.evaluate(command);
        if outcome == Outcome::Done {
            self.change(command);
        }
        outcome
    }

    /// Passes over log entry `index`, which is no command (a no-op, or undecodable).
    pub fn skip(&mut self, index: Index) {
        debug_assert!(index > self.applied, "entry {index} applied after {}", self.applied);
        self.applied = index;
    }

    /// What the command would find now; changes nothing.
    pub fn evaluate(&self, command: &Command) -> Outcome {
        match command {
            Command::Cas { key, old, .. } if self.get(key) != old.as_deref() => {
                Outcome::Mismatch { current: self.get(key).map(ToOwned::to_owned) }
            }
            Command::Put { .. } | Command::Delete { .. } | Command::Cas { .. } => Outcome::Done,
        }
    }

    fn change(&mut self, command: &Command) {
        match command {
            Command::Put { key, value: new } | Command::Cas { key, new, .. } => {
                self.values.insert(key.clone(), new.clone());
            }
            Command::Delete { key } => {
                self.values.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(value: &str) -> Command {
        Command::Put { key: "k".into(), value: value.into() }
    }

    fn cas(old: Option<&str>, new: &str) -> Command {
        Command::Cas { key: "k".into(), old: old.map(Into::into), new: new.into() }
    }

    #[test]
    fn a_compare_and_set_tells_what_it_found() {
        let mut store = Store::default();
        assert_eq!(store.apply(1, &cas(Some("a"), "b")), Outcome::Mismatch { current: None });
        assert_eq!(store.apply(2, &cas(None, "a")), Outcome::Done);
        assert_eq!(
            store.apply(3, &cas(None, "b")),
            Outcome::Mismatch { current: Some("a".into()) }
        );
        assert_eq!(store.apply(4, &cas(Some("a"), "b")), Outcome::Done);
        assert_eq!((store.get("k"), store.applied()), (Some("b"), 4));
    }

    #[test]
    fn evaluating_changes_nothing() {
        let mut store = Store::default();
        store.apply(1, &put("a"));
        let before = store.clone();
        assert_eq!(store.evaluate(&Command::Delete { key: "k".into() }), Outcome::Done);
        assert_eq!(
            store.evaluate(&cas(None, "b")),
            Outcome::Mismatch { current: Some("a".into()) }
        );
        assert_eq!(store, before);
    }

    #[test]
    fn what_is_no_command_still_counts_as_applied() {
        let mut store = Store::default();
        store.apply(1, &put("a"));
        store.skip(2);
        store.apply(3, &Command::Delete { key: "k".into() });
        assert_eq!((store.iter().count(), store.applied()), (0, 3));
    }
}
