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
pub struct Change {
    /// Newcomers that are to vote, as the body knows them.
    pub add: Vec<String>,
    /// Newcomers that only get the log.
    pub learn: Vec<String>,
    /// Who goes: where somebody is to be added, when those have caught up.
    pub remove: BTreeSet<ServerId>,
}

/// Why a change is not begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Objection {
    /// Another change is not committed yet, or the leader has not committed anything in its term
    /// (Ongaro, raft-dev 2015: two changes may otherwise miss each other).
    Busy,
    /// No voter would be left.
    NobodyLeft,
    /// Who is to go is no member.
    NoMember(ServerId),
    /// It changes nothing.
    Nothing,
}

impl Membership {
    /// These voters, and nobody else.
    pub fn of(voters: &[ServerId]) -> Self {
        let next = voters.iter().max().map_or(1, |last| last.saturating_add(1));
        Self { voters: voters.iter().copied().collect(), next, ..Self::default() }
    }

    /// Whether two sets of voters decide together.
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether a server votes, in either set.
    pub fn votes(&self, id: ServerId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// Whether a server takes part.
    pub fn has(&self, id: ServerId) -> bool {
        self.votes(id) || self.joining.contains(&id) || self.learners.contains(&id)
    }

    /// Everybody who takes part.
    pub fn members(&self) -> BTreeSet<ServerId> {
        let sets = [&self.voters, &self.outgoing, &self.joining, &self.learners];
        sets.into_iter().flatten().copied().collect()
    }

    /// Everybody who votes, in either set.
    pub fn electors(&self) -> BTreeSet<ServerId> {
        self.voters.union(&self.outgoing).copied().collect()
    }

    /// Whether a majority of each set says yes.
    pub(super) fn agree(&self, yes: impl Fn(ServerId) -> bool) -> bool {
        let majority = |set: &BTreeSet<ServerId>| {
            set.iter().filter(|id| yes(**id)).count() >= quorum::majority(set.len())
        };
        majority(&self.voters) && (!self.is_joint() || majority(&self.outgoing))
    }

    /// The greatest number that a majority of each set has reached.
    pub(super) fn reached(&self, value: impl Fn(ServerId) -> u64) -> u64 {
        let by =
            |set: &BTreeSet<ServerId>| quorum::reached(set.iter().map(|id| value(*id)).collect());
        let new = by(&self.voters);
        if self.is_joint() { new.min(by(&self.outgoing)) } else { new }
    }

    /// The configuration that a change begins with.
    pub(super) fn changed(&self, change: &Change) -> Result<Self, Objection> {
        if let Some(id) = change.remove.iter().find(|id| !self.has(**id)) {
            return Err(Objection::NoMember(*id));
        }
        let mut next = self.clone();
        next.joining.retain(|id| !change.remove.contains(id));
        next.learners.retain(|id| !change.remove.contains(id));
        if next.joining.is_empty() {
            next.leaving.clear();
        }
        for contact in &change.add {
            let id = next.newcomer(contact);
            next.joining.insert(id);
        }
        for contact in &change.learn {
            let id = next.newcomer(contact);
            next.learners.insert(id);
        }
        next.leaving.extend(change.remove.intersection(&self.voters));
        if next.voters.difference(&next.leaving).next().is_none() && next.joining.is_empty() {
            return Err(Objection::NobodyLeft);
        }
        let next = if next.joining.is_empty() { next.promoted() } else { next };
        if next == *self { Err(Objection::Nothing) } else { Ok(next) }
    }

    fn newcomer(&mut self, contact: &str) -> ServerId {
        let id = self.next;
        self.next = id.saturating_add(1);
        self.contacts.insert(id, contact.into());
        id
    }

    /// The configuration in which those who join vote and those who leave do not, beside the set of
    /// voters before, if that is another one.
    pub(super) fn promoted(&self) -> Self {
        let mut next = self.clone();
        next.voters.extend(&self.joining);
        next.voters.retain(|id| !self.leaving.contains(id));
        if next.voters != self.voters {
            next.outgoing = self.voters.clone();
        }
        next.joining.clear();
        next.leaving.clear();
        next.forget_the_gone();
        next
    }

    /// The configuration after a joint one.
    pub(super) fn settled(&self) -> Self {
        let mut next = Self { outgoing: BTreeSet::new(), ..self.clone() };
        next.forget_the_gone();
        next
    }

    fn forget_the_gone(&mut self) {
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
        let three = Membership::of(&[1, 2, 3]);
        let change = Change { add: vec!["d".into()], remove: set(&[2]), ..Change::default() };
        let joining = three.changed(&change).expect("a sound change");
        assert_eq!((&joining.voters, &joining.joining), (&three.voters, &set(&[4])));
        let joint = joining.promoted();
        assert_eq!((&joint.voters, &joint.outgoing), (&set(&[1, 3, 4]), &three.voters));
        let settled = joint.settled();
        assert_eq!(
            (&settled.voters, settled.is_joint(), settled.next),
            (&set(&[1, 3, 4]), false, 5)
        );
        assert_eq!(settled.contacts.keys().copied().collect::<Vec<_>>(), [4]);
    }

    #[test]
    fn who_gives_up_joining_takes_nobody_along() {
        let change = Change { add: vec!["d".into()], remove: set(&[2]), ..Change::default() };
        let joining = Membership::of(&[1, 2, 3]).changed(&change).expect("a sound change");
        let back = Change { remove: set(&[4]), ..Change::default() };
        let after = joining.changed(&back).expect("a sound change");
        assert_eq!((after.voters, after.leaving, after.next), (set(&[1, 2, 3]), set(&[]), 5));
    }

    #[test]
    fn what_makes_no_sense_is_not_begun() {
        let one = Membership::of(&[1]);
        let remove = |ids: &[ServerId]| Change { remove: set(ids), ..Change::default() };
        assert_eq!(one.changed(&remove(&[1])), Err(Objection::NobodyLeft));
        assert_eq!(one.changed(&remove(&[2])), Err(Objection::NoMember(2)));
        assert_eq!(one.changed(&Change::default()), Err(Objection::Nothing));
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
                prop_assert!(!(joint.agree(|id| yes.contains(&id)) && alone.agree(no)));
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
            let obvious = (0..5).rev().find(|n| joint.agree(|id| value(id) >= *n)).unwrap_or(0);
            prop_assert_eq!(joint.reached(value), obvious);
        }
    }

    #[test]
    fn nobody_decides_for_nobody() {
        assert!(!Membership::default().agree(|_| true));
        assert_eq!(Membership::default().reached(|_| 7), 0);
    }
}
