//! Names the bugs of the store and of whoever serves it, beside those of the brain ([`crate::raft::BUGS`]).
//!
//! Each is what a plausible implementation gets wrong; what they do stands in [`crate::server`].

/// A bug that can be switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StoreBug {
    /// A follower applies one half of the keys later than the other; which half differs between replicas.
    ApplyLanes,
    /// A restart applies the last entries of its log twice.
    DoubleApply,
    /// A transaction is evaluated where and when it is asked for, and only its writes are replicated.
    EvaluateEarly,
    /// A read does not wait until the log is applied up to `after`.
    IgnoreAfter,
    /// A write that found the disk full is taken for done.
    IgnoreFullDisk,
    /// A write or sync that failed with an I/O error is taken for done.
    IgnoreIoError,
    /// The changes of a transaction become visible one key at a time.
    TornTxn,
    /// A start believes whatever can be decoded of its log, and looks at no checksum.
    TrustDisk,
    /// Time is taken from the wall clock, and every read at the leader is served by lease.
    WallClockLease,
}

impl StoreBug {
    /// Its name on the command line: kebab-case.
    pub fn name(self) -> &'static str {
        BUGS.iter().find(|(bug, ..)| *bug == self).map_or("", |(_, name, _)| name)
    }

    /// The bug of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        BUGS.iter().find(|(_, known, _)| *known == name).map(|(bug, ..)| *bug)
    }
}

/// Every bug, its name and one sentence.
pub const BUGS: &[(StoreBug, &str, &str)] = &[
    (
        StoreBug::ApplyLanes,
        "apply-lanes",
        "followers apply keys in separate lanes, and one lane is late: which one differs between replicas",
    ),
    (
        StoreBug::DoubleApply,
        "double-apply",
        "a restarted replica applies the last entries of its log twice",
    ),
    (
        StoreBug::EvaluateEarly,
        "evaluate-early",
        "a transaction is evaluated by the replica that is asked, and only its writes are replicated",
    ),
    (
        StoreBug::IgnoreAfter,
        "ignore-after",
        "a read does not wait until the log is applied as far as the client has already seen",
    ),
    (
        StoreBug::IgnoreFullDisk,
        "ignore-full-disk",
        "what was not written because the disk was full is taken for durable",
    ),
    (
        StoreBug::IgnoreIoError,
        "ignore-io-error",
        "what was not written or synced because of an I/O error is taken for durable",
    ),
    (
        StoreBug::TornTxn,
        "torn-txn",
        "the changes of a transaction become visible one key first and the others a moment later",
    ),
    (
        StoreBug::TrustDisk,
        "trust-disk",
        "a start believes what it can decode of its log without looking at a checksum, and forgets the rest",
    ),
    (
        StoreBug::WallClockLease,
        "wall-clock-lease",
        "a leader serves reads by a lease that is counted by the wall clock, which others may set",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_kebab_case_and_lead_back() {
        assert!(BUGS.is_sorted_by(|a, b| a.1 < b.1));
        for (bug, name, sentence) in BUGS {
            assert!(
                name.chars().all(|c| c.is_ascii_lowercase() || c == '-') && sentence.len() > 20
            );
            assert_eq!((bug.name(), StoreBug::from_name(name)), (*name, Some(*bug)));
            assert_eq!(crate::raft::Bug::from_name(name), None, "the brain has one of that name");
        }
    }
}
