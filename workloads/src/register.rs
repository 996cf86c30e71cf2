//! Reads, writes and compares-and-sets single registers: the workload of linearizability.
//!
//! A few keys are in use at a time, so that clients collide; each is retired after a bounded number of calls, so
//! that its history stays small enough to be judged exactly. Values are unique per key, so that a read names
//! the write it saw. A compare-and-set mostly wants the value last seen, to succeed often, and sometimes an older
//! one, to observe a mismatch.

use crate::{Call, Generator, Outcome, Reply, Rng, Workload};
use checker::history::Value;
use checker::{History, Limits, Verdict};

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

    fn functions(&self) -> &'static [&'static str] {
        &["cas", "read", "write"]
    }

    fn model(&self) -> &'static str {
        "cas-register"
    }

    fn generator(&self, rng: Rng) -> Box<dyn Generator> {
        Box::new(Registers::new(rng))
    }

    fn check(&self, history: &History, limits: &Limits<'_>) -> Vec<Verdict> {
        vec![checker::check_linearizable(history, self.model(), limits)]
    }
}

struct Registers {
    rng: Rng,
    active: Vec<Key>,
    /// How many keys there have been; the next one's number.
    opened: u64,
    /// The value of the last recovery write.
    recoveries: i64,
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
    fn new(rng: Rng) -> Self {
        let mut registers = Self { rng, active: Vec::new(), opened: 0, recoveries: 0 };
        for _ in 0..ACTIVE_KEYS {
            let key = registers.open();
            registers.active.push(key);
        }
        registers
    }

    fn open(&mut self) -> Key {
        self.opened += 1;
        // The first ones start part-used, or all would retire together.
        let stagger = self.active.len() as u64 * CALLS_PER_KEY / ACTIVE_KEYS as u64;
        let calls = if self.opened <= ACTIVE_KEYS as u64 { stagger } else { 0 };
        Key { name: format!("k{}", self.opened), calls, last_value: 0, seen: Vec::new() }
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
    fn next(&mut self) -> Call {
        let position = self.pick();
        // Always the same number of draws: what a reply says must not shift the choices after it.
        let (draw, recent, older) =
            (self.rng.below(10), self.rng.percent(80), self.rng.below(SEEN_VALUES as u64) as usize);
        let key = &mut self.active[position];
        let old =
            if recent { key.seen.last() } else { key.seen.iter().cycle().nth(older) }.copied();
        match (draw, old) {
            (0..4, _) => Call::Read { key: key.name.clone() },
            (4..7, Some(old)) => Call::Cas { key: key.name.clone(), old, new: key.fresh() },
            _ => Call::Write { key: key.name.clone(), value: key.fresh() },
        }
    }

    fn observe(&mut self, call: &Call, reply: &Reply) {
        let seen = match (call, reply.outcome) {
            (Call::Read { .. }, Outcome::Ok) => match reply.read {
                Some(Value::Int(value)) => Some(value),
                _ => None,
            },
            (Call::Write { value, .. } | Call::Cas { new: value, .. }, Outcome::Ok) => Some(*value),
            _ => None,
        };
        let key = self.active.iter_mut().find(|key| key.name == call.key());
        if let (Some(value), Some(key)) = (seen, key) {
            key.saw(value);
        }
    }

    fn recovery(&mut self) -> [Call; 2] {
        self.recoveries += 1;
        let key = RECOVERY_KEY.to_owned();
        [Call::Write { key: key.clone(), value: self.recoveries }, Call::Read { key }]
    }

    fn final_reads(&self) -> Vec<Call> {
        (1..=self.opened).map(|number| Call::Read { key: format!("k{number}") }).collect()
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
    use std::collections::{BTreeMap, BTreeSet};

    /// A perfect store that answers at once.
    fn perfect(state: &mut BTreeMap<String, i64>, call: &Call) -> Reply {
        match call {
            Call::Read { key } => Reply::read(state.get(key).copied()),
            Call::Write { key, value } => {
                state.insert(key.clone(), *value);
                Reply::ok()
            }
            Call::Cas { key, old, new } if state.get(key) == Some(old) => {
                state.insert(key.clone(), *new);
                Reply::ok()
            }
            Call::Cas { .. } => Reply::mismatch(),
        }
    }

    fn run(seed: u64, calls: usize) -> Vec<(Call, Reply)> {
        let mut generator = Register.generator(Rng::new(seed));
        let mut state = BTreeMap::new();
        (0..calls)
            .map(|_| {
                let call = generator.next();
                let reply = perfect(&mut state, &call);
                generator.observe(&call, &reply);
                (call, reply)
            })
            .collect()
    }

    #[test]
    fn a_seed_decides_every_call() {
        assert_eq!(run(9, 2000), run(9, 2000));
        assert_ne!(run(9, 2000), run(10, 2000));
    }

    #[test]
    fn replies_decide_what_a_cas_expects_and_nothing_else() {
        let keys = |reply: fn() -> Reply| {
            let mut generator = Register.generator(Rng::new(4));
            let mut next = || {
                let call = generator.next();
                generator.observe(&call, &reply());
                call.key().to_owned()
            };
            (0..2000).map(|_| next()).collect::<Vec<_>>()
        };
        assert_eq!(keys(Reply::ok), keys(|| Reply::info("timeout")));
    }

    #[test]
    fn written_values_are_unique_per_key() {
        let mut written = BTreeSet::new();
        for (call, _) in run(1, 5000) {
            let value = match call {
                Call::Write { key, value } | Call::Cas { key, new: value, .. } => (key, value),
                Call::Read { .. } => continue,
            };
            assert!(written.insert(value.clone()), "{value:?} written twice");
        }
    }

    #[test]
    fn keys_rotate_and_every_outcome_is_common() {
        let run = run(2, 5000);
        let keys: BTreeSet<&str> = run.iter().map(|(call, _)| call.key()).collect();
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
