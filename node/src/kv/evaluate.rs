//! Evaluates transactions against the store.

use super::store::Store;
use super::txn::{Changes, Condition, MicroOp, Results, Txn};
use alloc::{borrow::ToOwned, format, string::String};

impl Txn {
    /// Returns the results and changes in this state; or the value that made a condition or an
    /// addition fail.
    pub fn evaluate_on(&self, store: &Store) -> Result<(Results, Changes), Option<String>> {
        for condition in &self.conditions {
            condition.check_on(store)?;
        }
        let mut overlay = Overlay { store, changes: Changes::new() };
        let results = self.ops.iter().map(|op| overlay.run_op(op)).collect::<Result<_, _>>()?;
        Ok((results, overlay.changes))
    }
}

impl Condition {
    fn check_on(&self, store: &Store) -> Result<(), Option<String>> {
        let (found, holds) = match self {
            Self::Is(key, value) => (store.get(key), store.get(key) == value.as_deref()),
            Self::AtLeast(key, least) => {
                let found = store.get(key);
                (found, parse_number(found).is_some_and(|found| found >= *least))
            }
        };
        if holds { Ok(()) } else { Err(found.map(ToOwned::to_owned)) }
    }
}

/// Parses a value as a number; an absent key is 0.
fn parse_number(value: Option<&str>) -> Option<i64> {
    value.map_or(Some(0), |text| text.parse().ok())
}

/// The store with the transaction's own changes so far.
struct Overlay<'s> {
    store: &'s Store,
    changes: Changes,
}

