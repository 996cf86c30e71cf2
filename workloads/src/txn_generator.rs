//! Generates transactions of reads and writes whose written values are unique per key.

use crate::call::MicroOp;
use crate::key_choice::{KeyChoice, Skew};
use crate::rng::Rng;
use crate::sequence::Sequence;

/// The number of active keys, unless another one is asked for.
const ACTIVE_KEYS: usize = 5;
/// With more keys than this, doubling the share of each would starve most of them.
const MAX_DOUBLED_KEYS: usize = 16;
/// Writes after which a key is retired.
const WRITES_PER_KEY: i64 = 64;
/// The maximum length of a transaction, in micro-operations.
const MAX_LENGTH: u64 = 4;
/// The number of keys that one final transaction reads.
const KEYS_PER_FINAL_READ: u64 = 8;

/// The read and write micro-operations of a kind of transaction.
#[derive(Clone, Copy)]
pub(crate) struct TxnKind {
    /// Reads a key.
    pub(crate) read: fn(u64) -> MicroOp,
    /// Writes a value to a key.
    pub(crate) write: fn(u64, i64) -> MicroOp,
}

/// Generates transactions like Elle's generators: 1 to 4 micro-operations, half of them reads, on
/// keys of exponentially distributed popularity that are retired after a number of writes.
pub(crate) struct TxnGenerator {
    rng: Rng,
    kind: TxnKind,
    /// The active keys, each with the number of writes to it.
    active: Vec<(u64, i64)>,
    keys: Sequence,
    skew: Option<Skew>,
}

impl TxnGenerator {
    /// Creates a generator that takes its keys from this sequence.
    pub(crate) fn new(rng: Rng, kind: TxnKind, keys: Sequence, choice: KeyChoice) -> Self {
        let count = choice.count.unwrap_or(ACTIVE_KEYS);
        let active = (0..count).map(|_| (keys.next_number().unsigned_abs(), 0)).collect();
        let skew = choice.skew.or((count > MAX_DOUBLED_KEYS).then_some(Skew::Zipf));
        Self { rng, kind, active, keys, skew }
    }

    /// Generates the next transaction.
    pub(crate) fn next_txn(&mut self) -> Vec<MicroOp> {
        let length = self.rng.between(1, MAX_LENGTH + 1);
        (0..length).map(|_| self.next_op()).collect()
    }

    fn next_op(&mut self) -> MicroOp {
        let place = self.pick_key();
        let reads = self.rng.percent_chance(50);
        let (key, written) = &mut self.active[place];
        if reads {
            return (self.kind.read)(*key);
        }
        *written += 1;
        let write = (self.kind.write)(*key, *written);
        if *written == WRITES_PER_KEY {
            self.active[place] = (self.keys.next_number().unsigned_abs(), 0);
        }
        write
    }

    /// Picks the position of an active key; without a skew, each is twice as likely as the one
    /// before.
    fn pick_key(&mut self) -> usize {
        let count = self.active.len();
        if let Some(skew) = self.skew {
            return skew.pick_position(count, &mut self.rng);
        }
        let draw = self.rng.below((1 << count) - 1);
        (draw + 1).ilog2() as usize
    }
}

/// Transactions that read every key ever used, a few keys each.
pub(crate) fn final_reads(kind: TxnKind, keys: &Sequence) -> Vec<Vec<MicroOp>> {
    let keys: Vec<u64> = (1..=keys.last_number().unsigned_abs()).collect();
    let read = |keys: &[u64]| keys.iter().map(|key| (kind.read)(*key)).collect();
    keys.chunks(KEYS_PER_FINAL_READ as usize).map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn generate_txns(count: usize) -> (Vec<Vec<MicroOp>>, i64) {
        let opened = Sequence::default();
        let kind = TxnKind { read: MicroOp::Read, write: MicroOp::Write };
        let choice = KeyChoice::default();
        let mut transactions = TxnGenerator::new(Rng::new(3), kind, opened.clone(), choice);
        ((0..count).map(|_| transactions.next_txn()).collect(), opened.last_number())
    }

    #[test]
    fn values_are_unique_per_key_and_keys_are_retired() {
        let (transactions, opened) = generate_txns(4000);
        let mut written = BTreeSet::new();
        for micro in transactions.iter().flatten() {
            if let MicroOp::Write(key, value) = micro {
                assert!(written.insert((*key, *value)), "{value} written twice to {key}");
                assert!(*value <= WRITES_PER_KEY && key.cast_signed() <= opened);
            }
        }
        let per_key = written.len() as i64 / opened;
        assert!(opened > 50 && per_key > WRITES_PER_KEY / 2, "{opened} keys of {per_key} writes");
    }

    #[test]
    fn lengths_and_reads_are_uniform_and_keys_are_skewed() {
        let (transactions, _) = generate_txns(4000);
        let of_length = |length| transactions.iter().filter(|txn| txn.len() == length).count();
        assert!((1..=4).all(|length| (900..1100).contains(&of_length(length))));
        let micros = transactions.iter().flatten().count();
        let reads =
            transactions.iter().flatten().filter(|micro| matches!(micro, MicroOp::Read(_))).count();
        assert!((45..55).contains(&(100 * reads / micros)));
        let keys = |txns: &[Vec<MicroOp>]| {
            let mut uses = std::collections::BTreeMap::new();
            txns.iter().flatten().for_each(|micro| *uses.entry(micro.key()).or_insert(0) += 1);
            uses
        };
        let early = keys(&transactions[..30]);
        assert!(
            early.values().max() > Some(&(4 * early.values().min().expect("a key"))),
            "{early:?}"
        );
    }

    #[test]
    fn final_reads_cover_every_key() {
        let opened = Sequence::default();
        assert!((0..20).map(|_| opened.next_number()).eq(1..=20));
        let reads =
            final_reads(TxnKind { read: MicroOp::ReadList, write: MicroOp::Append }, &opened);
        let keys: Vec<u64> = reads.iter().flatten().map(MicroOp::key).collect();
        assert_eq!((keys, reads.len()), ((1..=20).collect::<Vec<_>>(), 3));
    }
}
