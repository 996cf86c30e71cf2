//! Reads, writes and compares-and-sets single registers: the workload of linearizability.
//!
//! A few keys are in use at a time, so that clients collide; each is retired after a bounded number of calls, so
//! that its history stays small enough to be judged exactly. Values are unique per key, so that a read names
//! the write it saw. A compare-and-set mostly wants the value last seen, to succeed often, and sometimes an older
//! one, to observe a mismatch.

use crate::generator::{Generator, Next, Turn, calls};
use crate::keys::Fresh;
use crate::{
    Call, Freshness, Object, Outcome, Reply, Rng, Scene, Traffic, Workload, each_until_ok,
};
use checker::history::Value;

/// Keys in use at a time.
const ACTIVE_KEYS: usize = 4;
/// Calls after which a key is retired.
const CALLS_PER_KEY: u64 = 300;
/// How many seen values of a key are remembered as candidates for a compare-and-set.
const SEEN_VALUES: usize = 8;

/// Linearizable registers.
pub(crate) struct Register;

impl Workload for Register {
    fn name(&self) -> &'static str {
        "register"
    }

    fn doc(&self) -> &'static str {
        "reads, writes and compares-and-sets registers over rotating keys; judged by linearizability"
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
        let (opened, recovered) = (Fresh::default(), Fresh::default());
        Traffic {
            main: Box::new(Registers::new(rng, opened.clone())),
            recovery: Box::new(move || {
                let recovered = recovered.clone();
                let key = || RECOVERY_KEY.to_owned();
                let writes = calls(move |_| Call::Write { key: key(), value: recovered.next() });
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

struct Registers {
    rng: Rng,
    active: Vec<Key>,
    /// Numbers the keys.
    opened: Fresh,
}

struct Key {
    name: String,
    calls: u64,
    last_value: i64,
    /// Values that were seen to be there, the latest last.
    seen: Vec<i64>,
}

const RECOVERY_KEY: &str = "recovery";

impl Registers {
    fn new(rng: Rng, opened: Fresh) -> Self {
        let mut registers = Self { rng, active: Vec::new(), opened };
        for _ in 0..ACTIVE_KEYS {
            let key = registers.open();
            registers.active.push(key);
        }
        registers
    }

    fn open(&mut self) -> Key {
        let number = self.opened.next();
        // The first ones start part-used, or all would retire together.
        let stagger = self.active.len() as u64 * CALLS_PER_KEY / ACTIVE_KEYS as u64;
        let calls = if number <= ACTIVE_KEYS as i64 { stagger } else { 0 };
        Key { name: name(number), calls, last_value: 0, seen: Vec::new() }
    }

    /// The position of a key to use, which is then used once more.
    fn pick(&mut self) -> usize {
        let position = self.rng.below(ACTIVE_KEYS as u64) as usize;
        if self.active[position].calls >= CALLS_PER_KEY {
            self.active[position] = self.open();
        }
        self.active[position].calls += 1;
        position
    }
}

impl Generator for Registers {
    fn next(&mut self, _: &Turn) -> Next {
        let position = self.pick();
        // Always the same number of draws: what a reply says must not shift the choices after it.
        let (draw, recent, older) =
            (self.rng.below(10), self.rng.percent(80), self.rng.below(SEEN_VALUES as u64) as usize);
        let key = &mut self.active[position];
        let old =
            if recent { key.seen.last() } else { key.seen.iter().cycle().nth(older) }.copied();
        Next::Call(match (draw, old) {
            (0..4, _) => Call::Read { key: key.name.clone() },
            (4..7, Some(old)) => Call::Cas { key: key.name.clone(), old, new: key.fresh() },
            _ => Call::Write { key: key.name.clone(), value: key.fresh() },
        })
    }

    fn observe(&mut self, _: usize, call: &Call, reply: &Reply) {
        let (key, seen) = match (call, reply.outcome, &reply.returned) {
            (Call::Read { key }, Outcome::Ok, Some(Value::Int(value))) => (key, *value),
            (Call::Write { key, value } | Call::Cas { key, new: value, .. }, Outcome::Ok, _) => {
                (key, *value)
            }
            _ => return,
        };
        if let Some(key) = self.active.iter_mut().find(|active| active.name == *key) {
            key.saw(seen);
        }
    }
}

impl Key {
    fn fresh(&mut self) -> i64 {
        self.last_value += 1;
        self.last_value
    }

    fn saw(&mut self, value: i64) {
        self.seen.retain(|known| *known != value);
        self.seen.push(value);
        if self.seen.len() > SEEN_VALUES {
            self.seen.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::Memory;
    use std::collections::BTreeSet;

    fn key(call: &Call) -> String {
        match call {
            Call::Read { key } | Call::Write { key, .. } | Call::Cas { key, .. } => key.clone(),
            other => panic!("{other:?} is no call on a register"),
        }
    }

    /// The calls of one thread and what `answer` says to them.
    fn run(seed: u64, count: usize, mut answer: impl FnMut(&Call) -> Reply) -> Vec<(Call, Reply)> {
        let mut main = Register.traffic(Rng::new(seed), &Scene { replicas: 1 }).main;
        let mut step = || match main.next(&Turn { thread: 0, time: 0 }) {
            Next::Call(call) => {
                let reply = answer(&call);
                main.observe(0, &call, &reply);
                (call, reply)
            }
            other => panic!("{other:?} instead of a call"),
        };
        (0..count).map(|_| step()).collect()
    }

    /// The same of a perfect store.
    fn perfect(seed: u64, count: usize) -> Vec<(Call, Reply)> {
        let mut memory = Memory::default();
        run(seed, count, |call| memory.answer(call))
    }

    #[test]
    fn a_seed_decides_every_call() {
        assert_eq!(perfect(9, 2000), perfect(9, 2000));
        assert_ne!(perfect(9, 2000), perfect(10, 2000));
    }

    #[test]
    fn replies_decide_what_a_cas_expects_and_nothing_else() {
        let keys = |reply: fn() -> Reply| {
            run(4, 2000, |_| reply()).iter().map(|(call, _)| key(call)).collect::<Vec<_>>()
        };
        assert_eq!(keys(Reply::ok), keys(|| Reply::info("timeout")));
    }

    #[test]
    fn written_values_are_unique_per_key() {
        let mut written = BTreeSet::new();
        for (call, _) in perfect(1, 5000) {
            let value = match call {
                Call::Write { key, value } | Call::Cas { key, new: value, .. } => (key, value),
                _ => continue,
            };
            assert!(written.insert(value.clone()), "{value:?} written twice");
        }
    }

    #[test]
    fn keys_rotate_and_every_outcome_is_common() {
        let run = perfect(2, 5000);
        let keys: BTreeSet<String> = run.iter().map(|(call, _)| key(call)).collect();
        assert!(keys.len() >= 5000 / CALLS_PER_KEY as usize, "{keys:?}");
        let cas = |outcome| {
            let matching = |(call, reply): &&(Call, Reply)| {
                call.function() == "cas" && reply.outcome == outcome
            };
            run.iter().filter(matching).count()
        };
        assert!(cas(Outcome::Ok) > 500 && cas(Outcome::Fail) > 100);
    }
}
