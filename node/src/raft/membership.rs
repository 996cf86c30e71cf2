//! Defines configurations: the voters, the learners, and the joint rule by which one set of voters
//! replaces another.
//!
//! A configuration is a log entry and in force from the moment it is appended, committed or not
//! (thesis §4.1). A joint configuration decides only with a majority of each of its two sets
//! (thesis §4.3). So majorities of consecutive configurations always share a server. A server's id
//! is never given to another server.

use super::quorum;
use super::types::ServerId;
use crate::bug::{Bug, BugSet};
use alloc::{
    collections::{BTreeMap, BTreeSet},
    string::String,
    vec::Vec,
};
use serde::{Deserialize, Serialize};

/// The members of a cluster and their parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The servers that vote and count towards a majority.
    pub voters: BTreeSet<ServerId>,
    /// The previous voters, while a joint configuration is in force; empty otherwise.
    pub outgoing: BTreeSet<ServerId>,
    /// Learners that become voters once they have caught up.
    pub joining: BTreeSet<ServerId>,
    /// Members that receive the log and never vote.
    pub learners: BTreeSet<ServerId>,
    /// The voters to remove when the joining members become voters.
    pub leaving: BTreeSet<ServerId>,
    /// The runtime's contact data of members that joined after the start.
    pub contacts: BTreeMap<ServerId, String>,
    /// The id of the next new member.
    pub next: ServerId,
}

/// A requested change of membership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipChange {
    /// The contact data of new voters.
    pub add_voters: Vec<String>,
    /// The contact data of new learners.
    pub add_learners: Vec<String>,
    /// The members to remove; voters stay until the new voters have caught up.
    pub remove: BTreeSet<ServerId>,
}

/// Why a change of membership did not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChangeError {
    /// Another change is not committed yet, or the leader has not committed an entry of its term.
    Busy,
    /// No voter would remain.
    NoVoters,
    /// A server to remove is not a member.
    NotAMember(ServerId),
    /// The change has no effect.
    NoChange,
}

impl Membership {
    /// Creates a configuration with these voters and no other members.
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

    /// Whether a server is a member.
    pub fn contains(&self, id: ServerId) -> bool {
        self.is_voter(id) || self.joining.contains(&id) || self.learners.contains(&id)
    }

    /// Returns all members.
    pub fn members(&self) -> BTreeSet<ServerId> {
        let sets = [&self.voters, &self.outgoing, &self.joining, &self.learners];
        sets.into_iter().flatten().copied().collect()
    }

    /// Returns all voters of either set.
    pub fn voting_members(&self) -> BTreeSet<ServerId> {
        self.voters.union(&self.outgoing).copied().collect()
    }

    /// Whether a majority of each set says yes. One majority of the union would let one set be
    /// outvoted, and elect two leaders (thesis §4.3).
    pub(super) fn has_quorum(&self, bugs: BugSet, yes: impl Fn(ServerId) -> bool) -> bool {
        let majority = |set: &BTreeSet<ServerId>| {
            set.iter().filter(|id| yes(**id)).count() >= quorum::majority_size(set.len(), bugs)
        };
        if bugs.contains(Bug::JointUnion) {
            return majority(&self.voting_members());
        }
        let alone = !self.is_joint() || bugs.contains(Bug::JointNewMajority);
        majority(&self.voters) && (alone || majority(&self.outgoing))
    }

    /// Returns the greatest index that a majority of each set has reached.
    pub(super) fn quorum_index(&self, bugs: BugSet, value: impl Fn(ServerId) -> u64) -> u64 {
        let by = |set: &BTreeSet<ServerId>| {
            quorum::quorum_index(set.iter().map(|id| value(*id)).collect(), bugs)
        };
        let new = by(&self.voters);
        let alone = !self.is_joint() || bugs.contains(Bug::JointNewMajority);
        if alone { new } else { new.min(by(&self.outgoing)) }
    }

    /// Returns the first configuration of a change.
    pub(super) fn begin_change(&self, change: &MembershipChange) -> Result<Self, ChangeError> {
        if let Some(id) = change.remove.iter().find(|id| !self.contains(**id)) {
            return Err(ChangeError::NotAMember(*id));
        }
        let mut next = self.clone();
        next.joining.retain(|id| !change.remove.contains(id));
        next.learners.retain(|id| !change.remove.contains(id));
        // The voters to remove were to be replaced by joining members. Without those they stay.
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
        // A configuration without voters could never decide anything again.
        if next.voters.difference(&next.leaving).next().is_none() && next.joining.is_empty() {
            return Err(ChangeError::NoVoters);
        }
        let next = if next.joining.is_empty() { next.enter_joint() } else { next };
        if next == *self { Err(ChangeError::NoChange) } else { Ok(next) }
    }

