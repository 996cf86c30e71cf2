//! Chooses how many keys clients use at a time, and how often each of them.

use crate::rng::Rng;

/// Of 100 calls, how many use the hot key.
const HOT_PERCENT: u64 = 80;
/// The share of the first key under Zipf's law, in parts that divide well.
const ZIPF_UNIT: u64 = 1_000_000;

/// How often the keys in use are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skew {
    /// Four of five times the same one.
    Hot,
    /// Each as often as every other.
    Uniform,
    /// By Zipf's law: the second half as often as the first, the third a third as often.
    Zipf,
}

impl Skew {
    /// The skew of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "hot" => Some(Self::Hot),
            "uniform" => Some(Self::Uniform),
            "zipf" => Some(Self::Zipf),
            _ => None,
        }
    }

    /// Picks one of so many positions, at least one.
    pub(crate) fn pick_position(self, count: usize, rng: &mut Rng) -> usize {
        let all = count as u64;
        match self {
            Self::Uniform => rng.below(all) as usize,
            Self::Hot if all == 1 || rng.percent_chance(HOT_PERCENT) => 0,
            Self::Hot => rng.between(1, all) as usize,
            Self::Zipf => {
                let weight = |position: u64| ZIPF_UNIT / (position + 1);
                let mut left = rng.below((0..all).map(weight).sum());
                let mut position = 0;
                while left >= weight(position) {
                    left -= weight(position);
                    position += 1;
                }
                position as usize
            }
        }
    }
}

/// How many keys are in use at a time, and how often each; `None` leaves it to the workload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyChoice {
    /// How many.
    pub count: Option<usize>,
    /// How often each.
    pub skew: Option<Skew>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count_picks(skew: Skew, count: usize) -> Vec<usize> {
        let mut rng = Rng::new(5);
        let mut picks = vec![0; count];
        (0..10_000).for_each(|_| picks[skew.pick_position(count, &mut rng)] += 1);
        picks
    }

    #[test]
    fn the_shares_of_keys_are_those_of_the_skew() {
        let uniform = count_picks(Skew::Uniform, 4);
        assert!(uniform.iter().all(|picks| (2_300..2_700).contains(picks)), "{uniform:?}");
        let hot = count_picks(Skew::Hot, 5);
        assert!((7_800..8_200).contains(&hot[0]), "{hot:?}");
        assert!(hot[1..].iter().all(|picks| (400..600).contains(picks)), "{hot:?}");
        // 1, 1/2, 1/3 and 1/4 of 12/25.
        let zipf = count_picks(Skew::Zipf, 4);
        let expected = [4_800, 2_400, 1_600, 1_200];
        assert!(zipf.iter().zip(expected).all(|(it, all)| it.abs_diff(all) < 200), "{zipf:?}");
    }

    #[test]
    fn one_key_is_picked_whatever_the_skew() {
        for name in ["hot", "uniform", "zipf"] {
            let skew = Skew::parse(name).expect("it exists");
            assert_eq!(count_picks(skew, 1), [10_000], "{name}");
        }
        assert_eq!(Skew::parse("cold"), None);
    }
}
