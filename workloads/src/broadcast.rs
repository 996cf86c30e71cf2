//! Broadcasts unique messages through single replicas and expects every replica to deliver them
//! all.

use crate::call::Call;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::rng::Rng;
use crate::set_traffic::set_traffic;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// Broadcast messages.
pub(crate) struct Broadcast;

impl Workload for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }

    fn doc(&self) -> &'static str {
        "broadcasts messages through single replicas; judged by whether every replica delivered \
         all of them in the end (Maelstrom's broadcast)"
    }

    fn object(&self) -> Object {
        Object::Broadcast
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["broadcast", "read"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["eventual-set"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        set_traffic(&rng, |message| Call::Broadcast { message }, Call::ReadMessages)
    }
}
