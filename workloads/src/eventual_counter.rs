//! Adds to a counter and expects every replica to converge to the sum: grow-only (G-counter) and
//! with decrements (PN-counter).

use crate::call::Call;
use crate::combinator::{each_until_ok, mix};
use crate::generator::{BoxGenerator, Context, Generator, Next, repeat_with};
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::read_until_converged::read_until_converged;
use crate::reply::{Outcome, Reply};
use crate::rng::Rng;
use crate::workload::{Traffic, TrafficConfig, Workload};
use checker::history::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Amounts are below this; those of a PN-counter are at least its negative.
const AMOUNT_LIMIT: i64 = 5;

/// A counter and the range of amounts added to it.
pub(crate) struct EventualCounter {
    name: &'static str,
    doc: &'static str,
    /// The least amount.
    min_amount: i64,
}

/// A grow-only counter.
pub(crate) const G_COUNTER: EventualCounter = EventualCounter {
    name: "g-counter",
    doc: "adds to a grow-only counter; judged by the sum that every replica returns in the end \
          (Maelstrom's g-counter)",
    min_amount: 0,
};

/// A counter with increments and decrements.
pub(crate) const PN_COUNTER: EventualCounter = EventualCounter {
    name: "pn-counter",
    doc: "adds to a counter and subtracts from it; judged by the sum that every replica returns in \
          the end (Maelstrom's pn-counter)",
    min_amount: -AMOUNT_LIMIT,
};

impl Workload for EventualCounter {
    fn name(&self) -> &'static str {
        self.name
    }

    fn doc(&self) -> &'static str {
        self.doc
    }

    fn object(&self) -> Object {
        Object::Counters
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["eventual-counter"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        counter_traffic(&rng, self.min_amount)
    }
}

/// The acknowledged sum, and the indeterminate negative and positive sums. Clones share them.
#[derive(Clone, Default)]
struct PossibleSums(Arc<[AtomicI64; 3]>);

impl PossibleSums {
    fn record_add(&self, amount: i64, outcome: Outcome) {
        let slot = match outcome {
            Outcome::Ok => 0,
            Outcome::Fail => return,
            Outcome::Info => 1 + usize::from(amount > 0),
        };
        self.0[slot].fetch_add(amount, Ordering::Relaxed);
    }

    /// Whether the value can be the sum of all additions.
    fn contains(&self, read: &Value) -> bool {
        let [certain, below, above] = [0, 1, 2].map(|slot| self.0[slot].load(Ordering::Relaxed));
        matches!(read, Value::Int(sum) if (certain + below..=certain + above).contains(sum))
    }

    /// Wraps a generator and records its additions.
    fn record_adds_of(&self, part: BoxGenerator) -> BoxGenerator {
        Box::new(AddRecorder { part, sums: self.clone() })
    }
}

fn counter_traffic(rng: &Rng, min_amount: i64) -> Traffic {
    let sums = PossibleSums::default();
    let recorder = sums.clone();
    let mut amounts = rng.fork("amounts");
    let width = AMOUNT_LIMIT.abs_diff(min_amount);
    let adds = repeat_with(move |_| Call::Add {
        amount: min_amount.saturating_add_unsigned(amounts.below(width)),
    });
    let reads = || repeat_with(|_| Call::ReadCounter);
    Traffic {
        main: recorder.record_adds_of(mix(rng.fork("mix"), vec![(1, adds), (1, reads())])),
        recovery: Box::new(move || {
            recorder
                .record_adds_of(each_until_ok([repeat_with(|_| Call::Add { amount: 1 }), reads()]))
        }),
        final_reads: Box::new(move || {
            let sums = sums.clone();
            read_until_converged(Call::ReadCounter, move |read| sums.contains(read))
        }),
    }
}

struct AddRecorder {
    part: BoxGenerator,
    sums: PossibleSums,
}

impl Generator for AddRecorder {
    fn next_call(&mut self, context: &Context) -> Next {
        self.part.next_call(context)
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        if let Call::Add { amount } = call {
            self.sums.record_add(*amount, reply.outcome);
        }
        self.part.observe_reply(thread, call, reply);
    }
}
