//! Spreads the leaders of several groups over the members: each group has an order of preference
//! among its voters, and its leader transfers leadership to the first voter that could take over at
//! once.
//!
//! Each voter is the first of as many groups as any other, and the groups of a voter that is down
//! fall to all others alike. The replicas need not agree: a leader uses only what it observes.

use crate::raft::ServerId;
use crate::wal::GroupId;
use alloc::vec::Vec;

/// For how many ticks a replica leads before it considers a transfer: a new leader is busy.
const MIN_LEADER_TICKS: u32 = 200;
/// How many ticks lie between two considerations.
const BALANCE_INTERVAL_TICKS: u32 = 50;

/// What a group needs to balance leaders.
#[derive(Debug)]
pub(super) struct LeaderBalance {
    group: GroupId,
    groups: GroupId,
    /// For how many ticks this replica has led.
    led_ticks: u32,
}

impl LeaderBalance {
    /// Of this group, of so many.
    pub(super) fn new(group: GroupId, groups: GroupId) -> Self {
        Self { group, groups, led_ticks: 0 }
    }

    /// Counts a tick; whether it is time to consider a transfer.
    pub(super) fn is_due(&mut self, leads: bool) -> bool {
        self.led_ticks =
            if leads && self.groups > 1 { self.led_ticks.saturating_add(1) } else { 0 };
        self.led_ticks >= MIN_LEADER_TICKS && self.led_ticks.is_multiple_of(BALANCE_INTERVAL_TICKS)
    }

    /// The voters in the order in which they should lead the group.
    pub(super) fn preferred_leaders(&self, voters: &[ServerId]) -> Vec<ServerId> {
        order_voters(self.group, voters)
    }
}

/// The voters in the order in which they should lead the group: groups take turns in which voter is
/// first, and those with the same first in which is next.
fn order_voters(group: GroupId, voters: &[ServerId]) -> Vec<ServerId> {
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
    fn leader_counts(groups: GroupId, voters: &[ServerId], gone: &[ServerId]) -> Vec<usize> {
        let mut led: BTreeMap<ServerId, usize> = BTreeMap::new();
        for group in 0..groups {
            let order = order_voters(group, voters);
            let first = order.iter().find(|id| !gone.contains(id)).expect("a voter is left");
            *led.entry(*first).or_default() += 1;
        }
        led.into_values().collect()
    }

    #[test]
    fn each_voter_leads_as_many_groups_as_any_other() {
        assert_eq!(leader_counts(3, &[1, 2, 3], &[]), [1, 1, 1]);
        assert_eq!(leader_counts(6, &[1, 2, 3], &[2]), [3, 3]);
        assert_eq!(leader_counts(20, &[1, 2, 3, 4, 5], &[5]), [5, 5, 5, 5]);
        assert_eq!(leader_counts(60, &[1, 2, 3, 4, 5], &[1, 4]), [20, 20, 20]);
        assert_eq!(leader_counts(64, &[7], &[]), [64]);
    }

    #[test]
    fn an_order_has_every_voter_once() {
        for group in 0..200 {
            let mut order = order_voters(group, &[2, 3, 5, 8]);
            order.sort_unstable();
            assert_eq!(order, [2, 3, 5, 8]);
        }
    }
}
