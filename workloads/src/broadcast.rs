//! Tells one replica a message and expects all to have heard it in the end.
//!
//! Every message is new. What a replica has heard costs as much to ask for as there is, so that is spread over time.

use crate::generator::{Any, Generator, Next, Turn, calls, mix, stagger};
use crate::keys::Fresh;
use crate::settle::settle;
use crate::{
    Call, Freshness, Object, Outcome, Reply, Rng, Scene, Traffic, Workload, each_until_ok,
};
use checker::history::Value;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The average time between reads, in nanoseconds.
const READS_APART: u64 = 100_000_000;

/// A broadcast.
pub(crate) struct Broadcast;

impl Workload for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }

    fn doc(&self) -> &'static str {
        "tells one replica messages; judged by whether every replica has heard each in the end (Maelstrom's broadcast)"
    }

    fn object(&self) -> Object {
        Object::Broadcast
    }

    fn functions(&self) -> &'static [&'static str] {
        &["broadcast", "read"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["eventual-set"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        spread(&rng, |message| Call::Broadcast { message }, Call::Heard)
    }
}

/// New elements, a look now and then, and at the end looks until everything acknowledged is there.
pub(crate) fn spread(rng: &Rng, add: fn(i64) -> Call, look: Call) -> Traffic {
    let (fresh, acknowledged) = (Fresh::default(), Acknowledged::default());
    let remember = acknowledged.clone();
    let adds = move || {
        let fresh = fresh.clone();
        remember.by(calls(move |_| add(fresh.next())))
    };
    let looks = |look: &Call| {
        let look = look.clone();
        calls(move |_| look.clone())
    };
    let reads = stagger(rng.fork("stagger"), READS_APART, looks(&look));
    let again = look.clone();
    Traffic {
        main: mix(rng.fork("mix"), vec![(4, adds()), (1, reads)]),
        recovery: Box::new(move || each_until_ok([adds(), looks(&again)])),
        finale: Box::new(move || {
            let acknowledged = acknowledged.clone();
            settle(look.clone(), move |shown| acknowledged.all_in(shown))
        }),
    }
}

/// The elements that are certainly there; clones share them.
#[derive(Clone, Default)]
struct Acknowledged(Arc<Mutex<BTreeSet<i64>>>);

impl Acknowledged {
    /// The part, overheard.
    fn by(&self, part: Any) -> Any {
        Box::new(Overheard { part, acknowledged: self.clone() })
    }

    fn note(&self, element: i64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(element);
    }

    fn all_in(&self, shown: &Value) -> bool {
        let Value::List(items) = shown else { return false };
        let int = |item: &Value| if let Value::Int(number) = item { Some(*number) } else { None };
        let shown: BTreeSet<i64> = items.iter().filter_map(int).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_subset(&shown)
    }
}

struct Overheard {
    part: Any,
    acknowledged: Acknowledged,
}

impl Generator for Overheard {
    fn next(&mut self, turn: &Turn) -> Next {
        self.part.next(turn)
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        if let (Call::Broadcast { message: element } | Call::Insert { element }, Outcome::Ok) =
            (call, reply.outcome)
        {
            self.acknowledged.note(*element);
        }
        self.part.observe(thread, call, reply);
    }
}
