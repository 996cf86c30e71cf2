//! Names the bugs of the store and of the server, beside those of the core
//! ([`crate::raft::BUGS`]).
//!
//! Each is a plausible mistake of an implementation; [`crate::server`] implements them.

/// A bug that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreBug {
    /// A follower applies half of the keys later; which half differs between replicas.
    ApplyLanes,
    /// A restart applies the last entries of its log twice.
    DoubleApply,
    /// A transaction is evaluated when it is received, and only its writes are replicated.
    EvaluateEarly,
    /// A read does not wait until the log is applied up to `after`.
    IgnoreAfter,
    /// A write that failed because the disk is full counts as durable.
    IgnoreFullDisk,
    /// A write or sync that failed with an I/O error counts as durable.
    IgnoreIoError,
    /// The changes of a transaction become visible one key at a time.
    TornTxn,
    /// Recovery checks no checksum and keeps what can be decoded.
    TrustDisk,
    /// Every read at the leader is served by a lease, timed by the wall clock.
    WallClockLease,
}

impl StoreBug {
    /// Returns its kebab-case name on the command line.
    pub fn name(self) -> &'static str {
        BUGS.iter().find(|(bug, ..)| *bug == self).map_or("", |(_, name, _)| name)
    }

    /// Returns the bug with that name.
    pub fn from_name(name: &str) -> Option<Self> {
        BUGS.iter().find(|(_, known, _)| *known == name).map(|(bug, ..)| *bug)
    }
}

/// Every bug, its name and its description.
pub const BUGS: &[(StoreBug, &str, &str)] = &[
    (
        StoreBug::ApplyLanes,
        "apply-lanes",
        "followers apply keys in two lanes; \
         one lane is late, and which one differs between replicas",
    ),
    (
        StoreBug::DoubleApply,
        "double-apply",
        "a restarted replica applies the last entries of its log twice",
    ),
    (
        StoreBug::EvaluateEarly,
        "evaluate-early",
        "the receiving replica evaluates a transaction, and only its writes are replicated",
    ),
    (
        StoreBug::IgnoreAfter,
        "ignore-after",
        "a read does not wait until the log is applied up to the index that the client has seen",
    ),
    (
        StoreBug::IgnoreFullDisk,
        "ignore-full-disk",
        "a write that failed because the disk is full counts as durable",
    ),
    (
        StoreBug::IgnoreIoError,
        "ignore-io-error",
        "a write or sync that failed with an I/O error counts as durable",
    ),
    (
        StoreBug::TornTxn,
        "torn-txn",
        "one key of a transaction becomes visible first, the others a moment later",
    ),
    (
        StoreBug::TrustDisk,
        "trust-disk",
        "recovery checks no checksum, keeps what it can decode of the log and drops the rest",
    ),
    (
        StoreBug::WallClockLease,
        "wall-clock-lease",
        "a leader serves reads by a lease that is timed by the wall clock",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_kebab_case_and_unique() {
        assert!(BUGS.is_sorted_by(|a, b| a.1 < b.1));
        for (bug, name, description) in BUGS {
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c == '-') && description.len() > 20
            );
            assert_eq!((bug.name(), StoreBug::from_name(name)), (*name, Some(*bug)));
            assert_eq!(crate::raft::Bug::from_name(name), None, "the core has a bug of that name");
        }
    }
}
