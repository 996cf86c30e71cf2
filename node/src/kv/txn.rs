//! Runs several micro-operations on several keys as one command: all of them or none.
//!
//! A [`Txn`] is one log entry, so nothing comes between its micro-operations, and each sees what the earlier
//! ones of the same transaction did. Its conditions are about the state before the first. Where one does not
//! hold, or an addition finds no number, nothing changes.
//!
//! Values are text. A list is text, too: its words, with one space between them, oldest first.

use super::Store;
use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// The most conditions, and the most micro-operations, of one transaction.
pub const MOST_PARTS: usize = 1024;

/// Several micro-operations under conditions, as one command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Txn {
    /// What must be true before.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// What is done then, in this order.
    pub ops: Vec<Micro>,
}

/// What must be true of a key before a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It has this value; `None`: it is absent.
    Is(String, Option<String>),
    /// It has a number no less than this; an absent key counts as 0.
    AtLeast(String, i64),
}

/// One step of a transaction. Each has a result, which is nothing unless it says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Micro {
    /// The result is the key's value.
    Read(String),
    /// Gives the key this value.
    Write(String, String),
    /// Adds a word to the end of a list.
    Append(String, String),
    /// Takes the first word off a list; the result is that word.
    Take(String),
    /// Adds to a number; the result is the sum. An absent key counts as 0.
    Add(String, i64),
    /// Takes the key away.
    Delete(String),
}

/// What a command changes: the new value of each key, or `None` where it is taken away.
pub type Changes = BTreeMap<String, Option<String>>;

/// What the micro-operations returned, in their order.
pub type Results = Vec<Option<String>>;

impl Txn {
    /// Whether it changes nothing whatever it finds.
    pub fn is_read_only(&self) -> bool {
        self.ops.iter().all(|micro| matches!(micro, Micro::Read(_)))
    }

    /// Says what cannot be asked for: too much, or a word that is none.
    pub fn check(&self) -> Result<(), String> {
        if self.conditions.len().max(self.ops.len()) > MOST_PARTS {
            return Err(format!("a transaction has at most {MOST_PARTS} parts"));
        }
        let word = |text: &str| !text.is_empty() && !text.contains(char::is_whitespace);
        let wrong = self.ops.iter().find_map(|micro| match micro {
            Micro::Append(_, text) if !word(text) => Some(text),
            _ => None,
        });
        wrong
            .map_or(Ok(()), |text| Err(format!("append takes a word without spaces, not {text:?}")))
    }

    /// Every key that it is about, conditions first, as often as it names it.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let conditions = self.conditions.iter().map(|condition| match condition {
            Condition::Is(key, _) | Condition::AtLeast(key, _) => key,
        });
        let ops = self.ops.iter().map(|micro| match micro {
            Micro::Write(key, _) | Micro::Append(key, _) => key,
            Micro::Read(key) | Micro::Take(key) | Micro::Add(key, _) | Micro::Delete(key) => key,
        });
        conditions.chain(ops).map(String::as_str)
    }

    /// How many bytes of keys and values it holds.
    pub fn size(&self) -> usize {
        let condition = |condition: &Condition| match condition {
            Condition::Is(key, value) => key.len() + value.as_ref().map_or(0, String::len),
            Condition::AtLeast(key, _) => key.len(),
        };
        let micro = |micro: &Micro| match micro {
            Micro::Write(key, text) | Micro::Append(key, text) => key.len() + text.len(),
            Micro::Read(key) | Micro::Take(key) | Micro::Add(key, _) | Micro::Delete(key) => {
                key.len()
            }
        };
        self.conditions.iter().map(condition).sum::<usize>()
            + self.ops.iter().map(micro).sum::<usize>()
    }

    /// What it would return and change now, or what the key has that stands against it.
    pub fn run(&self, store: &Store) -> Result<(Results, Changes), Option<String>> {
        for condition in &self.conditions {
            condition.hold(store)?;
        }
        let mut scratch = Scratch { store, changes: Changes::new() };
        let results = self.ops.iter().map(|micro| scratch.step(micro)).collect::<Result<_, _>>()?;
        Ok((results, scratch.changes))
    }
}

impl Condition {
    fn hold(&self, store: &Store) -> Result<(), Option<String>> {
        let (found, holds) = match self {
            Self::Is(key, value) => (store.get(key), store.get(key) == value.as_deref()),
            Self::AtLeast(key, least) => {
                let found = store.get(key);
                (found, number(found).is_some_and(|found| found >= *least))
            }
        };
        if holds { Ok(()) } else { Err(found.map(ToOwned::to_owned)) }
    }
}

/// The number that a value is.
fn number(value: Option<&str>) -> Option<i64> {
    value.map_or(Some(0), |text| text.parse().ok())
}

/// The store as the transaction sees it so far.
struct Scratch<'s> {
    store: &'s Store,
    changes: Changes,
}

