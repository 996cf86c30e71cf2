//! Publishes the status of a group, so that `/status` and `/health` answer even when the driver is
//! stuck.

use super::links::Links;
use super::members::Members;
use super::metrics::Metrics;
use crate::raft::{Role, ServerId, Status};
use crate::wal::GroupId;
use crate::wire::{GroupStatus, MemberReply, MembersReply, Origin, PeerStatus, StatusReply};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The last status that a driver published; clones share it.
#[derive(Clone, Debug)]
pub(super) struct PublishedStatus {
    members: Members,
    bugs: Vec<String>,
    links: Links,
    /// The members, and whether this replica is one.
    roster: Arc<Mutex<(Vec<MemberReply>, bool)>>,
    latest: Arc<Mutex<(Status, u64)>>,
    heard: Arc<Mutex<Instant>>,
    metrics: Arc<Metrics>,
    /// The number of the group, if there are several.
    group: Option<GroupId>,
}

impl PublishedStatus {
    /// Creates the status of the only group, or of the first of several.
    pub(super) fn new(members: Members, bugs: Vec<String>, links: Links, status: Status) -> Self {
        let latest = Arc::new(Mutex::new((status, 0)));
        let heard = Arc::new(Mutex::new(Instant::now()));
        let roster = Arc::new(Mutex::new((Vec::new(), true)));
        let (metrics, group) = (Arc::default(), None);
        Self { members, bugs, links, roster, latest, heard, metrics, group }
    }

    /// Creates the status of another group of the same replica.
    pub(super) fn of_group(&self, group: GroupId, status: Status) -> Self {
        let Self { members, bugs, links, .. } = self.clone();
        let metrics = self.metrics.clone();
        Self { metrics, group: Some(group), ..Self::new(members, bugs, links, status) }
    }

    /// Returns the number of the group, if there are several.
    pub(super) fn group(&self) -> Option<GroupId> {
        self.group
    }

    /// Returns the metrics.
    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Records a message of a peer; it matters if the peer leads.
    pub(super) fn record_message(&self, from: ServerId) {
        if self.latest.lock().unwrap_or_else(PoisonError::into_inner).0.leader == Some(from) {
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
    }

    /// Returns the time since the last message of a leader, in milliseconds; 0 on the leader.
    pub(super) fn age_ms(&self) -> u128 {
        match self.latest().0.role {
            Role::Leader => 0,
            _ => {
                let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.elapsed().as_millis()
            }
        }
    }

    /// Publishes the members, and whether this replica is one.
    pub(super) fn publish_members(&self, members: Vec<MemberReply>, member: bool) {
        *self.roster.lock().unwrap_or_else(PoisonError::into_inner) = (members, member);
    }

    fn roster(&self) -> (Vec<MemberReply>, bool) {
        self.roster.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the body of `/cluster/members`.
    pub(super) fn members_reply(&self) -> MembersReply {
        let cluster = self.members.cluster().to_owned();
        MembersReply { cluster, members: self.roster().0, origin: self.origin() }
    }

    /// Publishes the driver's status.
    pub(super) fn publish(&self, status: Status, applied: u64) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = (status, applied);
    }

    fn latest(&self) -> (Status, u64) {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns the origin of an answer from the published state.
    pub(super) fn origin(&self) -> Origin {
        let (status, applied) = self.latest();
        self.origin_at(status.term, applied)
    }

    /// Returns the origin of an answer from this state.
    pub(super) fn origin_at(&self, term: u64, applied: u64) -> Origin {
        Origin { replica: self.member_name(self.members.me()), term, applied, group: self.group }
    }

    /// Returns the body of `/status`.
    pub(super) fn status_reply(&self) -> StatusReply {
        let (status, _) = self.latest();
        StatusReply {
            origin: self.origin(),
            role: role_name(status.role).to_owned(),
            leader: status.leader.map(|id| self.member_name(id)),
            last_index: status.last_index,
            commit_index: status.commit_index,
            member: self.roster().1,
            bugs: self.bugs.clone(),
            peers: self.peer_statuses(),
            groups: Vec::new(),
        }
    }

    /// Returns the group's part of `/status`.
    pub(super) fn group_status(&self) -> GroupStatus {
        let (status, applied) = self.latest();
        GroupStatus {
            group: self.group.unwrap_or_default(),
            role: role_name(status.role).to_owned(),
            term: status.term,
            leader: status.leader.map(|id| self.member_name(id)),
            last_index: status.last_index,
            commit_index: status.commit_index,
            applied,
        }
    }

    /// Whether a leader is known.
    pub(super) fn is_healthy(&self) -> bool {
        self.latest().0.leader.is_some()
    }

    fn peer_statuses(&self) -> BTreeMap<String, PeerStatus> {
        let peer =
            |(id, address, connected)| (self.member_name(id), PeerStatus { address, connected });
        self.links.connections().into_iter().map(peer).collect()
    }

    fn member_name(&self, id: ServerId) -> String {
        self.members.name(id)
    }
}

/// Returns a role as `/status` and the log spell it.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Follower => "follower",
        Role::PreCandidate => "pre-candidate",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
    }
}
