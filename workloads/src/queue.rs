//! Enqueues and dequeues values: each value is delivered to one client, and none is lost.
//!
//! Every value is unique. The final phase dequeues through each replica until the queue is empty.

use crate::call::Call;
use crate::combinator::{each_until_ok, mix, until};
use crate::generator::repeat_with;
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::reply::Reply;
use crate::rng::Rng;
use crate::sequence::Sequence;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// A queue.
pub(crate) struct Queue;

impl Workload for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn doc(&self) -> &'static str {
        "enqueues and dequeues values; judged by lost, duplicated and never-enqueued values"
    }

    fn object(&self) -> Object {
        Object::Queue
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["dequeue", "enqueue"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["queue"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        let values = Sequence::default();
        let enqueues = move || {
            let values = values.clone();
            repeat_with(move |_| Call::Enqueue { value: values.next_number() })
        };
        let dequeues = || repeat_with(|_| Call::Dequeue);
        Traffic {
            main: mix(rng.fork("mix"), vec![(1, enqueues()), (1, dequeues())]),
            recovery: Box::new(move || each_until_ok([enqueues(), dequeues()])),
            final_reads: Box::new(move || until(dequeues(), Reply::is_mismatch)),
        }
    }
}
