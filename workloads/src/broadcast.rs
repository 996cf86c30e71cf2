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

/// New elements, a look now and then, and at the end looks until everything is there that was acknowledged, or that
/// another replica shows then.
pub(crate) fn spread(rng: &Rng, add: fn(i64) -> Call, look: Call) -> Traffic {
    let (fresh, certain) = (Fresh::default(), Certain::default());
    let remember = certain.clone();
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
            let certain = certain.clone();
            settle(look.clone(), move |shown| {
                certain.note(integers(shown));
                certain.all_in(shown)
            })
        }),
    }
}

/// The elements that are certainly there: acknowledged, or shown at the end. Clones share them.
#[derive(Clone, Default)]
struct Certain(Arc<Mutex<BTreeSet<i64>>>);

impl Certain {
    /// The part, overheard.
    fn by(&self, part: Any) -> Any {
        Box::new(Overheard { part, certain: self.clone() })
    }

    fn note(&self, elements: impl IntoIterator<Item = i64>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(elements);
    }

    fn all_in(&self, shown: &Value) -> bool {
        let Value::List(_) = shown else { return false };
        let shown: BTreeSet<i64> = integers(shown).collect();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_subset(&shown)
    }
}

/// The integers in a list.
fn integers(list: &Value) -> impl Iterator<Item = i64> + '_ {
    let items = if let Value::List(items) = list { &items[..] } else { &[] };
    items.iter().filter_map(|item| if let Value::Int(number) = item { Some(*number) } else { None })
}

struct Overheard {
    part: Any,
    certain: Certain,
}

impl Generator for Overheard {
    fn next(&mut self, turn: &Turn) -> Next {
        self.part.next(turn)
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        if let (Call::Broadcast { message: element } | Call::Insert { element }, Outcome::Ok) =
            (call, reply.outcome)
        {
            self.certain.note([*element]);
        }
        self.part.observe(thread, call, reply);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_asked_again_for_what_another_shows_at_the_end() {
        let mut traffic = spread(&Rng::new(1), |element| Call::Insert { element }, Call::Elements);
        let list = |all: &[i64]| {
            Reply::returned(all.iter().copied().map(Value::Int).collect::<Vec<_>>().into())
        };
        let (mut one, mut other) = ((traffic.finale)(), (traffic.finale)());
        let asks = |part: &mut Any, time| {
            part.next(&Turn { thread: 0, time }) == Next::Call(Call::Elements)
        };
        assert!(asks(&mut one, 0) && asks(&mut other, 0));
        one.observe(0, &Call::Elements, &list(&[7]));
        other.observe(0, &Call::Elements, &list(&[]));
        assert!(asks(&mut other, 1_000_000_000), "nobody acknowledged 7, but it is there");
        other.observe(0, &Call::Elements, &list(&[7]));
        let end = Turn { thread: 0, time: 2_000_000_000 };
        assert!(one.next(&end) == Next::Done && other.next(&end) == Next::Done);
    }
}
