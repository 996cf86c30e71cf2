//! Finds a lock with two certain holders, and a fencing token that does not grow.
//!
//! At most one hold can last at a time. Only where two operations of one holder overlap may a
//! completion change which release ends which hold; from then on, the whole lock is checked again
//! at each acquire.

use rustc_hash::{FxHashMap, FxHashSet};

use super::super::fenced_lock::{certain_holds, has_two_holders, holder_of, token_of};
use super::super::op::{ObjectOps, Op};
use super::OnlineObject;
use crate::history::{Operation, Value};

type Holder = (Option<Value>, u64);

/// A lock so far.
#[derive(Default)]
pub(crate) struct OnlineLock {
    /// The granted acquires and the releases, without the key of the lock.
    operations: Vec<Operation>,
    /// The holder that lasts, and the index of its acquire.
    held_by: Option<(Holder, u64)>,
    /// The last release that each holder invoked.
    released: FxHashMap<Holder, u64>,
    /// Whether operations of one holder overlapped.
    ambiguous: bool,
    tokens: FxHashSet<i64>,
    /// The highest token so far.
    highest: Option<i64>,
    /// The highest token when each open acquire began.
    open: FxHashMap<u64, Option<i64>>,
    held: usize,
}

impl OnlineLock {
    fn remember(&mut self, op: &Op<'_>) {
        let operation = Operation { input: op.input.clone(), ..op.operation.clone() };
        self.held += size_of::<Operation>() + 2 * op.input.approximate_bytes();
        self.operations.push(operation);
    }

    /// Checks a granted acquire against the hold that lasts.
    fn check_holders(&mut self, op: &Op<'_>) -> Result<Option<String>, String> {
        let holder = own_holder(op);
        self.ambiguous |= self.released.get(&holder).is_some_and(|release| *release > op.begin);
        if self.ambiguous {
            return self.check_again(op);
        }
        let new = (holder, op.begin);
        Ok(self.held_by.replace(new).map(|(_, index)| {
            format!(
                "{} was granted at index {} while the acquire at index {index} held the lock",
                op.describe(),
                op.end
            )
        }))
    }

    /// Checks every operation on the lock.
    fn check_again(&self, op: &Op<'_>) -> Result<Option<String>, String> {
        let mut ops: Vec<_> = self.operations.iter().map(Op::new).collect();
        ops.sort_by_key(|op| op.begin);
        let object = ObjectOps { key: None, ops };
        let two = has_two_holders(&certain_holds(&object)?);
        Ok(two.then(|| format!("the lock had two holders when {} was granted", op.describe())))
    }

    fn check_token(&mut self, op: &Op<'_>, before: Option<i64>) -> Result<Option<String>, String> {
        let Some(token) = token_of(op)? else { return Ok(None) };
        let reused = !self.tokens.insert(token);
        self.highest = self.highest.max(Some(token));
        Ok(match before {
            _ if reused => {
                Some(format!("{} was granted with token {token}, as before", op.describe()))
            }
            Some(high) if high > token => Some(format!(
                "{} was granted with token {token} after one with token {high} had been granted",
                op.describe()
            )),
            _ => None,
        })
    }
}

fn own_holder(op: &Op<'_>) -> Holder {
    let (name, process) = holder_of(op);
    (name.cloned(), process)
}

impl OnlineObject for OnlineLock {
    fn begin(&mut self, op: &Op<'_>) -> Result<(), String> {
        match op.f {
            "acquire" => drop(self.open.insert(op.begin, self.highest)),
            "release" => {
                let holder = own_holder(op);
                self.held_by.take_if(|(held_by, _)| *held_by == holder);
                self.released.insert(holder, op.begin);
                self.remember(op);
            }
            _ => return Err(op.unknown_function("acquire, release")),
        }
        Ok(())
    }

    fn end(&mut self, op: &Op<'_>) -> Result<Option<String>, String> {
        let before = self.open.remove(&op.begin).flatten();
        if op.f != "acquire" || op.output.is_none() {
            return Ok(None);
        }
        self.remember(op);
        let wrong_token = self.check_token(op, before)?;
        Ok(self.check_holders(op)?.or(wrong_token))
    }

    fn held_bytes(&self) -> usize {
        self.held
    }
}
