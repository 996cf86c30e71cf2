//! Reads, writes and compares-and-sets registers of few values, as Jepsen's linearizable-register does.
//!
//! Values repeat, so a compare-and-set succeeds by chance and a read does not name the write it saw: what a monitor
//! decides for [`crate::register`] takes a search here. Each key is used for a bounded number of calls, so that the
//! search stays small.

use crate::generator::{Any, Generator, Next, Turn, calls, limit, mix};
use crate::keys::Fresh;
use crate::{Call, Freshness, Object, Reply, Rng, Scene, Traffic, Workload, each_until_ok};

/// Keys in use at a time.
const ACTIVE: usize = 4;
/// Calls after which a key is retired.
const CALLS_PER_KEY: u64 = 150;
/// Values are 0 to here.
const VALUES: u64 = 5;

/// Registers of few values.
pub(crate) struct Cas;

impl Workload for Cas {
    fn name(&self) -> &'static str {
        "cas"
    }

    fn doc(&self) -> &'static str {
        "reads, writes and compares-and-sets registers whose values repeat; judged by linearizability"
    }

    fn object(&self) -> Object {
        Object::Registers
    }

    fn functions(&self) -> &'static [&'static str] {
        &["cas", "read", "write"]
    }

    fn checks(&self, _: Freshness) -> &'static [&'static str] {
        &["cas-register"]
    }

    fn traffic(&self, rng: Rng, _: &Scene) -> Traffic {
        let opened = Fresh::default();
        let recovery = rng.fork("recovery");
        Traffic {
            main: Box::new(Rotation::new(rng, opened.clone())),
            recovery: Box::new(move || {
                let key = || "recovery".to_owned();
                let mut values = recovery.fork("values");
                let writes = calls(move |_| Call::Write { key: key(), value: value(&mut values) });
                each_until_ok([writes, calls(move |_| Call::Read { key: key() })])
            }),
            finale: Box::new(move || {
                each_until_ok(
                    (1..=opened.last()).map(|key| calls(move |_| Call::Read { key: name(key) })),
                )
            }),
        }
    }
}

fn name(number: i64) -> String {
    format!("k{number}")
}

fn value(rng: &mut Rng) -> i64 {
    rng.below(VALUES).cast_signed()
}

/// The calls on one key.
fn register(rng: &Rng, key: i64, most: u64) -> Any {
    let rng = rng.fork(&format!("key {key}"));
    let (mut writes, mut swaps) = (rng.fork("writes"), rng.fork("swaps"));
    let parts = vec![
        (1, calls(move |_| Call::Read { key: name(key) })),
        (1, calls(move |_| Call::Write { key: name(key), value: value(&mut writes) })),
        (
            1,
            calls(move |_| {
                let (old, new) = (value(&mut swaps), value(&mut swaps));
                Call::Cas { key: name(key), old, new }
            }),
        ),
    ];
    limit(most, mix(rng.fork("mix"), parts))
}

/// A few keys in use, each replaced when its calls are used up.
struct Rotation {
    rng: Rng,
    opened: Fresh,
    active: Vec<Any>,
}

impl Rotation {
    fn new(rng: Rng, opened: Fresh) -> Self {
        // The first ones have fewer calls, or all would retire together.
        let most = |place: u64| CALLS_PER_KEY * (place + 1) / ACTIVE as u64;
        let active =
            (0..ACTIVE as u64).map(|place| register(&rng, opened.next(), most(place))).collect();
        Self { rng, opened, active }
    }
}

impl Generator for Rotation {
    fn next(&mut self, turn: &Turn) -> Next {
        let place = self.rng.below(ACTIVE as u64) as usize;
        match self.active[place].next(turn) {
            Next::Done => {
                self.active[place] = register(&self.rng, self.opened.next(), CALLS_PER_KEY);
                self.active[place].next(turn)
            }
            next => next,
        }
    }

    fn observe(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.active.iter_mut().for_each(|key| key.observe(thread, call, reply));
    }
}
