//! Adds to a counter and reads it: a read lies between the sums of the acknowledged and of all
//! attempted additions.
//!
//! Amounts are positive, so that an indeterminate addition can never hide a lost one below the
//! lower bound.

use crate::call::Call;
use crate::combinator::{each_until_ok, mix};
use crate::generator::repeat_with;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// The largest amount of an addition.
const MAX_AMOUNT: u64 = 5;

/// A counter.
pub(crate) struct Counter;

impl Workload for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    fn doc(&self) -> &'static str {
        "adds to a counter and reads it; judged by the bounds that acknowledged and attempted \
         additions set"
    }

    fn object(&self) -> Object {
        Object::Counters
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["counter-bounds"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        let mut amounts = rng.fork("amounts");
        let adds = repeat_with(move |_| Call::Add {
            amount: amounts.between(1, MAX_AMOUNT + 1).cast_signed(),
        });
        let sums = || repeat_with(|_| Call::ReadCounter);
        Traffic {
            main: mix(rng.fork("mix"), vec![(1, adds), (1, sums())]),
            recovery: Box::new(move || {
                each_until_ok([repeat_with(|_| Call::Add { amount: 1 }), sums()])
            }),
            final_reads: Box::new(move || each_until_ok([sums()])),
        }
    }
}
