//! Holds the replicated map, the client sessions and the index of the last applied entry.
//!
//! [`Store::apply`] depends on the state and the command alone, so the state after an index is the
//! same on every replica.

use super::command::Command;
use super::outcome::Outcome;
use super::session::Sessions;
use super::txn::Changes;
use crate::raft::Index;
use alloc::{borrow::ToOwned, collections::BTreeMap, string::String, vec::Vec};
use core::ops::Bound;
use serde::{Deserialize, Serialize};

/// The replicated map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    values: BTreeMap<String, String>,
    applied: Index,
    sessions: Sessions,
}

/// A range of the map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Keys and values, in key order.
    pub entries: Vec<(String, String)>,
    /// Whether the range has more entries.
    pub more: bool,
}

impl Store {
    /// Encodes the whole state, with sessions: equal states give equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain data and memory enough for it")
    }

    /// Decodes a store from exactly these bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        match postcard::take_from_bytes(bytes)? {
            (store, []) => Ok(store),
            _ => Err(postcard::Error::DeserializeBadEncoding),
        }
    }

    /// Returns the same state without any session, as only a seeded bug needs it.
    pub fn without_sessions(&self) -> Self {
        Self { sessions: Sessions::default(), ..self.clone() }
    }

    /// Returns the client sessions.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Returns the entries with keys in `from .. to`: at most `limit`, and as many as fit into
    /// `bytes`, but at least one.
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

    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// Returns the index of the last applied entry.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// Iterates over keys and values, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Applies the command of log entry `index`.
    pub fn apply(&mut self, index: Index, command: &Command) -> Outcome {
        self.skip_entry(index);
        if let Err(outcome) = self.check_session(index, command) {
            return outcome;
        }
        let (outcome, changes) = self.evaluate_command(command);
        self.apply_changes(changes);
        self.record_result(index, command, &outcome);
        outcome
    }

    /// Opens or checks the session of a command; returns the outcome if the command must not run.
    pub fn check_session(&mut self, index: Index, command: &Command) -> Result<(), Outcome> {
        match *command {
            Command::OpenSession { at_ms } => self.sessions.open_session(index, at_ms),
            Command::Once { session, sequence, at_ms, .. } => {
                self.sessions.check_request(session, sequence, at_ms)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Records the result of a session's request, for its retries.
    pub fn record_result(&mut self, index: Index, command: &Command, outcome: &Outcome) {
        let Command::Once { session, sequence, .. } = *command else { return };
        let result = match outcome {
            Outcome::Results(results) => Ok(results.clone()),
            Outcome::Mismatch { current } => Err(current.clone()),
            _ => return,
        };
        self.sessions.record_result(session, sequence, index, result);
    }

    /// Skips log entry `index`, which contains no command or cannot be decoded.
    pub fn skip_entry(&mut self, index: Index) {
        debug_assert!(index > self.applied, "entry {index} applied after {}", self.applied);
        self.applied = index;
    }

    /// Evaluates the command without changing the state.
    pub fn evaluate_command(&self, command: &Command) -> (Outcome, Changes) {
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
            Command::Txn(txn) | Command::Once { txn, .. } => match txn.evaluate_on(self) {
                Ok((results, changes)) => (Outcome::Results(results), changes),
                Err(current) => (Outcome::Mismatch { current }, Changes::new()),
            },
        }
    }

    /// Applies changes that `run` returned.
    pub fn apply_changes(&mut self, changes: Changes) {
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

    fn put_command(value: &str) -> Command {
        Command::Put { key: "k".into(), value: value.into() }
    }

    fn cas_command(old: Option<&str>, new: &str) -> Command {
        Command::Cas { key: "k".into(), old: old.map(Into::into), new: new.into() }
    }

    #[test]
    fn compare_and_set_returns_the_current_value() {
        let mut store = Store::default();
        assert_eq!(
            store.apply(1, &cas_command(Some("a"), "b")),
            Outcome::Mismatch { current: None }
        );
        assert_eq!(store.apply(2, &cas_command(None, "a")), Outcome::Done);
        assert_eq!(
            store.apply(3, &cas_command(None, "b")),
            Outcome::Mismatch { current: Some("a".into()) }
        );
        assert_eq!(store.apply(4, &cas_command(Some("a"), "b")), Outcome::Done);
        assert_eq!((store.get("k"), store.applied()), (Some("b"), 4));
    }

    #[test]
    fn a_range_is_ordered_and_reports_whether_there_is_more() {
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
    fn evaluating_changes_nothing() {
        let mut store = Store::default();
        store.apply(1, &put_command("a"));
        let before = store.clone();
        let delete = Command::Delete { key: "k".into() };
        assert_eq!(
            store.evaluate_command(&delete),
            (Outcome::Done, Changes::from([("k".into(), None)]))
        );
        let found = Outcome::Mismatch { current: Some("a".into()) };
        assert_eq!(store.evaluate_command(&cas_command(None, "b")), (found, Changes::new()));
        assert_eq!(store, before);
    }

    #[test]
    fn a_skipped_entry_counts_as_applied() {
        let mut store = Store::default();
        store.apply(1, &put_command("a"));
        store.skip_entry(2);
        store.apply(3, &Command::Delete { key: "k".into() });
        assert_eq!((store.iter().count(), store.applied()), (0, 3));
    }
}
