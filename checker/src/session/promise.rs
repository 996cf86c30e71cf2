//! Defines the guarantees that a history of registers can be checked against.

/// A guarantee to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Guarantee {
    /// A read observes the client's own earlier writes.
    ReadYourWrites,
    /// A read observes the versions that the client read before, or newer ones.
    MonotonicReads,
    /// A client that observes a write also observes the earlier writes of its writer.
    MonotonicWrites,
    /// A client that observes a write also observes what its writer had read before.
    WritesFollowReads,
    /// A read of several keys observes a state that existed at one time.
    ConsistentPrefix,
    /// A read observes the latest acknowledged write, as linearizability requires.
    Freshness,
}

/// What a history is checked against. Unwritten values and reads from the future are always
/// violations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promise<'a> {
    /// The guarantees that must hold.
    pub guarantees: &'a [Guarantee],
    /// The maximum certain staleness of a read, in milliseconds.
    pub max_staleness_ms: Option<u64>,
    /// The maximum number of acknowledged versions that a read may certainly be behind.
    pub max_versions_behind: Option<u64>,
}

impl Promise<'static> {
    /// Stale reads: no guarantee; staleness is only measured.
    pub const STALE: Self =
        Self { guarantees: &[], max_staleness_ms: None, max_versions_behind: None };
    /// The session guarantees, which reads `after` a token have: all but freshness.
    pub const SESSION: Self = Self {
        guarantees: &[
            Guarantee::ReadYourWrites,
            Guarantee::MonotonicReads,
            Guarantee::MonotonicWrites,
            Guarantee::WritesFollowReads,
            Guarantee::ConsistentPrefix,
        ],
        ..Self::STALE
    };
    /// What linearizable reads guarantee. Necessary but not sufficient: the model `register`
    /// decides linearizability.
    pub const LINEARIZABLE: Self = Self {
        guarantees: &[
            Guarantee::ReadYourWrites,
            Guarantee::MonotonicReads,
            Guarantee::MonotonicWrites,
            Guarantee::WritesFollowReads,
            Guarantee::ConsistentPrefix,
            Guarantee::Freshness,
        ],
        ..Self::STALE
    };
}

impl Promise<'_> {
    pub(super) fn has(&self, guarantee: Guarantee) -> bool {
        self.guarantees.contains(&guarantee)
    }
}

/// The name of the check.
pub(super) const NAME: &str = "session";

/// Every anomaly that the check reports, the worst first.
pub(super) const ANOMALIES: &[&str] = &[
    "unwritten-value",
    "future-read",
    "read-your-writes",
    "monotonic-reads",
    "stale-read",
    "writes-follow-reads",
    "monotonic-writes",
    "consistent-prefix",
    "bounded-staleness",
    "not-converged",
];