impl Scratch<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match self.changes.get(key) {
            Some(changed) => changed.as_deref(),
            None => self.store.get(key),
        }
    }

    fn set(&mut self, key: &str, value: Option<String>) {
        self.changes.insert(key.to_owned(), value);
    }

    fn step(&mut self, micro: &Micro) -> Result<Option<String>, Option<String>> {
        match micro {
            Micro::Read(key) => return Ok(self.get(key).map(ToOwned::to_owned)),
            Micro::Write(key, value) => self.set(key, Some(value.clone())),
            Micro::Append(key, word) => self.append(key, word),
            Micro::Take(key) => return Ok(self.take(key)),
            Micro::Add(key, more) => return self.add(key, *more).map(Some),
            Micro::Delete(key) => self.set(key, None),
        }
        Ok(None)
    }

    fn append(&mut self, key: &str, word: &str) {
        let longer = match self.get(key) {
            Some(list) if !list.is_empty() => format!("{list} {word}"),
            _ => word.to_owned(),
        };
        self.set(key, Some(longer));
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let list = self.get(key).filter(|list| !list.is_empty())?;
        let (first, rest) = list.split_once(' ').unwrap_or((list, ""));
        let (first, rest) = (first.to_owned(), rest.to_owned());
        self.set(key, Some(rest));
        Some(first)
    }

    fn add(&mut self, key: &str, more: i64) -> Result<String, Option<String>> {
        let found = self.get(key);
        let sum = number(found).and_then(|held| held.checked_add(more));
        let sum = sum.ok_or_else(|| found.map(ToOwned::to_owned))?;
        let sum = format!("{sum}");
        self.set(key, Some(sum.clone()));
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Command, Outcome};
    use super::*;

    fn text(text: &str) -> String {
        text.to_owned()
    }

    fn apply(store: &mut Store, conditions: Vec<Condition>, ops: Vec<Micro>) -> Outcome {
        let index = store.applied() + 1;
        store.apply(index, &Command::Txn(Txn { conditions, ops }))
    }

    fn results(results: &[Option<&str>]) -> Outcome {
        Outcome::Results(results.iter().map(|result| result.map(text)).collect())
    }

    #[test]
    fn each_step_sees_the_ones_before() {
        let mut store = Store::default();
        let ops = vec![
            Micro::Read(text("x")),
            Micro::Write(text("x"), text("1")),
            Micro::Read(text("x")),
            Micro::Add(text("x"), 41),
            Micro::Delete(text("x")),
            Micro::Read(text("x")),
        ];
        let outcome = apply(&mut store, vec![], ops);
        assert_eq!(outcome, results(&[None, None, Some("1"), Some("42"), None, None]));
        assert_eq!((store.iter().count(), store.applied()), (0, 1));
    }

    #[test]
    fn a_list_grows_at_one_end_and_shrinks_at_the_other() {
        let mut store = Store::default();
        let append = |word| Micro::Append(text("q"), text(word));
        let take = || Micro::Take(text("q"));
        apply(&mut store, vec![], vec![append("a"), append("b")]);
        assert_eq!(store.get("q"), Some("a b"));
        let outcome = apply(&mut store, vec![], vec![take(), append("c"), take(), take(), take()]);
        assert_eq!(outcome, results(&[Some("a"), None, Some("b"), Some("c"), None]));
        apply(&mut store, vec![], vec![append("d")]);
        assert_eq!(store.get("q"), Some("d"));
    }

    #[test]
    fn what_cannot_be_done_changes_nothing_and_says_what_it_found() {
        let mut store = Store::default();
        apply(&mut store, vec![], vec![Micro::Write(text("x"), text("five"))]);
        let before: Vec<_> = store.iter().map(|(k, v)| (text(k), text(v))).collect();
        let write = || Micro::Write(text("y"), text("1"));
        let found = || Outcome::Mismatch { current: Some(text("five")) };
        for (conditions, ops) in [
            (vec![Condition::Is(text("x"), None)], vec![write()]),
            (vec![Condition::Is(text("x"), Some(text("six")))], vec![write()]),
            (vec![Condition::AtLeast(text("x"), 0)], vec![write()]),
            (vec![], vec![write(), Micro::Add(text("x"), 1)]),
        ] {
            assert_eq!(apply(&mut store, conditions, ops), found());
        }
        let poor = vec![Condition::AtLeast(text("z"), 1)];
        assert_eq!(apply(&mut store, poor, vec![write()]), Outcome::Mismatch { current: None });
        let full = vec![Micro::Add(text("z"), i64::MAX), Micro::Add(text("z"), 1)];
        let sum = Some(i64::MAX.to_string());
        assert_eq!(apply(&mut store, vec![], full), Outcome::Mismatch { current: sum });
        assert!(store.iter().map(|(k, v)| (text(k), text(v))).eq(before));
        let held =
            vec![Condition::Is(text("x"), Some(text("five"))), Condition::AtLeast(text("z"), 0)];
        assert_eq!(apply(&mut store, held, vec![write()]), results(&[None]));
    }

    #[test]
    fn conditions_are_about_the_state_before() {
        let mut store = Store::default();
        let absent = vec![Condition::Is(text("x"), None)];
        let ops = vec![Micro::Write(text("x"), text("1"))];
        assert_eq!(apply(&mut store, absent.clone(), ops.clone()), results(&[None]));
        assert_eq!(apply(&mut store, absent, ops), Outcome::Mismatch { current: Some(text("1")) });
    }

    #[test]
    fn words_are_words_and_no_transaction_is_endless() {
        let txn = |ops| Txn { conditions: vec![], ops };
        for wrong in ["", " ", "a b", "a\n"] {
            assert!(txn(vec![Micro::Append(text("x"), text(wrong))]).check().is_err(), "{wrong:?}");
        }
        assert_eq!(txn(vec![Micro::Append(text("x"), text("ü"))]).check(), Ok(()));
        let many = |count| txn((0..count).map(|_| Micro::Read(text("x"))).collect());
        assert!(many(MOST_PARTS).check().is_ok() && many(MOST_PARTS + 1).check().is_err());
        assert!(many(2).is_read_only());
        assert!(!txn(vec![Micro::Take(text("x"))]).is_read_only());
    }

    #[test]
    fn a_list_of_a_thousand_words_is_built_one_by_one() {
        let mut store = Store::default();
        for number in 0..1000 {
            apply(&mut store, vec![], vec![Micro::Append(text("x"), number.to_string())]);
        }
        let words: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
        assert_eq!(store.get("x"), Some(words.join(" ").as_str()));
    }
}
