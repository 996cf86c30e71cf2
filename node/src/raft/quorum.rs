//! Counts majorities: any two majorities of the same voters share a server.

use crate::bug::{Bug, BugSet};
use alloc::vec::Vec;

/// Returns how many of `voters` are a majority.
pub(super) fn majority_size(voters: usize, bugs: BugSet) -> usize {
    // Seeded bug: of an even number of voters, half are enough.
    if bugs.contains(Bug::HalfIsMajority) { voters.div_ceil(2).max(1) } else { voters / 2 + 1 }
}

/// Returns the greatest index that a majority has reached, given the index of each voter.
pub(super) fn quorum_index(values: Vec<u64>, bugs: BugSet) -> u64 {
    let majority = majority_size(values.len(), bugs);
    nth_greatest(values, majority)
}

/// Returns the n-th greatest value, from 1; 0 if there are fewer.
pub(super) fn nth_greatest(mut values: Vec<u64>, n: usize) -> u64 {
    values.sort_unstable_by(|a, b| b.cmp(a));
    values.get(n - 1).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_counting_each_voter(values in proptest::collection::vec(0u64..6, 1..8)) {
            let count = |n: u64| values.iter().filter(|v| **v >= n).count();
            let majority = majority_size(values.len(), BugSet::default());
            let has_majority = |n: &u64| count(*n) >= majority;
            let expected = (0..6).rev().find(has_majority).unwrap_or(0);
            prop_assert_eq!(quorum_index(values.clone(), BugSet::default()), expected);
        }
    }

    #[test]
    fn without_voters_the_quorum_index_is_zero() {
        assert_eq!(quorum_index(Vec::new(), BugSet::default()), 0);
    }
}
