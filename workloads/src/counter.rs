//! Adds to a number and reads it: a read lies between what was certainly and what was possibly added.
//!
//! Amounts are positive, so that what was lost can only make up for what is unknown by falling below the bound.

use crate::generator::{calls, mix};
use crate::{Call, Freshness, Object, Rng, Scene, Traffic, Workload, each_until_ok};

/// The most that is added at once.
const LARGEST: u64 = 5;

/// A counter.
pub(crate) struct Counter;

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn doc(&self) -> &'static str {
        "adds to a number and reads it; judged by the bounds of what can have been added"
    }

    fn object(&self) -> Object {
        Object::Counters
    }

    fn functions(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["counter-bounds"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        let mut amounts = rng.fork("amounts");
        let adds =
            calls(move |_| Call::Add { amount: amounts.between(1, LARGEST + 1).cast_signed() });
        let sums = || calls(|_| Call::Sum);
        Traffic {
            main: mix(rng.fork("mix"), vec![(1, adds), (1, sums())]),
            recovery: Box::new(move || each_until_ok([calls(|_| Call::Add { amount: 1 }), sums()])),
            finale: Box::new(move || each_until_ok([sums()])),
        }
    }
}
