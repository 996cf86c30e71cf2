//! Maps members to names and addresses. Founders are numbered in the order of their sorted names,
//! so all replicas agree; later members get their ids from the log.
//!
//! Names of removed members are kept, as log lines may still mention them.

use crate::raft::{Membership, ServerId};
use crate::wal::GroupId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    pub(super) name: String,
    /// The address to connect to.
    pub(super) address: String,
}

impl Member {
    fn from_contact(contact: &str) -> Option<Self> {
        let (name, address) = contact.split_once('=')?;
        Some(Self { name: name.to_owned(), address: address.to_owned() })
    }
}

/// The identity of a replica that joined a cluster, and the members at that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Admission {
    /// Its id.
    pub(super) id: ServerId,
    pub(super) cluster: String,
    pub(super) members: BTreeMap<ServerId, Member>,
}

/// All known members, past ones too, and the own id; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Members {
    me: ServerId,
    cluster: Arc<str>,
    founders: Vec<ServerId>,
    known: Arc<Mutex<BTreeMap<ServerId, Member>>>,
}

impl Members {
    /// Creates the members of a new cluster: this replica and its peers, by name and address.
    pub(super) fn from_founders(
        me: &str,
        peers: &BTreeMap<String, String>,
        groups: GroupId,
    ) -> Self {
        let mut all = peers.clone();
        all.entry(me.to_owned()).or_default();
        let mut cluster = all.keys().map(String::as_str).collect::<Vec<_>>().join(",");
        if groups > 1 {
            cluster += &format!(" in {groups} groups");
        }
        let members = all.into_iter().map(|(name, address)| Member { name, address });
        let known: BTreeMap<ServerId, Member> = (1..).zip(members).collect();
        let id = known.iter().find(|(_, member)| member.name == me).map_or(0, |(id, _)| *id);
        let founders = known.keys().copied().collect();
        Self { me: id, cluster: cluster.into(), founders, known: Arc::new(Mutex::new(known)) }
    }

    /// Creates the members of a cluster that this replica joined.
    pub(super) fn from_admission(admission: Admission) -> Self {
        let Admission { id, cluster, members } = admission;
        let known = Arc::new(Mutex::new(members));
        Self { me: id, cluster: cluster.into(), founders: Vec::new(), known }
    }

    fn lock_known(&self) -> MutexGuard<'_, BTreeMap<ServerId, Member>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the id of this replica.
    pub(super) fn me(&self) -> ServerId {
        self.me
    }

    /// Returns the founders; none if this replica joined the cluster.
    pub(super) fn founders(&self) -> &[ServerId] {
        &self.founders
    }

    /// Adds the new members of a configuration.
    pub(super) fn add_new_members(&self, membership: &Membership) {
        let news = membership.contacts.iter();
        let news = news.filter_map(|(id, text)| Some((*id, Member::from_contact(text)?)));
        self.lock_known().extend(news);
    }

    /// Returns the ids of all known members.
    pub(super) fn ids(&self) -> BTreeSet<ServerId> {
        self.lock_known().keys().copied().collect()
    }

    /// Returns a member.
    pub(super) fn get(&self, id: ServerId) -> Option<Member> {
        self.lock_known().get(&id).cloned()
    }

    /// Returns the name of a member.
    pub(super) fn name(&self, id: ServerId) -> String {
        self.lock_known().get(&id).map_or_else(|| "?".to_owned(), |member| member.name.clone())
    }

    /// Returns the founders and the number of groups in one line; both ends of a connection must
    /// agree on it.
    pub(super) fn cluster(&self) -> &str {
        &self.cluster
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::format_contact;

    #[test]
    fn founders_are_numbered_by_sorted_name_and_later_members_by_the_log() {
        let peers = ["c", "a"].map(|name| (name.to_owned(), format!("{name}:1"))).into();
        let members = Members::from_founders("b", &peers, 1);
        assert_eq!((members.me(), members.founders()), (2, &[1, 2, 3][..]));
        assert_eq!((members.name(3), members.name(9)), ("c".to_owned(), "?".to_owned()));
        assert_eq!(members.cluster(), "a,b,c");
        assert_eq!(Members::from_founders("b", &peers, 4).cluster(), "a,b,c in 4 groups");
        let mut membership = Membership::from_voters(members.founders());
        membership.learners.insert(4);
        membership.contacts.insert(4, "d=d:1".to_owned());
        members.clone().add_new_members(&membership);
        let text = members.get(4).map(|member| format_contact(&member.name, &member.address));
        assert_eq!(text, Some("d=d:1".to_owned()));
        membership.learners.clear();
        assert_eq!(members.name(4), "d", "a removed member keeps its name");
    }
}
