//! Builds traffic that adds unique elements to a set and reads it until every replica converges.
//!
//! A read of the whole set costs time proportional to its size, so reads are spread over time.

use crate::call::Call;
use crate::combinator::{each_until_ok, mix, stagger};
use crate::generator::{BoxGenerator, Context, Generator, Next, repeat_with};
use crate::read_until_converged::read_until_converged;
use crate::reply::{Outcome, Reply};
use crate::rng::Rng;
use crate::sequence::Sequence;
use crate::workload::Traffic;
use checker::history::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The average time between reads, in nanoseconds.
const READ_INTERVAL: u64 = 100_000_000;

/// Adds elements and reads the set from time to time. The final reads of a replica repeat until it
/// returns every element that was acknowledged or that another replica returned in a final read.
pub(crate) fn set_traffic(rng: &Rng, add: fn(i64) -> Call, read: Call) -> Traffic {
    let (elements, present) = (Sequence::default(), PresentElements::default());
    let acknowledged = present.clone();
    let adds = move || {
        let elements = elements.clone();
        acknowledged.record_acks_of(repeat_with(move |_| add(elements.next_number())))
    };
    let reads = |read: &Call| {
        let read = read.clone();
        repeat_with(move |_| read.clone())
    };
    let main_reads = stagger(rng.fork("stagger"), READ_INTERVAL, reads(&read));
    let recovery_read = read.clone();
    Traffic {
        main: mix(rng.fork("mix"), vec![(4, adds()), (1, main_reads)]),
        recovery: Box::new(move || each_until_ok([adds(), reads(&recovery_read)])),
        final_reads: Box::new(move || {
            let present = present.clone();
            read_until_converged(read.clone(), move |set| {
                present.record_present(list_integers(set));
                present.is_subset_of(set)
            })
        }),
    }
}

/// The elements that are certainly in the set: acknowledged, or returned by a final read. Clones
/// share them.
#[derive(Clone, Default)]
struct PresentElements(Arc<Mutex<BTreeSet<i64>>>);

impl PresentElements {
    /// Wraps a generator and records the elements whose addition is acknowledged.
    fn record_acks_of(&self, part: BoxGenerator) -> BoxGenerator {
        Box::new(AckRecorder { part, present: self.clone() })
    }

    fn record_present(&self, elements: impl IntoIterator<Item = i64>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(elements);
    }

    fn is_subset_of(&self, set: &Value) -> bool {
        let Value::List(_) = set else { return false };
        let set: BTreeSet<i64> = list_integers(set).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_subset(&set)
    }
}

/// The integers in a list.
fn list_integers(list: &Value) -> impl Iterator<Item = i64> + '_ {
    let items = if let Value::List(items) = list { &items[..] } else { &[] };
    items.iter().filter_map(|item| if let Value::Int(number) = item { Some(*number) } else { None })
}

struct AckRecorder {
    part: BoxGenerator,
    present: PresentElements,
}

impl Generator for AckRecorder {
    fn next_call(&mut self, context: &Context) -> Next {
        self.part.next_call(context)
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        if let (Call::Broadcast { message: element } | Call::Insert { element }, Outcome::Ok) =
            (call, reply.outcome)
        {
            self.present.record_present([*element]);
        }
        self.part.observe_reply(thread, call, reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn final_reads_wait_for_elements_that_another_replica_returned() {
        let mut traffic =
            set_traffic(&Rng::new(1), |element| Call::Insert { element }, Call::ReadSet);
        let list = |all: &[i64]| {
            Reply::returned(all.iter().copied().map(Value::Int).collect::<Vec<_>>().into())
        };
        let (mut one, mut other) = ((traffic.final_reads)(), (traffic.final_reads)());
        let reads = |part: &mut BoxGenerator, time| {
            part.next_call(&Context { thread: 0, time }) == Next::Call(Call::ReadSet)
        };
        assert!(reads(&mut one, 0) && reads(&mut other, 0));
        one.observe_reply(0, &Call::ReadSet, &list(&[7]));
        other.observe_reply(0, &Call::ReadSet, &list(&[]));
        assert!(reads(&mut other, 1_000_000_000), "7 was never acknowledged, but it is present");
        other.observe_reply(0, &Call::ReadSet, &list(&[7]));
        let end = Context { thread: 0, time: 2_000_000_000 };
        assert!(one.next_call(&end) == Next::Done && other.next_call(&end) == Next::Done);
    }
}
