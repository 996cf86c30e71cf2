//! Draws what a network or a disk leaves to chance, from a seed: the same draws for years.
//!
//! The stream is ChaCha8, whose output its specification fixes. [`Rng::fork`] derives an
//! independent stream from a label and not from the position of the stream, so a new consumer does
//! not shift the choices of the others.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng as _, SeedableRng as _};

/// A seeded stream of random choices.
#[derive(Clone, Debug)]
pub(crate) struct Rng {
    seed: u64,
    stream: ChaCha8Rng,
}

impl Rng {
    /// The stream of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, stream: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Derives the stream named `label`; it does not depend on what was drawn so far.
    pub(crate) fn fork(&self, label: &str) -> Self {
        // 64-bit FNV-1a: unlike the standard library's hasher, it never changes.
        let bytes = self.seed.to_le_bytes().into_iter().chain(label.bytes());
        let start = 0xcbf2_9ce4_8422_2325_u64 ^ self.seed.rotate_left(17);
        let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self::new(bytes.fold(start, mix))
    }

    /// A uniform number in `0..bound`; `bound` must not be 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // Rejecting the incomplete last range avoids modulo bias.
        let limit = u64::MAX - u64::MAX % bound;
        let mut draws = std::iter::repeat_with(|| self.stream.next_u64());
        draws.find(|draw| *draw < limit).map_or(0, |draw| draw % bound)
    }

    /// A uniform number in `low..high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low)
    }

    /// A uniformly chosen item; `None` if there are none.
    pub(crate) fn choose<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let length = u64::try_from(items.len()).ok().filter(|length| *length > 0)?;
        items.get(usize::try_from(self.below(length)).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_its_forks_always_yield_the_same_streams() {
        let mut rng = Rng::new(42);
        let drawn: Vec<u64> = (0..6).map(|_| rng.below(1000)).collect();
        assert_eq!(drawn, [737, 312, 20, 866, 744, 838]);
        let mut fork = rng.fork("switch").fork("n1 to n2");
        assert_eq!([fork.below(1000), fork.between(1000, 2000)], [725, 1604]);
        assert_eq!(fork.choose(&['a', 'b', 'c']), Some(&'c'));
        assert_eq!(fork.choose::<u8>(&[]), None);
    }
}
