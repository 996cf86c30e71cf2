//! Holds the replicated map, the client sessions and how far into the log it has come.
//!
//! [`Store::apply`] is the only way to change a value, and what it returns depends on the map
//! alone, so a replica that has applied the log up to an index has the one state that belongs to
//! that index.

use super::{Changes, Command, Found, Results, Sessions};
use crate::raft::Index;
use alloc::{borrow::ToOwned, collections::BTreeMap, string::String, vec::Vec};
use core::ops::Bound;
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
    /// The session had that request carried out before, at this index, and this is what it found then.
    Again {
        /// Where it was carried out.
        index: Index,
        /// What it found.
        found: Found,
    },
    /// There is no such session, or none any more, and nothing changed.
    NoSession,
    /// The session is further already, and nothing changed.
    OldSequence {
        /// The last request it had carried out.
        last: u64,
    },
}

/// The replicated map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    values: BTreeMap<String, String>,
    applied: Index,
    sessions: Sessions,
}

/// A part of the map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Keys and values, in order of key.
    pub entries: Vec<(String, String)>,
    /// Whether there are more.
    pub more: bool,
}

impl Store {
    /// Everything, sessions too, as bytes: the same state gives the same bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain data and memory enough for it")
    }

    /// The store of these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        match postcard::take_from_bytes(bytes)? {
            (store, []) => Ok(store),
            _ => Err(postcard::Error::DeserializeBadEncoding),
        }
    }

    /// The client sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The entries from a key on and below another one: at most so many, and as many as fit into so many bytes, but one at
    /// least.
    pub fn range(&self, from: &str, to: Option<&str>, limit: usize, bytes: usize) -> Range {
        let mut range = Range::default();
        let below = |key: &str| to.is_none_or(|to| key < to);
        let from = (Bound::Included(from), Bound::Unbounded);
        let mut room = bytes;
        for (key, value) in self.values.range::<str, _>(from).take_while(|(key, _)| below(key)) {
            let size = key.len() + value.len();
            if range.entries.len() >= limit || (size > room && !range.entries.is_empty()) {
                range.more = true;
                break;
            }
            room = room.saturating_sub(size);
            range.entries.push((key.clone(), value.clone()));
        }
        range
    }

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
        if let Err(outcome) = self.admit(index, command) {
            return outcome;
        }
        let (outcome, changes) = self.run(command);
        self.change(changes);
        self.remember(index, command, &outcome);
        outcome
    }

    /// Lets a command of log entry `index` through, unless its session has an answer to it already.
    pub fn admit(&mut self, index: Index, command: &Command) -> Result<(), Outcome> {
        match *command {
            Command::OpenSession { at_ms } => self.sessions.open(index, at_ms),
            Command::Once { session, sequence, at_ms, .. } => {
                self.sessions.admit(session, sequence, at_ms)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Takes note of what a command that was let through has found.
    pub fn remember(&mut self, index: Index, command: &Command, outcome: &Outcome) {
        let Command::Once { session, sequence, .. } = *command else { return };
        let found = match outcome {
            Outcome::Results(results) => Ok(results.clone()),
            Outcome::Mismatch { current } => Err(current.clone()),
            _ => return,
        };
        self.sessions.remember(session, sequence, index, found);
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
            Command::OpenSession { .. } => (Outcome::Done, Changes::new()),
            Command::Txn(txn) | Command::Once { txn, .. } => match txn.run(self) {
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
    fn a_range_is_in_order_and_says_whether_there_is_more() {
        let mut store = Store::default();
        for (index, key) in (1..).zip(["b", "a", "d", "ü", "c"]) {
            store.apply(index, &Command::Put { key: key.into(), value: "12".into() });
        }
        let keys = |from, to, limit, bytes| {
            let Range { entries, more } = store.range(from, to, limit, bytes);
            (entries.into_iter().map(|(key, _)| key).collect::<String>(), more)
        };
        assert_eq!(keys("", None, 9, 99), ("abcdü".into(), false));
        assert_eq!(keys("b", Some("d"), 9, 99), ("bc".into(), false));
        assert_eq!(keys("b", Some("d"), 1, 99), ("b".into(), true));
        assert_eq!(keys("b", None, 9, 6), ("bc".into(), true));
        assert_eq!(keys("b", None, 9, 1), ("b".into(), true));
        assert_eq!(keys("d", Some("a"), 9, 99), (String::new(), false));
        assert_eq!(keys("", None, 0, 99), (String::new(), true));
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
