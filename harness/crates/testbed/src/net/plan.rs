//! Names what is wanted of every link: a [`LinkPlan`] is a value, the same for every backend.
//!
//! A plan says everything about the links; applying one replaces whatever was applied before.

use super::switch::shape::Shape;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A host by its index from 0; shown as `n1`, `n2`, …
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct HostId(pub u8);

/// The controller, as an end of the links to its clients; no replica is there.
pub const CLIENTS: HostId = HostId(u8::MAX);

/// The desired state of all links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LinkPlan {
    /// Directed pairs (from, to) over which nothing passes; all others are whole.
    pub cuts: BTreeSet<(HostId, HostId)>,
    /// What happens to packets of directed pairs; only the switch can do that.
    pub shapes: BTreeMap<(HostId, HostId), Shape>,
}

impl LinkPlan {
    /// Nothing is cut.
    pub fn healed() -> Self {
        Self::default()
    }

    /// These links are cut, all others whole.
    pub fn with_cuts(cuts: impl IntoIterator<Item = (HostId, HostId)>) -> Self {
        Self { cuts: cuts.into_iter().collect(), shapes: BTreeMap::new() }
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            CLIENTS => f.write_str("clients"),
            Self(index) => write!(f, "n{}", u16::from(index) + 1),
        }
    }
}

/// The first `count` hosts, in order.
pub(super) fn host_ids(count: u8) -> impl Iterator<Item = HostId> + Clone {
    (0..count).map(HostId)
}

/// Every directed pair of the first `count` hosts, in order.
pub(super) fn directed_pairs(count: u8) -> impl Iterator<Item = (HostId, HostId)> {
    host_ids(count).flat_map(move |from| {
        host_ids(count).filter(move |to| *to != from).map(move |to| (from, to))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_counted_from_one_for_people() {
        assert_eq!(HostId(0).to_string(), "n1");
        assert_eq!(HostId(254).to_string(), "n255");
        assert_eq!(CLIENTS.to_string(), "clients");
    }

    #[test]
    fn every_ordered_pair_appears_once_and_none_with_itself() {
        let all: BTreeSet<_> = directed_pairs(5).collect();
        assert_eq!((all.len(), directed_pairs(5).count()), (20, 20));
        assert!(all.iter().all(|(from, to)| from != to));
        assert!(LinkPlan::healed().cuts.is_empty());
    }
}
