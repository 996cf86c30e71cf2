//! Says who counts: the voters, the learners, and the joint rule by which one set of voters turns
//! into another.
//!
//! A configuration is an entry of the log and in force from the moment it is appended, committed or
//! not (thesis §4.1). While two sets of voters are in force nothing is decided without a majority of
//! each (thesis §4.3), so no two majorities of any two configurations that follow one another can
//! decide without a server in common. A server's number is never given to another.

use super::{ServerId, quorum};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use serde::{Deserialize, Serialize};

/// Who takes part, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Who votes, and whose copies count.
    pub voters: BTreeSet<ServerId>,
    /// Who did before, while both sets decide together; empty otherwise.
    pub outgoing: BTreeSet<ServerId>,
    /// Who gets the log, and votes as soon as it has caught up.
    pub joining: BTreeSet<ServerId>,
    /// Who gets the log and never votes.
    pub learners: BTreeSet<ServerId>,
    /// The voters that go when all who join have come.
    pub leaving: BTreeSet<ServerId>,
    /// What the body knows newcomers by.
    pub contacts: BTreeMap<ServerId, String>,
    /// The number of the next newcomer.
    pub next: ServerId,
}

/// What is to be different.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipChange {
    /// Newcomers that are to vote, as the body knows them.
    pub add_voters: Vec<String>,
    /// Newcomers that only get the log.
    pub add_learners: Vec<String>,
    /// Who goes: where somebody is to be added, when those have caught up.
    pub remove: BTreeSet<ServerId>,
}

/// Why a change is not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeError {
    /// Another change is not committed yet, or the leader has not committed anything in its term
    /// (Ongaro, raft-dev 2015: two changes may otherwise miss each other).
    Busy,
    /// No voter would be left.
    NoVoters,
    /// Who is to go is no member.
    NotAMember(ServerId),
    /// It changes nothing.
    NoChange,
}

impl Membership {
    /// These voters, and nobody else.
    pub fn from_voters(voters: &[ServerId]) -> Self {
        let next = voters.iter().max().map_or(1, |last| last.saturating_add(1));
        Self { voters: voters.iter().copied().collect(), next, ..Self::default() }
    }

