//! Adds to a number and expects every replica to tell the sum in the end: one that only grows, and one that does not.

use crate::generator::{Any, Generator, Next, Turn, calls, mix};
use crate::settle::settle;
use crate::{
    Call, Freshness, Object, Outcome, Reply, Rng, Scene, Traffic, Workload, each_until_ok,
};
use checker::history::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// What is added is below this, and for a number that also shrinks not below its negative.
const LIMIT: i64 = 5;

/// A number, and what may be added to it.
pub(crate) struct EventualCounter {
    name: &'static str,
    doc: &'static str,
    /// The least that is added.
    least: i64,
}

/// A number that only grows.
pub(crate) const G_COUNTER: EventualCounter = EventualCounter {
    name: "g-counter",
    doc: "adds to a number that only grows; judged by the sum that every replica tells in the end (Maelstrom's g-counter)",
    least: 0,
};

/// A number that grows and shrinks.
pub(crate) const PN_COUNTER: EventualCounter = EventualCounter {
    name: "pn-counter",
    doc: "adds to a number and takes from it; judged by the sum that every replica tells in the end (Maelstrom's pn-counter)",
    least: -LIMIT,
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

    fn functions(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["eventual-counter"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        traffic(&rng, self.least)
    }
}

/// What was added for sure, and what may have been: below zero and above. Clones share it.
#[derive(Clone, Default)]
struct Sums(Arc<[AtomicI64; 3]>);

impl Sums {
    fn note(&self, amount: i64, outcome: Outcome) {
        let place = match outcome {
            Outcome::Ok => 0,
            Outcome::Fail => return,
            Outcome::Info => 1 + usize::from(amount > 0),
        };
        self.0[place].fetch_add(amount, Ordering::Relaxed);
    }

    /// Whether a read may be of everything.
    fn explain(&self, told: &Value) -> bool {
        let [certain, below, above] = [0, 1, 2].map(|it| self.0[it].load(Ordering::Relaxed));
        matches!(told, Value::Int(sum) if (certain + below..=certain + above).contains(sum))
    }
}

fn traffic(rng: &Rng, least: i64) -> Traffic {
    let sums = Sums::default();
    let noted = sums.clone();
    let mut amounts = rng.fork("amounts");
    let width = LIMIT.abs_diff(least);
    let adds =
        calls(move |_| Call::Add { amount: least.saturating_add_unsigned(amounts.below(width)) });
    let reads = || calls(|_| Call::Sum);
    Traffic {
        main: noted.by(mix(rng.fork("mix"), vec![(1, adds), (1, reads())])),
        recovery: Box::new(move || {
            noted.by(each_until_ok([calls(|_| Call::Add { amount: 1 }), reads()]))
        }),
        finale: Box::new(move || {
            let sums = sums.clone();
            settle(Call::Sum, move |told| sums.explain(told))
        }),
    }
}

impl Sums {
    /// The part, overheard.
    fn by(&self, part: Any) -> Any {
        Box::new(Overheard { part, sums: self.clone() })
    }
}

struct Overheard {
    part: Any,
    sums: Sums,
}

impl Generator for Overheard {
    fn next(&mut self, turn: &Turn) -> Next {
        self.part.next(turn)
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        if let Call::Add { amount } = call {
            self.sums.note(*amount, reply.outcome);
        }
        self.part.observe(thread, call, reply);
    }
}
