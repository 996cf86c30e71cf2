//! Adds elements to a set and reads all of it now and then: what was acknowledged stays.
//!
//! Every element is new. Reads cost as much as there are elements, so they are spread over time.

use crate::generator::{calls, mix, stagger};
use crate::keys::Fresh;
use crate::{Call, Freshness, Object, Rng, Scene, Traffic, Workload, each_until_ok};

/// The average time between reads, in nanoseconds.
const READS_APART: u64 = 100_000_000;

/// A set.
pub(crate) struct Set;

impl Workload for Set {
    fn name(&self) -> &'static str {
        "set"
    }

    fn doc(&self) -> &'static str {
        "adds elements to a set and reads all of it now and then; judged by what is lost, late or from nowhere"
    }

    fn object(&self) -> Object {
        Object::Set
    }

    fn functions(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn checks(&self, freshness: Freshness) -> &'static [&'static str] {
        match freshness {
            Freshness::Linearizable | Freshness::Lease => &["set-full-linearizable"],
            Freshness::Stale | Freshness::After => &["set-full"],
        }
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        let fresh = Fresh::default();
        let inserts = move || {
            let fresh = fresh.clone();
            calls(move |_| Call::Insert { element: fresh.next() })
        };
        let reads = || calls(|_| Call::Elements);
        let spread = stagger(rng.fork("stagger"), READS_APART, reads());
        Traffic {
            main: mix(rng.fork("mix"), vec![(4, inserts()), (1, spread)]),
            recovery: Box::new(move || each_until_ok([inserts(), reads()])),
            finale: Box::new(move || each_until_ok([reads()])),
        }
    }
}