    /// Whether two sets of voters decide together.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether a server votes, in either set.
    pub fn is_voter(&self, id: ServerId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// Whether a server takes part.
    pub fn contains(&self, id: ServerId) -> bool {
        self.is_voter(id) || self.joining.contains(&id) || self.learners.contains(&id)
    }

    /// Everybody who takes part.
    pub fn members(&self) -> BTreeSet<ServerId> {
        let sets = [&self.voters, &self.outgoing, &self.joining, &self.learners];
        sets.into_iter().flatten().copied().collect()
    }

    /// Everybody who votes, in either set.
    pub fn voting_members(&self) -> BTreeSet<ServerId> {
        self.voters.union(&self.outgoing).copied().collect()
    }

    /// Whether a majority of each set says yes.
    pub(super) fn has_quorum(&self, yes: impl Fn(ServerId) -> bool) -> bool {
        let majority = |set: &BTreeSet<ServerId>| {
            set.iter().filter(|id| yes(**id)).count() >= quorum::majority_size(set.len())
        };
        majority(&self.voters) && (!self.is_joint() || majority(&self.outgoing))
    }

    /// The greatest number that a majority of each set has reached.
    pub(super) fn quorum_index(&self, value: impl Fn(ServerId) -> u64) -> u64 {
        let by = |set: &BTreeSet<ServerId>| {
            quorum::quorum_index(set.iter().map(|id| value(*id)).collect())
        };
        let new = by(&self.voters);
        if self.is_joint() { new.min(by(&self.outgoing)) } else { new }
    }

    /// The configuration that a change begins with.
    pub(super) fn begin_change(&self, change: &MembershipChange) -> Result<Self, ChangeError> {
        if let Some(id) = change.remove.iter().find(|id| !self.contains(**id)) {
            return Err(ChangeError::NotAMember(*id));
        }
        let mut next = self.clone();
        next.joining.retain(|id| !change.remove.contains(id));
        next.learners.retain(|id| !change.remove.contains(id));
        if next.joining.is_empty() {
            next.leaving.clear();
        }
        for contact in &change.add_voters {
            let id = next.allocate_id(contact);
            next.joining.insert(id);
        }
        for contact in &change.add_learners {
            let id = next.allocate_id(contact);
            next.learners.insert(id);
        }
        next.leaving.extend(change.remove.intersection(&self.voters));
        if next.voters.difference(&next.leaving).next().is_none() && next.joining.is_empty() {
            return Err(ChangeError::NoVoters);
        }
        let next = if next.joining.is_empty() { next.enter_joint() } else { next };
        if next == *self { Err(ChangeError::NoChange) } else { Ok(next) }
    }

    fn allocate_id(&mut self, contact: &str) -> ServerId {
        let id = self.next;
        self.next = id.saturating_add(1);
        self.contacts.insert(id, contact.into());
        id
    }

    /// The configuration in which those who join vote and those who leave do not, beside the set of
    /// voters before, if that is another one.
    pub(super) fn enter_joint(&self) -> Self {
        let mut next = self.clone();
        next.voters.extend(&self.joining);
        next.voters.retain(|id| !self.leaving.contains(id));
        if next.voters != self.voters {
            next.outgoing = self.voters.clone();
        }
        next.joining.clear();
        next.leaving.clear();
        next.drop_unused_contacts();
        next
    }

    /// The configuration after a joint one.
    pub(super) fn leave_joint(&self) -> Self {
        let mut next = Self { outgoing: BTreeSet::new(), ..self.clone() };
        next.drop_unused_contacts();
        next
    }

    fn drop_unused_contacts(&mut self) {
        let members = self.members();
        self.contacts.retain(|id, _| members.contains(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn set(ids: &[ServerId]) -> BTreeSet<ServerId> {
        ids.iter().copied().collect()
    }

    #[test]
    fn a_voter_is_replaced_when_the_newcomer_has_caught_up() {
        let three = Membership::from_voters(&[1, 2, 3]);
        let change = MembershipChange {
            add_voters: vec!["d".into()],
            remove: set(&[2]),
            ..MembershipChange::default()
        };
        let joining = three.begin_change(&change).expect("a sound change");
        assert_eq!((&joining.voters, &joining.joining), (&three.voters, &set(&[4])));
        let joint = joining.enter_joint();
        assert_eq!((&joint.voters, &joint.outgoing), (&set(&[1, 3, 4]), &three.voters));
        let settled = joint.leave_joint();
        assert_eq!(
            (&settled.voters, settled.is_joint(), settled.next),
            (&set(&[1, 3, 4]), false, 5)
        );
        assert_eq!(settled.contacts.keys().copied().collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn who_gives_up_joining_takes_nobody_along() {
        let change = MembershipChange {
            add_voters: vec!["d".into()],
            remove: set(&[2]),
            ..MembershipChange::default()
        };
        let joining =
            Membership::from_voters(&[1, 2, 3]).begin_change(&change).expect("a sound change");
        let back = MembershipChange { remove: set(&[4]), ..MembershipChange::default() };
        let after = joining.begin_change(&back).expect("a sound change");
        assert_eq!((after.voters, after.leaving, after.next), (set(&[1, 2, 3]), set(&[]), 5));
    }

    #[test]
    fn what_makes_no_sense_is_not_begun() {
        let one = Membership::from_voters(&[1]);
        let remove =
            |ids: &[ServerId]| MembershipChange { remove: set(ids), ..MembershipChange::default() };
        assert_eq!(one.begin_change(&remove(&[1])), Err(ChangeError::NoVoters));
        assert_eq!(one.begin_change(&remove(&[2])), Err(ChangeError::NotAMember(2)));
        assert_eq!(one.begin_change(&MembershipChange::default()), Err(ChangeError::NoChange));
    }

    fn some_set() -> impl Strategy<Value = BTreeSet<ServerId>> {
        prop::collection::btree_set(1u64..8, 1..6)
    }

    proptest! {
        /// Deciding needs a server in common: with the set before, and with the set after.
        #[test]
        fn what_two_sets_decide_neither_decides_alone(
            voters in some_set(), outgoing in some_set(), yes in prop::collection::btree_set(1u64..8, 0..8)
        ) {
            let no = |id: ServerId| !yes.contains(&id);
            let joint = Membership { voters: voters.clone(), outgoing: outgoing.clone(), ..Membership::default() };
            for alone in [voters, outgoing] {
                let alone = Membership { voters: alone, ..Membership::default() };
                prop_assert!(!(joint.has_quorum(|id| yes.contains(&id)) && alone.has_quorum(no)));
            }
        }

        /// Counting values is asking, for each number, who has reached it.
        #[test]
        fn reaching_is_agreeing(
            voters in some_set(), outgoing in prop::collection::btree_set(1u64..8, 0..6),
            values in prop::collection::vec(0u64..5, 8)
        ) {
            let joint = Membership { voters, outgoing, ..Membership::default() };
            let value = |id: ServerId| values[id as usize];
            let obvious = (0..5).rev().find(|n| joint.has_quorum(|id| value(id) >= *n)).unwrap_or(0);
            prop_assert_eq!(joint.quorum_index(value), obvious);
        }
    }

    #[test]
    fn nobody_decides_for_nobody() {
        assert!(!Membership::default().has_quorum(|_| true));
        assert_eq!(Membership::default().quorum_index(|_| 7), 0);
    }
}
