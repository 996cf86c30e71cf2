//! Finds two reads of a group of keys that observed two writes in opposite orders.
//!
//! As long as there are none, the sets of writes that reads observed form a chain, so a group has
//! at most one set more than keys.

use rustc_hash::FxHashMap;

use super::super::long_fork::{ForkTxn, parse_fork_txn};
use super::super::op::Op;
use super::OnlineObject;
use crate::history::Value;

/// For each group of keys: which of them each read observed as written, and one such read.
#[derive(Default)]
pub(crate) struct OnlineForks {
    groups: FxHashMap<Vec<Value>, Vec<(Vec<bool>, u64)>>,
    held: usize,
}

impl OnlineObject for OnlineForks {
    fn begin(&mut self, _: &Op<'_>) -> Result<(), String> {
        Ok(())
    }

    fn end(&mut self, op: &Op<'_>) -> Result<Option<String>, String> {
        let ForkTxn::Reads(values) = parse_fork_txn(op)? else { return Ok(None) };
        if op.output.is_none() {
            return Ok(None);
        }
        let keys: Vec<Value> = values.keys().copied().cloned().collect();
        let observed: Vec<bool> = values.values().map(|value| **value != Value::Nil).collect();
        let size = keys.iter().map(Value::approximate_bytes).sum::<usize>() + keys.len() + 32;
        let group = self.groups.entry(keys).or_default();
        if group.iter().any(|(known, _)| *known == observed) {
            return Ok(None);
        }
        let misses =
            |one: &[bool], other: &[bool]| one.iter().zip(other).any(|(it, by)| *it && !by);
        let fork =
            group.iter().find(|(known, _)| misses(known, &observed) && misses(&observed, known));
        let found = fork.map(|(_, index)| {
            format!(
                "long fork: {} and the read at index {index} each observed a write that the other \
                 missed",
                op.describe()
            )
        });
        group.push((observed, op.begin));
        self.held += size;
        Ok(found)
    }

    fn held_bytes(&self) -> usize {
        self.held
    }
}
