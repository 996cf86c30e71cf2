//! Counts majorities: whatever two quorums of the same voters decide, one server took part in both.

use alloc::vec::Vec;

/// How many of `voters` are a majority.
pub(super) fn majority_size(voters: usize) -> usize {
    voters / 2 + 1
}

/// The greatest number that a majority has reached, where each voter has reached one of `values`.
pub(super) fn quorum_index(mut values: Vec<u64>) -> u64 {
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.get(majority_size(values.len()) - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_asking_every_voter(values in proptest::collection::vec(0u64..6, 1..8)) {
            let has = |n: u64| values.iter().filter(|v| **v >= n).count() >= majority_size(values.len());
            let obvious = (0..6).rev().find(|n| has(*n)).unwrap_or(0);
            prop_assert_eq!(quorum_index(values.clone()), obvious);
        }
    }

    #[test]
    fn nobody_reaches_nothing() {
        assert_eq!(quorum_index(Vec::new()), 0);
    }
}
