//! Finds a read of a counter outside its bounds.
//!
//! An addition that is open when a read completes counts as possible. If it fails later, the bounds
//! of that read become narrower, so reads are remembered as long as such an addition is open.

use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, VecDeque};

use super::super::counter_bounds::{CounterEffect, SplitSums, bounds, classify_op};
use super::super::op::Op;
use super::OnlineObject;

/// The sums so far, and what is open.
#[derive(Default)]
pub(crate) struct OnlineCounter {
    asked: SplitSums,
    done: SplitSums,
    /// The open additions, by the index of their invocation.
    adds: BTreeMap<u64, i128>,
    /// The acknowledged sums when each open read began.
    reads: FxHashMap<u64, SplitSums>,
    /// Reads during which an open addition may have taken effect, in order of completion.
    recent: VecDeque<BoundedRead>,
}

struct BoundedRead {
    end: u64,
    value: i128,
    bounds: (i128, i128),
    description: String,
}

impl BoundedRead {
    fn violation(&self) -> Option<String> {
        let (least, most) = self.bounds;
        (!(least..=most).contains(&self.value)).then(|| {
            let Self { value, description, .. } = self;
            format!("{description} returned {value}, outside the possible range {least} to {most}")
        })
    }
}

impl OnlineCounter {
    /// Narrows the bounds of the reads during which an addition that failed was open.
    fn withdraw(&mut self, op: &Op<'_>, amount: i128) -> Option<String> {
        self.asked.add_or_remove(amount, false);
        let mut found = None;
        for read in self.recent.iter_mut().rev().take_while(|read| read.end > op.begin) {
            if amount > 0 {
                read.bounds.1 -= amount;
            } else {
                read.bounds.0 -= amount;
            }
            found = read.violation().or(found);
        }
        found
    }

    /// Forgets the reads that completed before every open addition began.
    fn forget_reads(&mut self) {
        let oldest = self.adds.keys().next().copied().unwrap_or(u64::MAX);
        while self.recent.pop_front_if(|read| read.end < oldest).is_some() {}
    }
}

impl OnlineObject for OnlineCounter {
    fn begin(&mut self, op: &Op<'_>) -> Result<(), String> {
        match classify_op(op)? {
            CounterEffect::Add(amount) => {
                self.asked.add_or_remove(amount, true);
                self.adds.insert(op.begin, amount);
            }
            CounterEffect::Read(_) | CounterEffect::Nothing => {
                self.reads.insert(op.begin, self.done);
            }
        }
        Ok(())
    }

    fn end(&mut self, op: &Op<'_>) -> Result<Option<String>, String> {
        let effect = classify_op(op)?;
        let found = if let Some(amount) = self.adds.remove(&op.begin) {
            if op.output.is_some() {
                self.done.add_or_remove(amount, true);
            }
            if op.may_have_happened() { None } else { self.withdraw(op, amount) }
        } else if let (Some(done), CounterEffect::Read(value)) =
            (self.reads.remove(&op.begin), effect)
        {
            let bounds = bounds(done, self.asked);
            let read = BoundedRead { end: op.end, value, bounds, description: op.describe() };
            let found = read.violation();
            self.recent.push_back(read);
            found
        } else {
            None
        };
        self.forget_reads();
        Ok(found)
    }

    fn held_bytes(&self) -> usize {
        self.recent.len() * (size_of::<BoundedRead>() + 40)
            + (self.adds.len() + self.reads.len()) * 64
    }
}
