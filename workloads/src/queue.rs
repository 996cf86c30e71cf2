//! Puts values into a queue and takes them out: each is given to one client, and none is lost.
//!
//! Every value is new. At the end each replica takes out what is left until it finds nothing.

use crate::generator::{calls, mix, until};
use crate::keys::Fresh;
use crate::{Call, Freshness, Object, Reply, Rng, Scene, Traffic, Workload, each_until_ok};

/// A queue.
pub(crate) struct Queue;

impl Workload for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    fn doc(&self) -> &'static str {
        "puts values into a queue and takes them out; judged by what is lost, given twice or from nowhere"
    }

    fn object(&self) -> Object {
        Object::Queue
    }

    fn functions(&self) -> &'static [&'static str] {
        &["dequeue", "enqueue"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["queue"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        let fresh = Fresh::default();
        let enqueues = move || {
            let fresh = fresh.clone();
            calls(move |_| Call::Enqueue { value: fresh.next() })
        };
        let dequeues = || calls(|_| Call::Dequeue);
        Traffic {
            main: mix(rng.fork("mix"), vec![(1, enqueues()), (1, dequeues())]),
            recovery: Box::new(move || each_until_ok([enqueues(), dequeues()])),
            finale: Box::new(move || until(dequeues(), Reply::is_mismatch)),
        }
    }
}
