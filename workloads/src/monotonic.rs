//! Increments several counters and reads all of them at once: no counter ever decreases, and all
//! reads agree on one order.

use crate::call::Call;
use crate::combinator::{each_until_ok, mix};
use crate::generator::repeat_with;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// The number of counters.
const COUNTERS: u64 = 4;

/// Monotonic counters.
pub(crate) struct Monotonic;

impl Workload for Monotonic {
    fn name(&self) -> &'static str {
        "monotonic"
    }

    fn doc(&self) -> &'static str {
        "increments counters and reads all of them at once; judged by whether any read goes back"
    }

    fn object(&self) -> Object {
        Object::Counters
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["inc", "read"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["monotonic"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        let mut choices = rng.fork("keys");
        let increments =
            repeat_with(move |_| Call::Increment { key: counter_name(choices.below(COUNTERS)) });
        let reads = || {
            repeat_with(|_| Call::ReadCounters { keys: (0..COUNTERS).map(counter_name).collect() })
        };
        Traffic {
            main: mix(rng.fork("mix"), vec![(1, increments), (1, reads())]),
            recovery: Box::new(move || {
                each_until_ok([repeat_with(|_| Call::Increment { key: counter_name(0) }), reads()])
            }),
            final_reads: Box::new(move || each_until_ok([reads()])),
        }
    }
}

fn counter_name(number: u64) -> String {
    format!("c{number}")
}
