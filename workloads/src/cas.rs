//! Read, write and compare-and-set on registers with few values, as in Jepsen's
//! linearizable-register.
//!
//! Values repeat, so a compare-and-set succeeds by chance and a read does not identify the write it
//! observed: a monitor decides [`crate::register`], but these histories need a search. Each key
//! gets a bounded number of calls, so that the search stays small.

use crate::call::Call;
use crate::combinator::{each_until_ok, limit, mix};
use crate::generator::{BoxGenerator, Context, Generator, Next, repeat_with};
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::reply::Reply;
use crate::rng::Rng;
use crate::sequence::Sequence;
use crate::workload::{Traffic, TrafficConfig, Workload};

/// The number of active keys.
const ACTIVE_KEYS: usize = 4;
/// Calls after which a key is retired.
const CALLS_PER_KEY: u64 = 150;
/// Values are drawn from `0..VALUE_COUNT`.
const VALUE_COUNT: u64 = 5;

/// Registers with few values.
pub(crate) struct Cas;

impl Workload for Cas {
    fn name(&self) -> &'static str {
        "cas"
    }

    fn doc(&self) -> &'static str {
        "read, write and compare-and-set on registers whose values repeat; judged by \
         linearizability"
    }

    fn object(&self) -> Object {
        Object::Registers
    }

    fn function_names(&self) -> &'static [&'static str] {
        &["cas", "read", "write"]
    }

    fn check_names(&self, _: ReadConsistency) -> &'static [&'static str] {
        &["cas-register"]
    }

    fn make_traffic(&self, rng: Rng, _: &TrafficConfig) -> Traffic {
        let keys = Sequence::default();
        let recovery = rng.fork("recovery");
        Traffic {
            main: Box::new(RotatingKeys::new(rng, keys.clone())),
            recovery: Box::new(move || {
                let key = || "recovery".to_owned();
                let mut values = recovery.fork("values");
                let writes = repeat_with(move |_| Call::Write {
                    key: key(),
                    value: random_value(&mut values),
                });
                each_until_ok([writes, repeat_with(move |_| Call::Read { key: key() })])
            }),
            final_reads: Box::new(move || {
                each_until_ok(
                    (1..=keys.last_number())
                        .map(|key| repeat_with(move |_| Call::Read { key: key_name(key) })),
                )
            }),
        }
    }
}

fn key_name(number: i64) -> String {
    format!("k{number}")
}

fn random_value(rng: &mut Rng) -> i64 {
    rng.below(VALUE_COUNT).cast_signed()
}

/// The calls on one key, at most `most`.
fn register_calls(rng: &Rng, key: i64, most: u64) -> BoxGenerator {
    let rng = rng.fork(&format!("key {key}"));
    let (mut writes, mut swaps) = (rng.fork("writes"), rng.fork("swaps"));
    let parts = vec![
        (1, repeat_with(move |_| Call::Read { key: key_name(key) })),
        (
            1,
            repeat_with(move |_| Call::Write {
                key: key_name(key),
                value: random_value(&mut writes),
            }),
        ),
        (
            1,
            repeat_with(move |_| {
                let (old, new) = (random_value(&mut swaps), random_value(&mut swaps));
                Call::Cas { key: key_name(key), old, new }
            }),
        ),
    ];
    limit(most, mix(rng.fork("mix"), parts))
}

/// A few active keys, each replaced once its calls are used up.
struct RotatingKeys {
    rng: Rng,
    keys: Sequence,
    active: Vec<BoxGenerator>,
}

impl RotatingKeys {
    fn new(rng: Rng, keys: Sequence) -> Self {
        // The first keys get fewer calls; otherwise all would retire at the same time.
        let most = |place: u64| CALLS_PER_KEY * (place + 1) / ACTIVE_KEYS as u64;
        let active = (0..ACTIVE_KEYS as u64)
            .map(|place| register_calls(&rng, keys.next_number(), most(place)))
            .collect();
        Self { rng, keys, active }
    }
}

impl Generator for RotatingKeys {
    fn next_call(&mut self, context: &Context) -> Next {
        let place = self.rng.below(ACTIVE_KEYS as u64) as usize;
        match self.active[place].next_call(context) {
            Next::Done => {
                self.active[place] =
                    register_calls(&self.rng, self.keys.next_number(), CALLS_PER_KEY);
                self.active[place].next_call(context)
            }
            next => next,
        }
    }

    fn observe_reply(&mut self, thread: usize, call: &Call, reply: &Reply) {
        self.active.iter_mut().for_each(|key| key.observe_reply(thread, call, reply));
    }
}
