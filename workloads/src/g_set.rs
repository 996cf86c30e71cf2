//! Adds elements to a set that only grows and expects every replica to show all of it in the end.

use crate::broadcast::spread;
use crate::{Call, Freshness, Object, Rng, Scene, Traffic, Workload};

/// A set that only grows.
pub(crate) struct GSet;

impl Workload for GSet {
    fn name(&self) -> &'static str {
        "g-set"
    }

    fn doc(&self) -> &'static str {
        "adds elements to a set that only grows; judged by whether every replica shows each in the end (Maelstrom's g-set)"
    }

    fn object(&self) -> Object {
        Object::Set
    }

    fn functions(&self) -> &'static [&'static str] {
        &["add", "read"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["eventual-set"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        spread(&rng, |element| Call::Insert { element }, Call::Elements)
    }
}
