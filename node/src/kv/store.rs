//! Holds the replicated map and how far into the log it has come.
//!
//! [`Store::apply`] is the only way to change a value, and what it returns depends on the map
//! alone, so a replica that has applied the log up to an index has the one state that belongs to
//! that index.

use super::{Changes, Command, Results};
use crate::raft::Index;
use alloc::{borrow::ToOwned, collections::BTreeMap, string::String};
use serde::{Deserialize, Serialize};

/// What a command found when its turn came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It took effect.
    Done,
    /// Something was expected of a key that was not so, and nothing changed.
    Mismatch {
        /// What it found.
        current: Option<String>,
    },
    /// The transaction took effect, and its micro-operations returned these.
    Results(Results),
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
        let (outcome, changes) = self.run(command);
        self.change(changes);
        outcome
    }

    /// Passes over log entry `index`, which is no command (a no-op, or undecodable).
    pub fn skip(&mut self, index: Index) {
        debug_assert!(index > self.applied, "entry {index} applied after {}", self.applied);
        self.applied = index;
    }

    /// What the command would find and change now.
    pub fn run(&self, command: &Command) -> (Outcome, Changes) {
        let only = |key: &String, value| (Outcome::Done, Changes::from([(key.clone(), value)]));
        match command {
            Command::Cas { key, old, .. } if self.get(key) != old.as_deref() => (
                Outcome::Mismatch { current: self.get(key).map(ToOwned::to_owned) },
                Changes::new(),
            ),
            Command::Put { key, value: new } | Command::Cas { key, new, .. } => {
                only(key, Some(new.clone()))
            }
            Command::Delete { key } => only(key, None),
            Command::Txn(txn) => match txn.run(self) {
                Ok((results, changes)) => (Outcome::Results(results), changes),
                Err(current) => (Outcome::Mismatch { current }, Changes::new()),
            },
        }
    }

    /// Makes these changes.
    pub fn change(&mut self, changes: Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.values.insert(key, value)),
                None => drop(self.values.remove(&key)),
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
    fn running_changes_nothing() {
        let mut store = Store::default();
        store.apply(1, &put("a"));
        let before = store.clone();
        let delete = Command::Delete { key: "k".into() };
        assert_eq!(store.run(&delete), (Outcome::Done, Changes::from([("k".into(), None)])));
        let found = Outcome::Mismatch { current: Some("a".into()) };
        assert_eq!(store.run(&cas(None, "b")), (found, Changes::new()));
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
