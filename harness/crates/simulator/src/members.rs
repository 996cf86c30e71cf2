//! Lets members come and go in a world: asks whoever leads, starts newcomers when the log has them, and takes away
//! whoever is no member any more.
//!
//! An operator acts on what is committed only: a newcomer starts with an empty disk and no voters, and a server is
//! taken away for good when a configuration without it is in force and not joint.

use super::machine::{Machine, Wish};
use super::watch::Violation;
use super::world::{Event, World};
use super::{Harm, SECOND};
use node::raft::invariants::membership_safety;
use node::raft::{Config, Entry, Input, Membership, MembershipChange, Payload, ServerId};

/// Wishes of the operator have numbers that no client's call has.
const OPERATOR: u64 = 1 << 62;

impl World<'_> {
    /// Who takes part, as far as it is committed.
    pub(super) fn members(&self) -> Vec<ServerId> {
        self.membership.members().into_iter().collect()
    }

    /// The member in that place, for whoever counts from 1 and has not heard of changes.
    pub(super) fn nth(&self, place: ServerId) -> ServerId {
        let members = self.members();
        match members.binary_search(&place) {
            Ok(_) => place,
            Err(_) => {
                let nth = usize::try_from(place).unwrap_or(0) % members.len().max(1);
                members.get(nth).copied().unwrap_or(place)
            }
        }
    }

    /// Wishes for a newcomer in the place of a server.
    pub(super) fn replace(&mut self, id: ServerId) -> Result<(), Harm> {
        let remove = [self.nth(id)].into();
        let change = MembershipChange {
            add_voters: vec!["newcomer".to_owned()],
            remove,
            ..MembershipChange::default()
        };
        let token = OPERATOR + u64::try_from(self.outcome.faults).unwrap_or(0);
        self.wish(Input::ChangeMembership { token, change })
    }

    /// Wishes for a server to lead.
    pub(super) fn hand_over(&mut self, to: ServerId) -> Result<(), Harm> {
        let to = self.nth(to);
        self.wish(Input::TransferLeadership { to })
    }

    /// Asks whoever leads, if anybody does.
    fn wish(&mut self, input: Input) -> Result<(), Harm> {
        let Some(leader) = self.onlooker.leader() else { return Ok(()) };
        self.step(leader, |machine: &mut Machine, wishes: &mut Vec<Wish>| {
            machine.step(input, wishes);
        })
    }

    /// Sees entries that a server applies: a configuration among them that nobody applied before changes the world.
    pub(super) fn see_members(&mut self, entries: &[Entry]) -> Result<(), Violation> {
        for entry in entries {
            if let Payload::Membership(membership) = &entry.payload
                && entry.index > self.membership_index
            {
                let step = membership_safety(&self.membership, membership);
                step.map_err(|it| Violation { property: it.property, seen: it.seen })?;
                self.membership_index = entry.index;
                self.enforce(membership.clone());
            }
        }
        Ok(())
    }

    fn enforce(&mut self, membership: Membership) {
        let news = membership.contacts.keys().filter(|id| !self.machines.contains_key(*id));
        for id in news.copied().collect::<Vec<_>>() {
            let config = Config { id, voters: Vec::new(), ..self.config.clone() };
            self.machines.insert(id, Machine::new(config));
            self.ticks.insert(id, super::world::TICK);
            self.after(0, Event::Welcome(id));
        }
        if !membership.is_joint() {
            let gone = self.machines.keys().filter(|id| !membership.contains(**id));
            for id in gone.copied().collect::<Vec<_>>() {
                // It may hear of it, or not, before it is taken away.
                self.after(SECOND / 5, Event::TakeAway(id));
            }
        }
        self.membership = membership;
    }

    /// Takes a server away for good.
    pub(super) fn take_away(&mut self, id: ServerId) {
        if self.runs(id) {
            self.crash(id);
        }
        *self.down.entry(id).or_default() += 1_000;
    }
}