    /// Ids are never reused: a new server with an old id would inherit the acknowledgements and
    /// votes that others remember of the old one.
    fn allocate_id(&mut self, contact: &str) -> ServerId {
        let id = self.next;
        self.next = id.saturating_add(1);
        self.contacts.insert(id, contact.into());
        id
    }

    /// Returns the configuration in which joining members vote and leaving ones do not. It is
    /// joint with the current voters if the voters change.
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

    /// Returns the configuration that follows a joint one.
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

    fn id_set(ids: &[ServerId]) -> BTreeSet<ServerId> {
        ids.iter().copied().collect()
    }

    #[test]
    fn a_voter_is_replaced_once_the_new_one_has_caught_up() {
        let three = Membership::from_voters(&[1, 2, 3]);
        let change = MembershipChange {
            add_voters: vec!["d".into()],
            remove: id_set(&[2]),
            ..MembershipChange::default()
        };
        let joining = three.begin_change(&change).expect("a valid change");
        assert_eq!((&joining.voters, &joining.joining), (&three.voters, &id_set(&[4])));
        let joint = joining.enter_joint();
        assert_eq!((&joint.voters, &joint.outgoing), (&id_set(&[1, 3, 4]), &three.voters));
        let settled = joint.leave_joint();
        assert_eq!(
            (&settled.voters, settled.is_joint(), settled.next),
            (&id_set(&[1, 3, 4]), false, 5)
        );
        assert_eq!(settled.contacts.keys().copied().collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn removing_a_joining_member_keeps_the_voter_it_would_replace() {
        let change = MembershipChange {
            add_voters: vec!["d".into()],
            remove: id_set(&[2]),
            ..MembershipChange::default()
        };
        let joining =
            Membership::from_voters(&[1, 2, 3]).begin_change(&change).expect("a valid change");
        let back = MembershipChange { remove: id_set(&[4]), ..MembershipChange::default() };
        let after = joining.begin_change(&back).expect("a valid change");
        assert_eq!((after.voters, after.leaving, after.next), (id_set(&[1, 2, 3]), id_set(&[]), 5));
    }

    #[test]
    fn rejects_changes_without_effect_or_voters() {
        let one = Membership::from_voters(&[1]);
        let remove = |ids: &[ServerId]| MembershipChange {
            remove: id_set(ids),
            ..MembershipChange::default()
        };
        assert_eq!(one.begin_change(&remove(&[1])), Err(ChangeError::NoVoters));
        assert_eq!(one.begin_change(&remove(&[2])), Err(ChangeError::NotAMember(2)));
        assert_eq!(one.begin_change(&MembershipChange::default()), Err(ChangeError::NoChange));
    }

    fn some_set() -> impl Strategy<Value = BTreeSet<ServerId>> {
        prop::collection::btree_set(1u64..8, 1..6)
    }

    proptest! {
        /// A quorum of a joint configuration overlaps every quorum of either of its sets.
        #[test]
        fn joint_quorums_overlap_those_of_each_set(
            voters in some_set(), outgoing in some_set(),
            yes in prop::collection::btree_set(1u64..8, 0..8)
        ) {
            let no = |id: ServerId| !yes.contains(&id);
            let joint = Membership {
                voters: voters.clone(),
                outgoing: outgoing.clone(),
                ..Membership::default()
            };
            for alone in [voters, outgoing] {
                let alone = Membership { voters: alone, ..Membership::default() };
                let none = BugSet::default();
                let agrees = joint.has_quorum(none, |id| yes.contains(&id));
                prop_assert!(!(agrees && alone.has_quorum(none, no)));
            }
        }

        /// The quorum index is the greatest index that has a quorum.
        #[test]
        fn quorum_index_agrees_with_has_quorum(
            voters in some_set(), outgoing in prop::collection::btree_set(1u64..8, 0..6),
            values in prop::collection::vec(0u64..5, 8)
        ) {
            let joint = Membership { voters, outgoing, ..Membership::default() };
            let value = |id: ServerId| values[id as usize];
            let reached = |n: &u64| joint.has_quorum(BugSet::default(), |id| value(id) >= *n);
            let expected = (0..5).rev().find(reached).unwrap_or(0);
            prop_assert_eq!(joint.quorum_index(BugSet::default(), value), expected);
        }
    }

    #[test]
    fn without_voters_there_is_no_quorum() {
        assert!(!Membership::default().has_quorum(BugSet::default(), |_| true));
        assert_eq!(Membership::default().quorum_index(BugSet::default(), |_| 7), 0);
    }
}
