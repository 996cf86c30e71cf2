//! Shows what a group of the replica says of itself, without asking the driver: it answers even when
//! nothing else does.

use super::links::Links;
use super::members::Members;
use super::metrics::Metrics;
use crate::raft::{Role, ServerId, Status};
use crate::wal::Group;
use crate::wire::{GroupStatus, MemberReply, MembersReply, Origin, Peer, StatusReply};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The driver's last word on itself; clones share it.
#[derive(Clone, Debug)]
pub(super) struct View {
    members: Members,
    bugs: Vec<String>,
    links: Links,
    /// Who takes part, and whether this replica does.
    roster: Arc<Mutex<(Vec<MemberReply>, bool)>>,
    latest: Arc<Mutex<(Status, u64)>>,
    heard: Arc<Mutex<Instant>>,
    metrics: Arc<Metrics>,
    /// Which group it is, where there are several.
    group: Option<Group>,
}

impl View {
    /// The view of the only group, or of the first of several.
    pub(super) fn new(members: Members, bugs: Vec<String>, links: Links, status: Status) -> Self {
        let latest = Arc::new(Mutex::new((status, 0)));
        let heard = Arc::new(Mutex::new(Instant::now()));
        let roster = Arc::new(Mutex::new((Vec::new(), true)));
        let (metrics, group) = (Arc::default(), None);
        Self { members, bugs, links, roster, latest, heard, metrics, group }
    }

    /// The view of one of several groups of the same replica.
    pub(super) fn of_group(&self, group: Group, status: Status) -> Self {
        let Self { members, bugs, links, .. } = self.clone();
        let metrics = self.metrics.clone();
        Self { metrics, group: Some(group), ..Self::new(members, bugs, links, status) }
    }

    /// Which group it is, where there are several.
    pub(super) fn group(&self) -> Option<Group> {
        self.group
    }

    /// The counters.
    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// A peer has spoken; what counts is whether it leads.
    pub(super) fn heard(&self, from: ServerId) {
        if self.latest.lock().unwrap_or_else(PoisonError::into_inner).0.leader == Some(from) {
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// How long ago this replica last heard from a leader, in milliseconds; 0 where it leads itself.
    pub(super) fn age_ms(&self) -> u128 {
        match self.latest().0.role {
            Role::Leader => 0,
            _ => {
                let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.elapsed().as_millis()
            }
        }
    }

    /// Takes note of who takes part, and whether this replica does.
    pub(super) fn take_part(&self, members: Vec<MemberReply>, member: bool) {
        *self.roster.lock().unwrap_or_else(PoisonError::into_inner) = (members, member);
    }

    fn roster(&self) -> (Vec<MemberReply>, bool) {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The body of `/cluster/members`.
    pub(super) fn members(&self) -> MembersReply {
        let cluster = self.members.cluster().to_owned();
        MembersReply { cluster, members: self.roster().0, origin: self.origin() }
    }

    /// Takes note of what the driver is now.
    pub(super) fn publish(&self, status: Status, applied: u64) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = (status, applied);
    }

    fn latest(&self) -> (Status, u64) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who answers, and from what state.
    pub(super) fn origin(&self) -> Origin {
        let (status, applied) = self.latest();
        self.origin_at(status.term, applied)
    }

    /// Who answers, from this state.
    pub(super) fn origin_at(&self, term: u64, applied: u64) -> Origin {
        Origin { replica: self.name(self.members.me()), term, applied, group: self.group }
    }

    /// The body of `/status`.
    pub(super) fn status(&self) -> StatusReply {
        let (status, _) = self.latest();
        StatusReply {
            origin: self.origin(),
            role: role_name(status.role).to_owned(),
            leader: status.leader.map(|id| self.name(id)),
            last_index: status.last_index,
            commit_index: status.commit_index,
            member: self.roster().1,
            bugs: self.bugs.clone(),
            peers: self.peers(),
            groups: Vec::new(),
        }
    }

    /// What `/status` says of each of several groups.
    pub(super) fn group_status(&self) -> GroupStatus {
        let (status, applied) = self.latest();
        GroupStatus {
            group: self.group.unwrap_or_default(),
            role: role_name(status.role).to_owned(),
            term: status.term,
            leader: status.leader.map(|id| self.name(id)),
            last_index: status.last_index,
            commit_index: status.commit_index,
            applied,
        }
    }

    /// Whether a leader is known.
    pub(super) fn is_healthy(&self) -> bool {
        self.latest().0.leader.is_some()
    }

    fn peers(&self) -> BTreeMap<String, Peer> {
        let peer = |(id, address, connected)| (self.name(id), Peer { address, connected });
        self.links.seen().into_iter().map(peer).collect()
    }

    fn name(&self, id: ServerId) -> String {
        self.members.name(id)
    }
}

/// A role as `/status` and the log spell it.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}
