//! Names the consistency that clients request for reads.

/// The consistency of reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ReadConsistency {
    /// A read observes every write that completed before the read began.
    #[default]
    Linearizable,
    /// Linearizable as long as clocks keep their bounds: the leader answers under its lease.
    Lease,
    /// A read returns the local state of the replica, however old.
    Stale,
    /// A read observes at least what its client has read and written (session guarantees).
    Session,
}

/// Every read consistency with its name on the command line.
pub const READ_CONSISTENCIES: [(ReadConsistency, &str); 4] = [
    (ReadConsistency::Linearizable, "linearizable"),
    (ReadConsistency::Lease, "lease"),
    (ReadConsistency::Stale, "stale"),
    (ReadConsistency::Session, "after"),
];

impl ReadConsistency {
    /// The consistency with this name; the names that etcd and ZooKeeper use are accepted, too.
    pub fn parse(name: &str) -> Option<Self> {
        let name = match name {
            "serializable" | "local" => "stale",
            "sync" => "linearizable",
            name => name,
        };
        READ_CONSISTENCIES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(consistency, _)| *consistency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_parses_to_its_consistency() {
        for (consistency, name) in READ_CONSISTENCIES {
            assert_eq!(ReadConsistency::parse(name), Some(consistency));
        }
        assert_eq!(ReadConsistency::parse("new"), None);
    }
}