impl Overlay<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match self.changes.get(key) {
            Some(changed) => changed.as_deref(),
            None => self.store.get(key),
        }
    }

    fn set(&mut self, key: &str, value: Option<String>) {
        self.changes.insert(key.to_owned(), value);
    }

    fn run_op(&mut self, op: &MicroOp) -> Result<Option<String>, Option<String>> {
        match op {
            MicroOp::Read(key) => return Ok(self.get(key).map(ToOwned::to_owned)),
            MicroOp::Write(key, value) => self.set(key, Some(value.clone())),
            MicroOp::Append(key, word) => self.append_word(key, word),
            MicroOp::Take(key) => return Ok(self.take_first(key)),
            MicroOp::Add(key, more) => return self.add_number(key, *more).map(Some),
            MicroOp::Delete(key) => self.set(key, None),
        }
        Ok(None)
    }

    fn append_word(&mut self, key: &str, word: &str) {
        let longer = match self.get(key) {
            Some(list) if !list.is_empty() => format!("{list} {word}"),
            _ => word.to_owned(),
        };
        self.set(key, Some(longer));
    }

    fn take_first(&mut self, key: &str) -> Option<String> {
        let list = self.get(key).filter(|list| !list.is_empty())?;
        let (first, rest) = list.split_once(' ').unwrap_or((list, ""));
        let (first, rest) = (first.to_owned(), rest.to_owned());
        self.set(key, Some(rest));
        Some(first)
    }

    fn add_number(&mut self, key: &str, more: i64) -> Result<String, Option<String>> {
        let found = self.get(key);
        let sum = parse_number(found).and_then(|held| held.checked_add(more));
        let sum = sum.ok_or_else(|| found.map(ToOwned::to_owned))?;
        let sum = format!("{sum}");
        self.set(key, Some(sum.clone()));
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kv::command::Command;
    use crate::kv::outcome::Outcome;
    use crate::kv::txn::MAX_TXN_OPS;

    fn text(text: &str) -> String {
        text.to_owned()
    }

    fn apply_txn(store: &mut Store, conditions: Vec<Condition>, ops: Vec<MicroOp>) -> Outcome {
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
            MicroOp::Read(text("x")),
            MicroOp::Write(text("x"), text("1")),
            MicroOp::Read(text("x")),
            MicroOp::Add(text("x"), 41),
            MicroOp::Delete(text("x")),
            MicroOp::Read(text("x")),
        ];
        let outcome = apply_txn(&mut store, vec![], ops);
        assert_eq!(outcome, results(&[None, None, Some("1"), Some("42"), None, None]));
        assert_eq!((store.iter().count(), store.applied()), (0, 1));
    }

    #[test]
    fn lists_append_at_the_end_and_take_from_the_front() {
        let mut store = Store::default();
        let append = |word| MicroOp::Append(text("q"), text(word));
        let take = || MicroOp::Take(text("q"));
        apply_txn(&mut store, vec![], vec![append("a"), append("b")]);
        assert_eq!(store.get("q"), Some("a b"));
        let outcome =
            apply_txn(&mut store, vec![], vec![take(), append("c"), take(), take(), take()]);
        assert_eq!(outcome, results(&[Some("a"), None, Some("b"), Some("c"), None]));
        apply_txn(&mut store, vec![], vec![append("d")]);
        assert_eq!(store.get("q"), Some("d"));
    }

    #[test]
    fn a_failed_transaction_changes_nothing_and_returns_the_current_value() {
        let mut store = Store::default();
        apply_txn(&mut store, vec![], vec![MicroOp::Write(text("x"), text("five"))]);
        let before: Vec<_> = store.iter().map(|(k, v)| (text(k), text(v))).collect();
        let write = || MicroOp::Write(text("y"), text("1"));
        let found = || Outcome::Mismatch { current: Some(text("five")) };
        for (conditions, ops) in [
            (vec![Condition::Is(text("x"), None)], vec![write()]),
            (vec![Condition::Is(text("x"), Some(text("six")))], vec![write()]),
            (vec![Condition::AtLeast(text("x"), 0)], vec![write()]),
            (vec![], vec![write(), MicroOp::Add(text("x"), 1)]),
        ] {
            assert_eq!(apply_txn(&mut store, conditions, ops), found());
        }
        let poor = vec![Condition::AtLeast(text("z"), 1)];
        assert_eq!(apply_txn(&mut store, poor, vec![write()]), Outcome::Mismatch { current: None });
        let full = vec![MicroOp::Add(text("z"), i64::MAX), MicroOp::Add(text("z"), 1)];
        let sum = Some(i64::MAX.to_string());
        assert_eq!(apply_txn(&mut store, vec![], full), Outcome::Mismatch { current: sum });
        assert!(store.iter().map(|(k, v)| (text(k), text(v))).eq(before));
        let held =
            vec![Condition::Is(text("x"), Some(text("five"))), Condition::AtLeast(text("z"), 0)];
        assert_eq!(apply_txn(&mut store, held, vec![write()]), results(&[None]));
    }

    #[test]
    fn conditions_apply_to_the_state_before() {
        let mut store = Store::default();
        let absent = vec![Condition::Is(text("x"), None)];
        let ops = vec![MicroOp::Write(text("x"), text("1"))];
        assert_eq!(apply_txn(&mut store, absent.clone(), ops.clone()), results(&[None]));
        assert_eq!(
            apply_txn(&mut store, absent, ops),
            Outcome::Mismatch { current: Some(text("1")) }
        );
    }

    #[test]
    fn validation_rejects_invalid_words_and_too_many_operations() {
        let txn = |ops| Txn { conditions: vec![], ops };
        for wrong in ["", " ", "a b", "a\n"] {
            assert!(
                txn(vec![MicroOp::Append(text("x"), text(wrong))]).validate().is_err(),
                "{wrong:?}"
            );
        }
        assert_eq!(txn(vec![MicroOp::Append(text("x"), text("ü"))]).validate(), Ok(()));
        let many = |count| txn((0..count).map(|_| MicroOp::Read(text("x"))).collect());
        assert!(many(MAX_TXN_OPS).validate().is_ok() && many(MAX_TXN_OPS + 1).validate().is_err());
        assert!(many(2).is_read_only());
        assert!(!txn(vec![MicroOp::Take(text("x"))]).is_read_only());
    }

    #[test]
    fn a_list_grows_to_a_thousand_words() {
        let mut store = Store::default();
        for number in 0..1000 {
            apply_txn(&mut store, vec![], vec![MicroOp::Append(text("x"), number.to_string())]);
        }
        let words: Vec<_> = (0..1000).map(|number| number.to_string()).collect();
        assert_eq!(store.get("x"), Some(words.join(" ").as_str()));
    }
}
