//! Spreads the leaders of several groups over the members: each group has an order of preference
//! among its voters, and whoever leads it hands it to the first who could take over at once.
//!
//! The orders are such that each voter is the first of as many groups as any other, and that the
//! groups of one that is gone fall to all the others alike. Nothing depends on anybody agreeing: a
//! leader asks only what it sees itself.

use super::Driver;
use crate::raft::{Input, Role, ServerId};
use crate::wal::Group;

/// For how many ticks a replica leads before it thinks of handing over: a new leader has enough to do.
const SETTLED: u32 = 200;
/// How many ticks lie between two thoughts of it.
const PAUSE: u32 = 50;

impl Driver {
    /// Hands this group to whoever should lead it, where there are several.
    pub(super) fn spread(&mut self) {
        let leads = self.groups > 1 && self.raft.status().role == Role::Leader;
        self.memory.led = if leads { self.memory.led.saturating_add(1) } else { 0 };
        if self.memory.led < SETTLED || !self.memory.led.is_multiple_of(PAUSE) {
            return;
        }
        let voters: Vec<ServerId> = self.raft.membership().voters.iter().copied().collect();
        let me = self.members.me();
        let could = |id: &ServerId| *id == me || self.raft.is_ready_to_lead(*id);
        let best = preference(self.group, &voters).into_iter().find(could);
        if let Some(to) = best.filter(|to| *to != me) {
            self.log
                .line(format_args!("hands over to {}, to spread leaders", self.members.name(to)));
            self.step(Input::TransferLeadership { to });
        }
    }
}

/// Who should lead the group, best first: groups take turns in who is first, and those with the same
/// first in who is next.
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
    use std::collections::BTreeMap;

    /// How many of so many groups each voter leads, when those who are gone cannot.
    fn load(groups: Group, voters: &[ServerId], gone: &[ServerId]) -> Vec<usize> {
        let mut led: BTreeMap<ServerId, usize> = BTreeMap::new();
        for group in 0..groups {
            let order = preference(group, voters);
            let first = order.iter().find(|id| !gone.contains(id)).expect("somebody is left");
            *led.entry(*first).or_default() += 1;
        }
        led.into_values().collect()
    }

    #[test]
    fn each_leads_as_many_as_any_other_whoever_is_gone() {
        assert_eq!(load(3, &[1, 2, 3], &[]), [1, 1, 1]);
        assert_eq!(load(6, &[1, 2, 3], &[2]), [3, 3]);
        assert_eq!(load(20, &[1, 2, 3, 4, 5], &[5]), [5, 5, 5, 5]);
        assert_eq!(load(60, &[1, 2, 3, 4, 5], &[1, 4]), [20, 20, 20]);
        assert_eq!(load(64, &[7], &[]), [64]);
    }

    #[test]
    fn an_order_has_everybody_once() {
        for group in 0..200 {
            let mut order = preference(group, &[2, 3, 5, 8]);
            order.sort_unstable();
            assert_eq!(order, [2, 3, 5, 8]);
        }
    }
}
