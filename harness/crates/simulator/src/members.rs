//! Changes the members of a world: asks the leader, starts newcomers when the log has them, and
//! removes former members.
//!
//! The operator acts on committed configurations only: a newcomer starts with an empty disk and no
//! voters, and a server is removed for good when a configuration without it is in force and not
//! joint.

use super::invariant_checker::Violation;
use super::outcome::Failure;
use super::setting::SECOND;
use super::sim_node::SimNode;
use super::world::{Event, World};
use node::raft::invariants::membership_safety;
use node::raft::{Config, Entry, Input, Membership, MembershipChange, Payload, ServerId};

/// Requests of the operator have numbers that no client's call has.
const OPERATOR_TOKENS: u64 = 1 << 62;

impl World<'_> {
    /// The committed members.
    pub(super) fn members(&self) -> Vec<ServerId> {
        self.membership.members().into_iter().collect()
    }

    /// The member in that place, for faults that count from 1 and ignore changes of members.
    pub(super) fn member_at(&self, place: ServerId) -> ServerId {
        let members = self.members();
        match members.binary_search(&place) {
            Ok(_) => place,
            Err(_) => {
                let nth = usize::try_from(place).unwrap_or(0) % members.len().max(1);
                members.get(nth).copied().unwrap_or(place)
            }
        }
    }

    /// Requests that a new server replaces a member.
    pub(super) fn replace_member(&mut self, id: ServerId) -> Result<(), Failure> {
        let remove = [self.member_at(id)].into();
        let change = MembershipChange {
            add_voters: vec!["newcomer".to_owned()],
            remove,
            ..MembershipChange::default()
        };
        let token = OPERATOR_TOKENS + u64::try_from(self.outcome.faults).unwrap_or(0);
        self.step_leader(Input::ChangeMembership { token, change })
    }

    /// Requests a leadership transfer to a server.
    pub(super) fn transfer_leadership(&mut self, to: ServerId) -> Result<(), Failure> {
        let to = self.member_at(to);
        self.step_leader(Input::TransferLeadership { to })
    }

    /// Passes an input to the leader, if there is one.
    fn step_leader(&mut self, input: Input) -> Result<(), Failure> {
        let Some(leader) = self.invariants.current_leader() else { return Ok(()) };
        self.step_replica(leader, |runtime| runtime.step(input))
    }

    /// Handles entries that a server applies: a configuration that no server applied before
    /// changes the world.
    pub(super) fn observe_membership(&mut self, entries: &[Entry]) -> Result<(), Violation> {
        for entry in entries {
            if let Payload::Membership(membership) = &entry.payload
                && entry.index > self.membership_index
            {
                let step = membership_safety(&self.membership, membership);
                step.map_err(|it| Violation { property: it.property, message: it.seen })?;
                self.membership_index = entry.index;
                self.apply_membership(membership.clone());
            }
        }
        Ok(())
    }

    fn apply_membership(&mut self, membership: Membership) {
        let news = membership.contacts.keys().filter(|id| !self.nodes.contains_key(*id));
        for id in news.copied().collect::<Vec<_>>() {
            let config = Config { id, voters: Vec::new(), ..self.config.clone() };
            self.nodes.insert(id, SimNode::new(config));
            self.tick_lengths.insert(id, super::world::TICK);
            self.schedule_after(0, Event::StartNewcomer(id));
        }
        if !membership.is_joint() {
            let gone = self.nodes.keys().filter(|id| !membership.contains(**id));
            for id in gone.copied().collect::<Vec<_>>() {
                // It may or may not receive that entry before it is removed.
                self.schedule_after(SECOND / 5, Event::Remove(id));
            }
        }
        self.membership = membership;
    }

    /// Removes a server for good.
    pub(super) fn remove_node(&mut self, id: ServerId) {
        if self.is_running(id) {
            self.crash_replica(id);
        }
        *self.down.entry(id).or_default() += 1_000;
    }
}
