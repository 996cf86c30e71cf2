//! Counts up several counters and reads all of them at once: none ever goes down, and no two reads disagree on
//! which came first.

use crate::generator::{calls, mix};
use crate::{Call, Freshness, Object, Rng, Scene, Traffic, Workload, each_until_ok};

/// How many counters there are.
const COUNTERS: u64 = 4;

/// Counters that only grow.
pub(crate) struct Monotonic;

impl Workload for Monotonic {
    fn name(&self) -> &'static str {
        "monotonic"
    }

    fn doc(&self) -> &'static str {
        "counts up and reads several counters at once; judged by whether any read goes back"
    }

    fn object(&self) -> Object {
        Object::Counters
    }

    fn functions(&self) -> &'static [&'static str] {
        &["inc", "read"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["monotonic"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        let mut choices = rng.fork("keys");
        let increments = calls(move |_| Call::Increment { key: key(choices.below(COUNTERS)) });
        let reads = || calls(|_| Call::Sums { keys: (0..COUNTERS).map(key).collect() });
        Traffic {
            main: mix(rng.fork("mix"), vec![(1, increments), (1, reads())]),
            recovery: Box::new(move || {
                each_until_ok([calls(|_| Call::Increment { key: key(0) }), reads()])
            }),
            finale: Box::new(move || each_until_ok([reads()])),
        }
    }
}

fn key(number: u64) -> String {
    format!("c{number}")
}
