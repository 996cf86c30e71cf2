//! Translates requests about members and leadership for the core, and reports what came of them.

use super::interpreter::{Output, Runtime};
use super::pending::Transfer;
use super::request::ProposalResult;
use crate::kv::Outcome;
use crate::raft::{ChangeError, Input, MembershipChange, Role, ServerId, Status, Token};
use crate::wire::{MembersRequest, NewMember};
use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// How the log describes a newcomer: its name, and where its peers reach it.
pub fn format_contact(name: &str, address: &str) -> String {
    format!("{name}={address}")
}

impl<C> Runtime<C> {
    /// Proposes other members, where this replica leads.
    pub(super) fn change_members(&mut self, token: Token, request: &MembersRequest) {
        let status = self.raft.status();
        if status.role != Role::Leader {
            return self.forward_or_refuse(token, status.leader);
        }
        match self.resolve_change(request) {
            Ok(change) => self.step(Input::ChangeMembership { token, change }),
            Err(why) => self.finish_proposal(token, ProposalResult::Declined(why)),
        }
    }

    /// The change that the request names.
    fn resolve_change(&self, request: &MembersRequest) -> Result<MembershipChange, String> {
        let add = |new: &NewMember| match self.find_member(&new.name) {
            Some(_) => Err(format!(
                "{} is a member already: remove it first, and its successor gets a new number",
                new.name
            )),
            None => Ok(format_contact(&new.name, &new.address)),
        };
        let mut names = BTreeSet::new();
        let mut newcomers = request.add.iter().chain(&request.learn);
        if let Some(twice) = newcomers.find(|new| !names.insert(&new.name)) {
            return Err(format!("{} is named twice as a newcomer", twice.name));
        }
        let remove =
            |name: &String| self.find_member(name).ok_or_else(|| format!("{name} is not a member"));
        Ok(MembershipChange {
            add_voters: request.add.iter().map(add).collect::<Result<_, _>>()?,
            add_learners: request.learn.iter().map(add).collect::<Result<_, _>>()?,
            remove: request.remove.iter().map(remove).collect::<Result<_, _>>()?,
        })
    }

    /// The member of that name.
    fn find_member(&self, name: &str) -> Option<ServerId> {
        let membership = self.raft.membership();
        let named = self.roster.iter().find(|member| member.name == name);
        named.map(|member| member.id).filter(|id| membership.contains(*id))
    }

    fn member_name(&self, id: ServerId) -> &str {
        self.roster.iter().find(|member| member.id == id).map_or("?", |member| &member.name)
    }

    /// Reports that a change was not begun.
    pub(super) fn reject_change(&mut self, token: Token, error: ChangeError) {
        let why = match error {
            ChangeError::Busy => return self.finish_proposal(token, ProposalResult::MembersBusy),
            ChangeError::NoVoters => "no voter would be left".to_owned(),
            ChangeError::NotAMember(id) => format!("{} is not a member", self.member_name(id)),
            ChangeError::NoChange => "it would change nothing".to_owned(),
        };
        self.finish_proposal(token, ProposalResult::Declined(why));
    }

    /// Lets another replica lead, where this one does.
    pub(super) fn transfer_to(&mut self, token: Token, name: &str) {
        let status = self.raft.status();
        if status.role != Role::Leader {
            return self.forward_or_refuse(token, status.leader);
        }
        let why = match self.find_member(name) {
            Some(to) if to == self.me => return self.finish_transfer(token),
            Some(to) if self.raft.can_transfer_to(to) => {
                self.transfer = Some(Transfer { token, to });
                return self.step(Input::TransferLeadership { to });
            }
            Some(_) => format!("{name} cannot lead now: it does not vote, or members change"),
            None => format!("{name} is not a member"),
        };
        self.finish_proposal(token, ProposalResult::Declined(why));
    }

    fn finish_transfer(&mut self, token: Token) {
        let index = self.raft.status().commit_index;
        self.finish_proposal(token, ProposalResult::Done { index, outcome: Outcome::Done });
    }

    /// Answers a request for a leadership transfer once the leader is known.
    pub(super) fn watch_transfer(&mut self, status: &Status) {
        let Some(Transfer { token, to }) = self.transfer else { return };
        let continues = status.role == Role::Leader && self.raft.can_transfer_to(to);
        match status.leader {
            Some(leader) if leader == to => self.finish_transfer(token),
            None => return,
            Some(leader) if leader == self.me && !continues => return,
            Some(_) => {
                let why = format!("{} did not take over", self.member_name(to));
                self.finish_proposal(token, ProposalResult::Declined(why));
            }
        }
        self.transfer = None;
    }

    /// Transfers leadership to the preferred voter of this group, where there are several groups.
    pub(super) fn balance_leaders(&mut self) {
        if !self.balance.is_due(self.raft.status().role == Role::Leader) {
            return;
        }
        let voters: Vec<ServerId> = self.raft.membership().voters.iter().copied().collect();
        let could = |id: &ServerId| *id == self.me || self.raft.is_ready_to_lead(*id);
        let best = self.balance.preferred_leaders(&voters).into_iter().find(could);
        if let Some(to) = best.filter(|to| *to != self.me) {
            self.outputs.push(Output::BalanceLeaders { to });
            self.step(Input::TransferLeadership { to });
        }
    }
}
