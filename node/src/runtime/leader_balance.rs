//! Spreads the leaders of several groups over the members: each group has an order of preference
//! among its voters, and its leader transfers leadership to the first voter that could take over at
//! once.
//!
//! Each voter is the first of as many groups as any other, and the groups of a voter that is down
//! fall to all others alike. The replicas need not agree: a leader uses only what it observes.

use crate::raft::ServerId;
use crate::wal::Group;
use alloc::vec::Vec;

/// For how many ticks a replica leads before it considers a transfer: a new leader is busy.
const SETTLED: u32 = 200;
/// How many ticks lie between two considerations.
const PAUSE: u32 = 50;

/// What a group needs to balance leaders.
#[derive(Debug)]
pub(super) struct LeaderBalance {
    group: Group,
    groups: Group,
    /// For how many ticks this replica has led.
    led: u32,
}

impl LeaderBalance {
    /// Of this group, of so many.
    pub(super) fn new(group: Group, groups: Group) -> Self {
        Self { group, groups, led: 0 }
    }

    /// Counts a tick; whether it is time to consider a transfer.
    pub(super) fn is_due(&mut self, leads: bool) -> bool {
        self.led = if leads && self.groups > 1 { self.led.saturating_add(1) } else { 0 };
        self.led >= SETTLED && self.led.is_multiple_of(PAUSE)
    }

    /// The voters in the order in which they should lead the group.
    pub(super) fn preference(&self, voters: &[ServerId]) -> Vec<ServerId> {
        preference(self.group, voters)
    }
}

/// The voters in the order in which they should lead the group: groups take turns in which voter is
/// first, and those with the same first in which is next.
fn preference(group: Group, voters: &[ServerId]) -> Vec<ServerId> {
    let mut order = voters.to_vec();
    let Ok(group) = usize::try_from(group) else { return order };
    // The digits of the group's number, to the bases n, n - 1, …: every order has its turn.
    let mut rest = group;
    for from in 0..order.len() {
        let left = order.len() - from;
        order[from..].rotate_left(rest % left);
        rest /= left;
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;

    /// How many of so many groups each voter leads, when those that are gone cannot.
    fn load(groups: Group, voters: &[ServerId], gone: &[ServerId]) -> Vec<usize> {
        let mut led: BTreeMap<ServerId, usize> = BTreeMap::new();
        for group in 0..groups {
            let order = preference(group, voters);
            let first = order.iter().find(|id| !gone.contains(id)).expect("a voter is left");
            *led.entry(*first).or_default() += 1;
        }
        led.into_values().collect()
    }

    #[test]
    fn each_voter_leads_as_many_groups_as_any_other() {
        assert_eq!(load(3, &[1, 2, 3], &[]), [1, 1, 1]);
        assert_eq!(load(6, &[1, 2, 3], &[2]), [3, 3]);
        assert_eq!(load(20, &[1, 2, 3, 4, 5], &[5]), [5, 5, 5, 5]);
        assert_eq!(load(60, &[1, 2, 3, 4, 5], &[1, 4]), [20, 20, 20]);
        assert_eq!(load(64, &[7], &[]), [64]);
    }

    #[test]
    fn an_order_has_every_voter_once() {
        for group in 0..200 {
            let mut order = preference(group, &[2, 3, 5, 8]);
            order.sort_unstable();
            assert_eq!(order, [2, 3, 5, 8]);
        }
    }
}
