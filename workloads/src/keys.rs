//! Hands out what must not be handed out twice: fresh numbers, and the keys of transactions with values that are
//! unique per key.

use crate::{Micro, Rng};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

/// Numbers from 1 that are never handed out twice; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fresh(Arc<AtomicI64>);

impl Fresh {
    /// The next number.
    pub(crate) fn next(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The last number that was handed out; 0 before the first.
    pub(crate) fn last(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Keys in use at a time.
const ACTIVE: usize = 5;
/// Writes after which a key is retired.
const WRITES_PER_KEY: i64 = 64;
/// The most micro-operations of a transaction.
const LONGEST: u64 = 4;
/// The keys of one final transaction.
const FINAL_KEYS: u64 = 8;

/// How a kind of transaction reads and writes.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// Reads a key.
    pub(crate) read: fn(u64) -> Micro,
    /// Writes a value to a key.
    pub(crate) write: fn(u64, i64) -> Micro,
}

/// Makes transactions as Elle's generators do: of 1 to 4 micro-operations, one half of them reads, on keys of
/// exponentially different popularity that are retired after a number of writes.
pub(crate) struct Transactions {
    rng: Rng,
    kind: Kind,
    active: Vec<(u64, i64)>,
    opened: Fresh,
}

impl Transactions {
    /// Makes transactions; `opened` counts the keys that were ever used, which are numbered from 1.
    pub(crate) fn new(rng: Rng, kind: Kind, opened: Fresh) -> Self {
        let active = (0..ACTIVE).map(|_| (opened.next().unsigned_abs(), 0)).collect();
        Self { rng, kind, active, opened }
    }

    /// The next transaction.
    pub(crate) fn next(&mut self) -> Vec<Micro> {
        let length = self.rng.between(1, LONGEST + 1);
        (0..length).map(|_| self.micro()).collect()
    }

    fn micro(&mut self) -> Micro {
        let place = self.place();
        let reads = self.rng.percent(50);
        let (key, written) = &mut self.active[place];
        if reads {
            return (self.kind.read)(*key);
        }
        *written += 1;
        let write = (self.kind.write)(*key, *written);
        if *written == WRITES_PER_KEY {
            self.active[place] = (self.opened.next().unsigned_abs(), 0);
        }
        write
    }

    /// The place of an active key; each is used twice as often as the one before.
    fn place(&mut self) -> usize {
        let draw = self.rng.below((1 << ACTIVE) - 1);
        (draw + 1).ilog2() as usize
    }
}

/// Reads of every key that was ever used, a few at a time.
pub(crate) fn final_reads(kind: Kind, opened: &Fresh) -> Vec<Vec<Micro>> {
    let keys: Vec<u64> = (1..=opened.last().unsigned_abs()).collect();
    let read = |keys: &[u64]| keys.iter().map(|key| (kind.read)(*key)).collect();
    keys.chunks(FINAL_KEYS as usize).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn made(count: usize) -> (Vec<Vec<Micro>>, i64) {
        let opened = Fresh::default();
        let kind = Kind { read: Micro::Read, write: Micro::Write };
        let mut transactions = Transactions::new(Rng::new(3), kind, opened.clone());
        ((0..count).map(|_| transactions.next()).collect(), opened.last())
    }

    #[test]
    fn values_are_unique_per_key_and_keys_are_retired() {
        let (made, opened) = made(4000);
        let mut written = BTreeSet::new();
        for micro in made.iter().flatten() {
            if let Micro::Write(key, value) = micro {
                assert!(written.insert((*key, *value)), "{key} {value} twice");
                assert!(*value <= WRITES_PER_KEY && key.cast_signed() <= opened);
            }
        }
        let per_key = written.len() as i64 / opened;
        assert!(opened > 50 && per_key > WRITES_PER_KEY / 2, "{opened} keys of {per_key} writes");
    }

    #[test]
    fn lengths_and_reads_are_evenly_spread_and_keys_are_not() {
        let (made, _) = made(4000);
        let of_length = |length| made.iter().filter(|txn| txn.len() == length).count();
        assert!((1..=4).all(|length| (900..1100).contains(&of_length(length))));
        let micros = made.iter().flatten().count();
        let reads = made.iter().flatten().filter(|micro| matches!(micro, Micro::Read(_))).count();
        assert!((45..55).contains(&(100 * reads / micros)));
        let keys = |txns: &[Vec<Micro>]| {
            let mut uses = std::collections::BTreeMap::new();
            txns.iter().flatten().for_each(|micro| *uses.entry(micro.key()).or_insert(0) += 1);
            uses
        };
        let early = keys(&made[..30]);
        assert!(
            early.values().max() > Some(&(4 * early.values().min().expect("a key"))),
            "{early:?}"
        );
    }

    #[test]
    fn final_reads_cover_every_key() {
        let opened = Fresh::default();
        assert!((0..20).map(|_| opened.next()).eq(1..=20));
        let reads = final_reads(Kind { read: Micro::List, write: Micro::Append }, &opened);
        let keys: Vec<u64> = reads.iter().flatten().map(Micro::key).collect();
        assert_eq!((keys, reads.len()), ((1..=20).collect::<Vec<_>>(), 3));
    }
}
