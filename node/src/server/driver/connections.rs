//! Lets connections and the published list of members follow the membership.

use super::Driver;
use crate::raft::{Membership, ServerId};
use crate::wire::MemberReply;

/// For how many ticks a removed member is still dialled, so that it receives its own removal.
const DEPARTURE_TICKS: u32 = 100;

impl Driver {
    /// Connects to the members of now.
    pub(in crate::server) fn membership_changed(&mut self, membership: &Membership) {
        self.members.add_new_members(membership);
        let me = self.members.me();
        // A joining replica has no log yet: it dials the members of the join answer.
        let new = membership.voters.is_empty();
        let all = if new { self.members.ids() } else { membership.members() };
        for id in all.into_iter().filter(|id| *id != me) {
            if let Some(member) = self.members.get(id) {
                self.links.open(id, &member.address);
            }
        }
        let roster = self.build_roster(membership);
        self.runtime.set_roster(roster.clone());
        self.published.publish_members(roster, membership.contains(me));
        self.clock.departure_ticks = if new { 0 } else { DEPARTURE_TICKS };
    }

    /// Closes the connections to removed members, after a while.
    pub(super) fn close_removed(&mut self) {
        if self.clock.departure_ticks == 0 {
            return;
        }
        self.clock.departure_ticks -= 1;
        if self.clock.departure_ticks == 0 {
            let membership = self.runtime.membership();
            let gone = self.links.peers().into_iter().filter(|id| !membership.contains(*id));
            gone.for_each(|id| self.links.close(id));
        }
    }

    /// Logs that a connection stands or broke; what was forwarded over a broken one is lost.
    pub(super) fn link_changed(&mut self, peer: ServerId, broken: Option<&str>) {
        let name = self.members.name(peer);
        match broken {
            None => self.log.write_line(format_args!("connected to {name}")),
            Some(why) => self.log.write_line(format_args!("lost the connection to {name}: {why}")),
        }
        if broken.is_some() {
            self.runtime.lose_connection(peer);
            self.carry_out();
        }
    }

    fn build_roster(&self, membership: &Membership) -> Vec<MemberReply> {
        let reply = |id: ServerId| {
            let member = self.members.get(id);
            let (name, address) = member.map_or_else(Default::default, |it| (it.name, it.address));
            MemberReply { id, name, address, role: member_role(membership, id).to_owned() }
        };
        membership.members().into_iter().map(reply).collect()
    }
}

fn member_role(membership: &Membership, id: ServerId) -> &'static str {
    if membership.joining.contains(&id) {
        "joining"
    } else if membership.learners.contains(&id) {
        "learner"
    } else if membership.leaving.contains(&id) || !membership.voters.contains(&id) {
        "leaving"
    } else {
        "voter"
    }
}
