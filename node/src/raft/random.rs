//! Draws the numbers of one server: the same seed and the same server give the same numbers for
//! ever.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): eight bytes of state, and
//! servers whose seeds differ by one still draw unlike numbers, which is what breaks split votes
//! (paper §5.2).

use super::ServerId;

/// A stream of numbers.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The stream of one server.
    pub(super) fn new(seed: u64, id: ServerId) -> Self {
        let mut own = Self(id);
        Self(seed ^ own.next())
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of `base .. 2 * base`.
    pub(super) fn draw_timeout(&mut self, base: u32) -> u32 {
        let spread = self.next() % u64::from(base.max(1));
        base.max(1).saturating_add(spread as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_the_whole_range_and_nothing_else() {
        let mut random = Random::new(7, 1);
        let mut seen = [0; 30];
        for _ in 0..1000 {
            seen[random.draw_timeout(10) as usize] += 1;
        }
        assert!(seen.iter().enumerate().all(|(n, count)| (*count > 0) == (10..20).contains(&n)));
    }

    #[test]
    fn servers_of_one_seed_differ() {
        let draw = |id| Random::new(7, id).next();
        assert!(draw(1) != draw(2) && draw(2) != draw(3));
    }
}
