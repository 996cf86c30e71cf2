//! Read, write and compare-and-set on single registers: tests linearizability.
//!
//! A few keys are active at a time, so that clients contend. Each is retired after a bounded number
//! of calls, so that its history stays small enough for an exact decision. Values are unique per
//! key, so a read identifies the write it observed. A compare-and-set mostly expects the value last
//! observed, to succeed often, and sometimes an older one, to observe a mismatch.

use crate::call::Call;
use crate::combinator::each_until_ok;
use crate::generator::{Context, Generator, Next, repeat_with};
use crate::key_choice::{KeyChoice, Skew};
use crate::object::Object;
use crate::read_consistency::ReadConsistency;
use crate::reply::{Outcome, Reply};
use crate::rng::Rng;
use crate::sequence::Sequence;
use crate::workload::{Traffic, TrafficConfig, Workload};
use checker::history::Value;

/// The number of active keys, unless another one is asked for.
const ACTIVE_KEYS: usize = 4;
/// Calls after which a key is retired.
const CALLS_PER_KEY: u64 = 300;
/// How many observed values of a key are kept as candidates for a compare-and-set.
const OBSERVED_VALUES: usize = 8;

/// Linearizable registers.
pub(crate) struct Register;

impl Workload for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn doc(&self) -> &'static str {
        "read, write and compare-and-set on registers over rotating keys; judged by linearizability"
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

    fn takes_key_choice(&self) -> bool {
        true
    }

    fn make_traffic(&self, rng: Rng, config: &TrafficConfig) -> Traffic {
        let (keys, recovered) = (Sequence::default(), Sequence::default());
        Traffic {
            main: Box::new(RegisterClients::new(rng, keys.clone(), config.keys)),
            recovery: Box::new(move || {
                let recovered = recovered.clone();
                let key = || RECOVERY_KEY.to_owned();
                let writes = repeat_with(move |_| Call::Write {
                    key: key(),
                    value: recovered.next_number(),
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

struct RegisterClients {
    rng: Rng,
    active: Vec<ActiveKey>,
    /// Numbers the keys.
    keys: Sequence,
    /// The number of active keys.
    count: usize,
    skew: Skew,
}

struct ActiveKey {
    name: String,
    calls: u64,
    last_value: i64,
    /// The observed values, the most recent last.
    observed: Vec<i64>,
}

const RECOVERY_KEY: &str = "recovery";

impl RegisterClients {
    fn new(rng: Rng, keys: Sequence, choice: KeyChoice) -> Self {
        let count = choice.count.unwrap_or(ACTIVE_KEYS);
        let skew = choice.skew.unwrap_or(Skew::Uniform);
        let mut registers = Self { rng, active: Vec::new(), keys, count, skew };
        for _ in 0..count {
            let key = registers.open_key();
            registers.active.push(key);
        }
        registers
    }

    fn open_key(&mut self) -> ActiveKey {
        let number = self.keys.next_number();
        // The first keys start partly used; otherwise all would retire at the same time.
        let stagger = self.active.len() as u64 * CALLS_PER_KEY / self.count as u64;
        let calls = if number <= self.count as i64 { stagger } else { 0 };
        ActiveKey { name: key_name(number), calls, last_value: 0, observed: Vec::new() }
    }

    /// Picks the position of an active key and counts the use.
    fn pick_key(&mut self) -> usize {
        let position = self.skew.pick_position(self.count, &mut self.rng);
        if self.active[position].calls >= CALLS_PER_KEY {
            self.active[position] = self.open_key();
        }
        self.active[position].calls += 1;
        position
    }
}

impl Generator for RegisterClients {
    fn next_call(&mut self, _: &Context) -> Next {
        let position = self.pick_key();
        // Always the same number of draws, so that a reply does not shift later choices.
        let (draw, recent, older) = (
            self.rng.below(10),
            self.rng.percent_chance(80),
            self.rng.below(OBSERVED_VALUES as u64) as usize,
        );
        let key = &mut self.active[position];
        let old = if recent { key.observed.last() } else { key.observed.iter().cycle().nth(older) }
            .copied();
        Next::Call(match (draw, old) {
            (0..4, _) => Call::Read { key: key.name.clone() },
            (4..7, Some(old)) => Call::Cas { key: key.name.clone(), old, new: key.next_value() },
            _ => Call::Write { key: key.name.clone(), value: key.next_value() },
        })
    }

    fn observe_reply(&mut self, _: usize, call: &Call, reply: &Reply) {
        let (key, value) = match (call, reply.outcome, &reply.returned) {
            (Call::Read { key }, Outcome::Ok, Some(Value::Int(value))) => (key, *value),
            (Call::Write { key, value } | Call::Cas { key, new: value, .. }, Outcome::Ok, _) => {
                (key, *value)
            }
            _ => return,
        };
        if let Some(key) = self.active.iter_mut().find(|active| active.name == *key) {
            key.record_value(value);
        }
    }
}

impl ActiveKey {
    fn next_value(&mut self) -> i64 {
        self.last_value += 1;
        self.last_value
    }

    fn record_value(&mut self, value: i64) {
        self.observed.retain(|known| *known != value);
        self.observed.push(value);
        if self.observed.len() > OBSERVED_VALUES {
            self.observed.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::InMemorySystem;
    use std::collections::BTreeSet;

    fn register_of(call: &Call) -> String {
        match call {
            Call::Read { key } | Call::Write { key, .. } | Call::Cas { key, .. } => key.clone(),
            other => panic!("{other:?} is not a call on a register"),
        }
    }

    /// The calls of one thread with the replies that `answer` makes.
    fn run_calls(
        seed: u64,
        count: usize,
        mut answer: impl FnMut(&Call) -> Reply,
    ) -> Vec<(Call, Reply)> {
        let mut main = Register.make_traffic(Rng::new(seed), &TrafficConfig::new(1)).main;
        let mut step = || match main.next_call(&Context { thread: 0, time: 0 }) {
            Next::Call(call) => {
                let reply = answer(&call);
                main.observe_reply(0, &call, &reply);
                (call, reply)
            }
            other => panic!("{other:?} instead of a call"),
        };
        (0..count).map(|_| step()).collect()
    }

    /// The same with a correct store.
    fn run_correct(seed: u64, count: usize) -> Vec<(Call, Reply)> {
        let mut system = InMemorySystem::default();
        run_calls(seed, count, |call| system.execute_call(call))
    }

    #[test]
    fn a_seed_determines_every_call() {
        assert_eq!(run_correct(9, 2000), run_correct(9, 2000));
        assert_ne!(run_correct(9, 2000), run_correct(10, 2000));
    }

    #[test]
    fn replies_affect_only_the_expected_value_of_a_cas() {
        let keys = |reply: fn() -> Reply| {
            run_calls(4, 2000, |_| reply())
                .iter()
                .map(|(call, _)| register_of(call))
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(Reply::ok), keys(|| Reply::info("timeout")));
    }

    #[test]
    fn written_values_are_unique_per_key() {
        let mut written = BTreeSet::new();
        for (call, _) in run_correct(1, 5000) {
            let value = match call {
                Call::Write { key, value } | Call::Cas { key, new: value, .. } => (key, value),
                _ => continue,
            };
            assert!(written.insert(value.clone()), "{value:?} written twice");
        }
    }

    #[test]
    fn keys_rotate_and_every_outcome_is_common() {
        let run = run_correct(2, 5000);
        let keys: BTreeSet<String> = run.iter().map(|(call, _)| register_of(call)).collect();
        assert!(keys.len() >= 5000 / CALLS_PER_KEY as usize, "{keys:?}");
        let cas = |outcome| {
            let matching = |(call, reply): &&(Call, Reply)| {
                call.function_name() == "cas" && reply.outcome == outcome
            };
            run.iter().filter(matching).count()
        };
        assert!(cas(Outcome::Ok) > 500 && cas(Outcome::Fail) > 100);
    }
}
