//! Draws every random choice of a run from its seed, so that a seed in a bug report replays for
//! years.
//!
//! The stream is ChaCha8, whose output its specification fixes. The few distributions are
//! implemented here, because another crate may change its own. [`Rng::fork`] derives an independent
//! stream from a label and not from the position of the stream, so a new consumer does not shift
//! the choices of the others.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// A seeded stream of random choices.
#[derive(Clone, Debug)]
pub struct Rng {
    key: u64,
    stream: ChaCha8Rng,
}

impl Rng {
    /// The root stream of a run.
    pub fn new(seed: u64) -> Self {
        Self { key: seed, stream: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Derives the stream named `label`; it does not depend on what was drawn so far.
    pub fn fork(&self, label: &str) -> Self {
        Self::new(fnv1a(self.key, label.as_bytes()))
    }

    /// A uniform number in `0..bound`; `bound` must not be 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below 0");
        // Rejecting the incomplete last range avoids modulo bias.
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let draw = self.stream.next_u64();
            if draw < limit {
                return draw % bound;
            }
        }
    }

    /// A uniform number in `low..high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    /// True with a probability of `percent` %.
    pub fn percent_chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A uniform number in `[0, 1)`.
    pub fn unit_float(&mut self) -> f64 {
        // 53 bits are what a double holds.
        (self.stream.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A uniformly chosen item; `None` if there are none.
    pub fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let length = u64::try_from(items.len()).ok().filter(|length| *length > 0)?;
        items.get(usize::try_from(self.below(length)).ok()?)
    }

    /// Shuffles the items (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let pick = self.below(last as u64 + 1) as usize;
            items.swap(last, pick);
        }
    }
}

/// 64-bit FNV-1a, seeded with `key`: a published function that, unlike the standard library's
/// hasher, never changes.
fn fnv1a(key: u64, bytes: &[u8]) -> u64 {
    let start = 0xcbf2_9ce4_8422_2325_u64 ^ key.rotate_left(17);
    key.to_le_bytes()
        .iter()
        .chain(bytes)
        .fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_yields_the_same_stream() {
        let mut rng = Rng::new(42);
        let drawn: Vec<u64> = (0..6).map(|_| rng.below(1000)).collect();
        assert_eq!(drawn, [737, 312, 20, 866, 744, 838]);
    }

    #[test]
    fn a_fork_does_not_depend_on_what_was_drawn() {
        let mut rng = Rng::new(7);
        let before = rng.fork("clients").below(u64::MAX);
        rng.below(10);
        assert_eq!(before, rng.fork("clients").below(u64::MAX));
        assert_ne!(before, rng.fork("nemesis").below(u64::MAX));
    }

    #[test]
    fn draws_are_roughly_uniform() {
        let mut rng = Rng::new(1);
        let mut counts = [0; 5];
        for _ in 0..5000 {
            counts[rng.below(5) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..50).collect();
        Rng::new(3).shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
