//! Counts majorities: any two majorities of the same voters share a server.

use alloc::vec::Vec;

/// Returns how many of `voters` are a majority.
pub(super) fn majority_size(voters: usize) -> usize {
    voters / 2 + 1
}

/// Returns the greatest index that a majority has reached, given the index of each voter.
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
        fn agrees_with_counting_each_voter(values in proptest::collection::vec(0u64..6, 1..8)) {
            let count = |n: u64| values.iter().filter(|v| **v >= n).count();
            let has_majority = |n: &u64| count(*n) >= majority_size(values.len());
            let expected = (0..6).rev().find(has_majority).unwrap_or(0);
            prop_assert_eq!(quorum_index(values.clone()), expected);
        }
    }

    #[test]
    fn without_voters_the_quorum_index_is_zero() {
        assert_eq!(quorum_index(Vec::new()), 0);
    }
}
