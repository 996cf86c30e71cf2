//! Carries wishes about who takes part and who leads to the brain, and lets connections follow what
//! it decides.

use super::{Driver, Input, Token};
use crate::kv::Outcome;
use crate::raft::{ChangeError, Membership, MembershipChange, Role, ServerId, Status};
use crate::server::members::Member;
use crate::server::transport::Answer;
use crate::wire::{MemberReply, MembersRequest, NewMember};
use std::collections::BTreeSet;

/// For how many ticks whoever has gone is still dialled, so that it hears that it has.
const FAREWELL: u32 = 100;

/// A wish that another replica should lead, which whoever leads then decides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handing {
    token: Token,
    to: ServerId,
}

impl Driver {
    /// Proposes other members, where this replica leads.
    pub(super) fn change_members(&mut self, token: Token, request: &MembersRequest) {
        if self.raft.status().role != Role::Leader {
            return self.refused(token, self.raft.status().leader);
        }
        match self.resolve(request) {
            Ok(change) => self.step(Input::ChangeMembership { token, change }),
            Err(why) => self.finish_write(token, Answer::Declined(why)),
        }
    }

    /// The change that the request names.
    fn resolve(&self, request: &MembersRequest) -> Result<MembershipChange, String> {
        let membership = self.raft.membership();
        let contact = |new: &NewMember| match self.members.find(&new.name, membership) {
            Some(_) => Err(format!(
                "{} is a member already: remove it first, and its successor gets a new number",
                new.name
            )),
            None => {
                let NewMember { name, address } = new.clone();
                Ok(Member { name, address }.contact())
            }
        };
        let mut names = BTreeSet::new();
        let mut newcomers = request.add.iter().chain(&request.learn);
        if let Some(twice) = newcomers.find(|new| !names.insert(&new.name)) {
            return Err(format!("{} is named twice as a newcomer", twice.name));
        }
        let gone = |name: &String| {
            self.members.find(name, membership).ok_or_else(|| format!("{name} is no member"))
        };
        Ok(MembershipChange {
            add_voters: request.add.iter().map(contact).collect::<Result<_, _>>()?,
            add_learners: request.learn.iter().map(contact).collect::<Result<_, _>>()?,
            remove: request.remove.iter().map(gone).collect::<Result<_, _>>()?,
        })
    }

    /// Why a change is not begun, in words.
    pub(super) fn objected(&mut self, token: Token, why: ChangeError) {
        let why = match why {
            ChangeError::Busy => return self.finish_write(token, Answer::MembersBusy),
            ChangeError::NoVoters => "nobody would be left to vote".to_owned(),
            ChangeError::NotAMember(id) => format!("{} is no member", self.members.name(id)),
            ChangeError::NoChange => "it would change nothing".to_owned(),
        };
        self.finish_write(token, Answer::Declined(why));
    }

    /// Lets another replica lead, where this one does.
    pub(super) fn hand_over_to(&mut self, token: Token, name: &str) {
        if self.raft.status().role != Role::Leader {
            return self.refused(token, self.raft.status().leader);
        }
        match self.members.find(name, self.raft.membership()) {
            Some(to) if to == self.members.me() => self.handed(token),
            Some(to) if self.raft.can_transfer_to(to) => {
                self.memory.handing = Some(Handing { token, to });
                self.step(Input::TransferLeadership { to });
            }
            Some(_) => {
                let why = format!("{name} cannot lead now: it does not vote, or members change");
                self.finish_write(token, Answer::Declined(why));
            }
            None => self.finish_write(token, Answer::Declined(format!("{name} is no member"))),
        }
    }

    fn handed(&mut self, token: Token) {
        let index = self.raft.status().commit_index;
        self.finish_write(token, Answer::Done { index, outcome: Outcome::Done });
    }

    /// Notices who leads after a wish, or that nothing came of it.
    pub(super) fn look_after_handing(&mut self, status: &Status) {
        let Some(Handing { token, to }) = self.memory.handing else { return };
        let leads_on = status.role == Role::Leader && self.raft.can_transfer_to(to);
        match status.leader {
            Some(leader) if leader == to => self.handed(token),
            None => return,
            Some(leader) if leader == self.members.me() && !leads_on => return,
            Some(_) => {
                let why = format!("{} did not take over", self.members.name(to));
                self.finish_write(token, Answer::Declined(why));
            }
        }
        self.memory.handing = None;
    }

    /// Connects to whoever takes part now.
    pub(in crate::server) fn configured(&mut self, membership: &Membership) {
        self.members.learn(membership);
        let me = self.members.me();
        // A newcomer has not heard from the log yet: it dials whomever it was told of.
        let new = membership.voters.is_empty();
        let all = if new { self.members.ids() } else { membership.members() };
        for id in all.into_iter().filter(|id| *id != me) {
            if let Some(member) = self.members.get(id) {
                self.links.open(id, &member.address);
            }
        }
        self.view.take_part(self.roster(membership), membership.contains(me));
        self.memory.parting = if new { 0 } else { FAREWELL };
    }

    /// Takes leave of whoever has gone, after a while.
    pub(super) fn part(&mut self) {
        if self.memory.parting == 0 {
            return;
        }
        self.memory.parting -= 1;
        if self.memory.parting == 0 {
            let membership = self.raft.membership();
            let gone = self.links.peers().into_iter().filter(|id| !membership.contains(*id));
            gone.for_each(|id| self.links.close(id));
        }
    }

    fn roster(&self, membership: &Membership) -> Vec<MemberReply> {
        let reply = |id: ServerId| {
            let member = self.members.get(id);
            let (name, address) = member.map_or_else(Default::default, |it| (it.name, it.address));
            MemberReply { id, name, address, role: role(membership, id).to_owned() }
        };
        membership.members().into_iter().map(reply).collect()
    }
}

fn role(membership: &Membership, id: ServerId) -> &'static str {
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
