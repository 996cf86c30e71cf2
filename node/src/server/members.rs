//! Names the members of a cluster: the brain's numbers follow from the sorted names, so all
//! replicas agree on them.

use crate::raft::ServerId;
use std::collections::BTreeMap;

/// The members and this replica's place among them.
#[derive(Clone, Debug)]
pub(super) struct Members {
    names: Vec<String>,
    me: ServerId,
}

impl Members {
    /// The cluster of one replica and its peers (which may name the replica, too).
    pub(super) fn new<'a>(me: &'a str, peers: impl Iterator<Item = &'a String>) -> Self {
        let all: BTreeMap<_, ()> =
            peers.map(String::as_str).chain([me]).map(|name| (name, ())).collect();
        let names: Vec<_> = all.into_keys().map(str::to_owned).collect();
        let me = names.iter().zip(1..).find(|(name, _)| *name == me).map_or(0, |(_, id)| id);
        Self { names, me }
    }

    /// This replica.
    pub(super) fn me(&self) -> ServerId {
        self.me
    }

    /// All members.
    pub(super) fn ids(&self) -> Vec<ServerId> {
        (1..).zip(&self.names).map(|(id, _)| id).collect()
    }

    /// All members but this replica, with their names.
    pub(super) fn others(&self) -> impl Iterator<Item = (ServerId, &str)> {
        (1..)
            .zip(&self.names)
            .filter(|(id, _)| *id != self.me)
            .map(|(id, name)| (id, name.as_str()))
    }

    /// A member's name.
    pub(super) fn name(&self, id: ServerId) -> &str {
        (1..).zip(&self.names).find(|(known, _)| *known == id).map_or("?", |(_, name)| name)
    }

    /// The cluster in one line: what both ends of a connection must agree on.
    pub(super) fn cluster(&self) -> String {
        self.names.join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_sorted_names() {
        let peers = ["c".to_owned(), "a".to_owned()];
        let members = Members::new("b", peers.iter());
        assert_eq!((members.me(), members.ids()), (2, vec![1, 2, 3]));
        assert_eq!(members.others().collect::<Vec<_>>(), [(1, "a"), (3, "c")]);
        assert_eq!((members.name(3), members.name(9)), ("c", "?"));
        assert_eq!(members.cluster(), "a,b,c");
    }
}
