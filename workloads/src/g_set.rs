//! Adds elements to a grow-only set and expects every replica to converge to all of them.

use crate::call::Call;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::set_traffic::set_traffic;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// A grow-only set.
pub(crate) struct GSet;

impl Workload for GSet {
    fn name(&self) -> &'static str {
        "g-set"
    }

    fn doc(&self) -> &'static str {
        "adds elements to a grow-only set; judged by whether every replica returns all of them in \
         the end (Maelstrom's g-set)"
    }

    fn object(&self) -> Object {
        Object::Set
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["eventual-set"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        set_traffic(&rng, |element| Call::Insert { element }, Call::ReadSet)
    }
}
