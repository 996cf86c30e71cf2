//! Draws the random numbers of one server: the same seed and id give the same numbers.
//!
//! The generator is SplitMix64 (Steele, Lea and Flood, OOPSLA 2014), with eight bytes of state.
//! Servers whose seeds differ by one draw unrelated numbers, which is what breaks split votes
//! (paper §5.2).

use super::types::ServerId;

/// A stream of random numbers.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Creates the stream of one server. The id is mixed in: servers with the same seed would draw
    /// the same timeouts and split every vote.
    pub(super) fn new(seed: u64, id: ServerId) -> Self {
        let mut own = Self(id);
        Self(seed ^ own.next_u64())
    }

    /// Draws the next number.
    pub(super) fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Draws a timeout from `base .. 2 * base`, as etcd does.
    pub(super) fn draw_timeout(&mut self, base: u32) -> u32 {
        let jitter = self.next_u64() % u64::from(base.max(1));
        base.max(1).saturating_add(jitter as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_the_whole_range_and_nothing_outside_it() {
        let mut random = Random::new(7, 1);
        let mut seen = [0; 30];
        for _ in 0..1000 {
            seen[random.draw_timeout(10) as usize] += 1;
        }
        assert!(seen.iter().enumerate().all(|(n, count)| (*count > 0) == (10..20).contains(&n)));
    }

    #[test]
    fn servers_with_the_same_seed_draw_different_numbers() {
        let draw = |id| Random::new(7, id).next_u64();
        assert!(draw(1) != draw(2) && draw(2) != draw(3));
    }
}
